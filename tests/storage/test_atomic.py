"""Files are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.storage import atomic


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a" / "b" / "file.json"
    atomic.write_text(path, "ü")
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="file: cannot write .No space left on device.; choose a writable"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        atomic.write_text(tmp_path / "file" / "inside", "")


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic.written(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    with atomic.written(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
