"""Notes of failures that other workers read: whatever becomes of one, it is a cause that can be told."""

from __future__ import annotations

import random
from types import SimpleNamespace

from bench.execution.failure_notes import FailureNotes
from bench.execution.pools.pool import Cause
from tests.faults import damage


def test_a_damaged_note_says_no_more_than_that_it_failed(tmp_path):
    stage = SimpleNamespace(kind="distill", name="slug-0123456789ab")
    cause, drawn = Cause("RuntimeError", "loss is 5 times too large", known=True), random.Random(0)
    path = tmp_path / "distill-slug-0123456789ab.json"
    FailureNotes(tmp_path).save(stage, cause)
    assert FailureNotes(tmp_path).load(stage) == cause
    for how in damage.damages(path):
        for number in range(damage.tries(how, 20)):
            notes = FailureNotes(tmp_path / f"{how.__name__}{number}")
            notes.save(stage, cause)
            how(notes.folder / path.name, drawn)
            assert notes.load(stage).message == "another worker has failed, and its note cannot be read"
