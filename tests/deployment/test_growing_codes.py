"""Codes that grow: whatever was finished is kept, and the latest code of a path is the one that counts."""

from __future__ import annotations

import multiprocessing
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.deployment import growing_codes
from bench.deployment.code_files import CodeFile, Source
from bench.deployment.growing_codes import GrowingCodes
from bench.errors import UsageError

SOURCE = Source(8, 1, "f" * 64, upright=True)


def row(path, code=0, state=0):
    """One image: its path, code, and what size and time of change are derived from."""
    return {
        "codes": np.array([[code]], np.uint8),
        "paths": np.array([path]),
        "sizes": np.array([[4, 3]], np.int32),
        "file_bytes": np.array([state], np.int64),
        "mtimes": np.array([state], np.int64),
    }


def content(path):
    """Path -> code, in the order of the rows."""
    file = CodeFile(path)
    names = [name for block in file.blocks("paths") for name in block.tolist()]
    assert len(set(names)) == len(names)
    return dict(zip(names, file.values()[:, 0].tolist(), strict=True))


@pytest.fixture(autouse=True)
def _parts_of_two_rows(monkeypatch):
    monkeypatch.setattr(growing_codes, "ROWS", 2)


def test_rows_become_a_file_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new folder" / "codes.npz"
    with GrowingCodes(path, SOURCE) as growing:
        for number in range(5):
            assert not growing.known(f"{number}", 0, 0)
            growing.append(row(f"{number}", number))
        assert not path.exists()
        assert growing.finish(without=[]) == 5
    assert content(path) == {str(number): number for number in range(5)}
    assert list(path.parent.iterdir()) == [path]


def test_what_was_finished_before_an_end_is_known_after_it(tmp_path):
    path = tmp_path / "codes.npz"
    with pytest.raises(ZeroDivisionError), GrowingCodes(path, SOURCE) as growing:
        for number in range(5):
            growing.append(row(f"{number}", number))
        raise ZeroDivisionError
    assert not path.exists()
    with GrowingCodes(path, SOURCE) as growing:
        assert [growing.known(f"{number}", 0, 0) for number in range(6)] == [True] * 5 + [False]
        growing.append(row("5", 5))
        growing.finish(without=[])
    assert list(content(path)) == ["0", "1", "2", "3", "4", "5"]


def test_an_image_is_known_by_path_size_and_time(tmp_path):
    with GrowingCodes(tmp_path / "codes.npz", SOURCE) as growing:
        assert not growing.known("a", 1, 2)
        assert growing.known("a", 1, 2)
        assert not growing.known("a", 1, 3)
        assert not growing.known("a", 3, 2)
        assert not growing.known("b", 1, 2)


#: Runs, each with the images that it encodes and those that it could not read.
RUNS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 6), max_size=6, unique=True),
        st.sets(st.integers(0, 6), max_size=2),
        st.booleans(),
    ),
    max_size=5,
)


@given(runs=RUNS)
@settings(max_examples=25, deadline=None)
def test_after_any_runs_the_file_holds_the_latest_code_of_each_path(tmp_path_factory, runs):
    """Held against a dict, whose entries go to the end when they are set anew."""
    folder = tmp_path_factory.mktemp("runs")
    expected: dict[str, int] = {}
    code, ever, finished = 0, False, True
    for images, gone, finished in [*runs, ([], set(), True)]:
        with GrowingCodes(folder / "codes.npz", SOURCE) as growing:
            for image in images:
                code = (code + 1) % 256
                growing.append(row(str(image), code))
                expected.pop(str(image), None)
                expected[str(image)] = code
                ever = True
            if finished:
                for image in gone:
                    expected.pop(str(image), None)
                assert growing.finish([str(image) for image in gone]) == len(expected)
    if ever:
        assert list(content(folder / "codes.npz").items()) == list(expected.items())
    assert {path.name for path in folder.iterdir()} <= {"codes.npz"}
    shutil.rmtree(folder)


def cut(data):
    """The first half of a file."""
    return data[: len(data) // 2]


def flipped(data):
    """A file whose first code is another."""
    place = data.index(b"\x93NUMPY", data.index(b"codes.npy")) + 128
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped])
def test_a_damaged_part_is_made_anew_and_a_damaged_file_is_kept(tmp_path, caplog, damage):
    path = tmp_path / "codes.npz"
    with pytest.raises(ZeroDivisionError), GrowingCodes(path, SOURCE) as growing:
        for number in range(4):
            growing.append(row(f"{number}", number))
        raise ZeroDivisionError
    first, second = sorted((tmp_path / "codes.npz.unfinished").glob("*.npz"))
    first.write_bytes(damage(first.read_bytes()))
    with caplog.at_level("WARNING"), GrowingCodes(path, SOURCE) as growing:
        assert [growing.known(f"{number}", 0, 0) for number in range(4)] == [False, False, True, True]
        growing.append(row("0", 9))
        growing.finish(without=[])
    assert "000000.npz is damaged: its images are encoded again" in caplog.text
    assert content(path) == {"2": 2, "3": 3, "0": 9}
    assert not second.exists()
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match="not a file of 'encode'"), GrowingCodes(path, SOURCE):
        pass
    assert path.read_bytes() == damaged
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Source(8, 1, "e" * 64, upright=True), "holds codes of another bundle"),
        (Source(8, 1, "f" * 64, upright=False), "was made without --as-stored"),
        (Source(16, 2, "f" * 64, upright=True), "holds codes of 8 bits, not of 16"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_codes_of_another_source_are_never_mixed_in(tmp_path, other, expected, finished):
    path = tmp_path / "codes.npz"
    with GrowingCodes(path, SOURCE) as growing:
        growing.append(row("a"))
        if finished:
            growing.finish(without=[])
    with pytest.raises(UsageError, match=f"{expected}; choose another --out"), GrowingCodes(path, other):
        pass
    with GrowingCodes(path, SOURCE) as growing:
        assert growing.known("a", 0, 0)


def _hold(path, held, let_go):
    with GrowingCodes(path, SOURCE):
        held.set()
        let_go.wait(30)


def test_two_processes_do_not_write_one_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "codes.npz", held, let_go))
    process.start()
    assert held.wait(30)
    with (
        pytest.raises(UsageError, match="another process is writing it"),
        GrowingCodes(tmp_path / "codes.npz", SOURCE),
    ):
        pass
    let_go.set()
    process.join(30)
    with GrowingCodes(tmp_path / "codes.npz", SOURCE) as growing:
        growing.append(row("a"))
        assert growing.finish(without=[]) == 1
