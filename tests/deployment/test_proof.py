"""What a bundle is judged by is what its cell was judged by, whoever judges."""

from __future__ import annotations

import numpy as np
import pytest

from bench.deployment.card import _accuracy
from bench.deployment.cells import find_cell
from bench.deployment.proof import _scores
from bench.deployment.student import student_of
from bench.results.folder import load_results
from tests.conftest import PLUGINS


@pytest.mark.parametrize(
    ("dataset", "accuracy", "queries"),
    [
        ("synthetic", "map@all:expected:relevant", 20),
        ("cameras", "map_reid", 20),
        ("landmarks", "map_revisited:medium", 15),
    ],
)
@pytest.mark.parametrize("loss", ["dch", "none"])
def test_every_judge_finds_what_the_record_says(tiny, folder, dataset, accuracy, queries, loss):
    edited = f"dataset: [{dataset}]"
    run = ("--set", f"axes.loss=[{loss}]", "--set", "axes.method=[none]", "--include", PLUGINS / "judged.py")
    done = tiny("run", *run, edit=("dataset: [synthetic]", edited))
    assert done.code == 0, done.err
    (record,) = load_results(folder / "results/tiny").records
    assert record.accuracy == accuracy
    student = student_of(find_cell(record.key[:12]), folder / "data")
    everything = {part: np.arange(len(codes)) for part, codes in student.codes.items()}
    scores = _scores(student, record, everything, student.codes)
    assert scores.shape == (queries,)
    assert scores.mean() == pytest.approx(record.metrics[accuracy].value, abs=1e-12)
    assert f"{scores.mean():.4f}" in "".join(_accuracy(record, "fp32"))
