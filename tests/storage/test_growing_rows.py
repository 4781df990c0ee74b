"""A matrix that grows on the disk: readable as safetensors, and continued after an interruption."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.storage import growing_rows
from bench.storage.growing_rows import GrowingRows

ROWS, WIDTH = 1000, 7


@pytest.fixture
def values(monkeypatch):
    monkeypatch.setattr(growing_rows, "NOTE_EVERY", 100)
    return np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float16)


def fill(rows, values, until):
    while rows.done < until:
        rows.append(values[rows.done : min(rows.done + 30, until)])


def test_the_file_is_a_safetensors_file(tmp_path, values):
    rows = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    fill(rows, values, ROWS)
    rows.finish(tmp_path / "out.safetensors")
    (name,) = found = load_file(tmp_path / "out.safetensors")
    assert name == "features"
    np.testing.assert_array_equal(found[name], values)


def test_numbers_may_be_of_single_precision_and_go_on_as_such_alone(tmp_path, values):
    single = values.astype(np.float32) / 3
    fill(GrowingRows(tmp_path, "features", ROWS, "a CPU", np.float32), single, 450)
    assert GrowingRows(tmp_path, "features", ROWS, "a CPU").done == 0
    rows = GrowingRows(tmp_path, "features", ROWS, "a CPU", np.float32)
    assert rows.done == 360
    fill(rows, single, ROWS)
    rows.finish(tmp_path / "out.safetensors")
    np.testing.assert_array_equal(load_file(tmp_path / "out.safetensors")["features"], single)


def test_a_complete_file_that_gets_lost_on_its_way_is_there_again(tmp_path, values):
    rows = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    fill(rows, values, ROWS)
    rows.finish(tmp_path / "out")
    (tmp_path / "out").unlink()
    again = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    assert again.done == ROWS
    again.finish(tmp_path / "out")
    np.testing.assert_array_equal(load_file(tmp_path / "out")["features"], values)


def test_without_links_the_file_is_moved(tmp_path, values, monkeypatch):
    def refuse(*names):
        raise OSError("no links here")

    monkeypatch.setattr(growing_rows.os, "link", refuse)
    rows = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    fill(rows, values, ROWS)
    rows.finish(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interruption_costs_what_was_not_noted(tmp_path, values):
    fill(GrowingRows(tmp_path, "features", ROWS, "a CPU"), values, 450)
    again = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    assert (again.done, again.width) == (360, WIDTH)
    assert again.seconds_before >= 0
    fill(again, values, ROWS)
    again.finish(tmp_path / "out")
    np.testing.assert_array_equal(load_file(tmp_path / "out")["features"], values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "rows.json").write_text("{"),
        lambda folder: (folder / "rows.json").write_text("[]"),
        lambda folder: (folder / "rows.json").write_text(
            (folder / "rows.json").read_text().replace(str(ROWS), "999")
        ),
        lambda folder: (folder / "rows.json").write_text(
            (folder / "rows.json").read_text().replace("a CPU", "a GPU")
        ),
        lambda folder: (folder / "rows").write_bytes(b"short"),
        lambda folder: (folder / "rows").unlink(),
    ],
    ids=[
        "note cut short",
        "note of another kind",
        "of another pool",
        "made elsewhere",
        "rows cut short",
        "rows lost",
    ],
)
def test_what_does_not_fit_is_made_again(tmp_path, values, damage):
    fill(GrowingRows(tmp_path, "features", ROWS, "a CPU"), values, 450)
    damage(tmp_path)
    again = GrowingRows(tmp_path, "features", ROWS, "a CPU")
    assert again.done == 0
    fill(again, values, ROWS)
    again.finish(tmp_path / "out")
    np.testing.assert_array_equal(load_file(tmp_path / "out")["features"], values)


def test_the_note_is_written_after_the_rows_are_on_the_disk(tmp_path, values, monkeypatch):
    order = []
    monkeypatch.setattr(np.memmap, "flush", lambda self: order.append("flush"))
    write = growing_rows.atomic.write_text
    monkeypatch.setattr(
        growing_rows.atomic, "write_text", lambda path, text: (order.append("note"), write(path, text))
    )
    fill(GrowingRows(tmp_path, "features", ROWS, "a CPU"), values, 250)
    assert order == ["flush", "note"] * 2
    assert json.loads((tmp_path / "rows.json").read_text())["done"] == 240


def test_a_full_disk_is_told_before_rows_are_written(tmp_path, values, monkeypatch):
    def full(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        fill(GrowingRows(tmp_path, "features", ROWS, "a CPU"), values, 30)
