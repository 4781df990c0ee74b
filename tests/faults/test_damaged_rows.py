"""Rows that an interrupted run has left: what was damaged is computed again, and nothing else."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.storage import growing_rows
from bench.storage.growing_rows import GrowingRows
from tests.faults import damage

log = logging.getLogger(__name__)

ROWS, WIDTH, BLOCK = 100, 5, 10


@pytest.fixture
def values(monkeypatch):
    monkeypatch.setattr(growing_rows, "NOTE_EVERY", BLOCK)
    return np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float16)


def begun(folder, values, until):
    folder.mkdir(parents=True)
    rows = GrowingRows(folder, "features", ROWS, "a CPU")
    for start in range(0, until, 5):
        rows.append(values[start : start + 5])


def finished(folder, values):
    """How many rows were gone on with, and the whole."""
    rows = GrowingRows(folder, "features", ROWS, "a CPU")
    found = rows.done
    if found < ROWS:
        rows.append(values[found:])
    rows.finish(folder / "out")
    return found, load_file(folder / "out")["features"]


@pytest.mark.parametrize("until", [60, ROWS])
@pytest.mark.parametrize("file", ["rows", "rows.json"])
def test_no_damage_gets_into_the_whole(tmp_path, values, file, until):
    drawn, tried = random.Random(file), 0
    begun(tmp_path / "left", values, until)
    for how in damage.damages(tmp_path / "left" / file):
        for number in range(damage.tries(how, 20)):
            folder = tmp_path / f"{how.__name__}{number}"
            begun(folder, values, until)
            how(folder / file, drawn)
            found, whole = finished(folder, values)
            tried += 1
            assert found <= until
            assert found % BLOCK == 0
            np.testing.assert_array_equal(whole, values)
    log.info("%s: %d damages left no trace", file, tried)


@pytest.mark.parametrize("block", range(6))
def test_it_begins_again_from_the_last_good_block(tmp_path, values, block):
    begun(tmp_path / "left", values, 60)
    path = tmp_path / "left" / "rows"
    content = bytearray(path.read_bytes())
    place = len(content) - values.nbytes + block * BLOCK * WIDTH * 2 + 3
    content[place] ^= 1
    path.write_bytes(content)
    found, whole = finished(tmp_path / "left", values)
    assert found == block * BLOCK
    np.testing.assert_array_equal(whole, values)


def test_seconds_are_those_of_the_rows_that_are_gone_on_with(tmp_path, values):
    begun(tmp_path / "left", values, 60)
    whole = GrowingRows(tmp_path / "left", "features", ROWS, "a CPU").seconds_before
    with (tmp_path / "left" / "rows").open("r+b") as file:
        file.seek(-2 * WIDTH * (ROWS - 30), 2)
        file.write(b"xx")
    assert GrowingRows(tmp_path / "left", "features", ROWS, "a CPU").seconds_before == whole / 2


def test_what_an_artifact_has_by_another_name_is_not_written_to(tmp_path, values):
    begun(tmp_path / "left", values, ROWS)
    GrowingRows(tmp_path / "left", "features", ROWS, "a CPU").finish(tmp_path / "artifact")
    other = GrowingRows(tmp_path / "left", "features", ROWS, "a GPU")
    other.append(np.zeros_like(values))
    np.testing.assert_array_equal(load_file(tmp_path / "artifact")["features"], values)
