"""A matrix on the disk that grows row by row, survives interruptions, and ends as a safetensors file.

The file has its final size and header from the start, and rows are written in place: nothing is held in
memory and nothing is copied at the end. A note beside it says how many rows are there, and has a digest of
each block of them: what was damaged since is computed again. https://huggingface.co/docs/safetensors
describes the format: eight bytes with the length of the header, the header in JSON, then the data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.storage import atomic, sealed

#: Rows that an interruption may cost: so often what is there is flushed and noted.
NOTE_EVERY = 2048


#: Types of numbers as safetensors names them.
_NAMES = {"float16": "F16", "float32": "F32"}


class GrowingRows:
    """float16 or float32 (rows, width), written from the top; the width is that of the first rows.

    Args:
        folder: where the unfinished file lies; what an earlier run has left there is continued.
        name: of the tensor.
        rows: how many there will be.
        origin: what computes them; rows of another origin are not continued.
        dtype: float16 or float32.

    Attributes:
        done: rows that are there.
        width: columns; 0 before the first row.
        seconds_before: spent by earlier runs on the rows that were found.
    """

    def __init__(
        self, folder: Path, name: str, rows: int, origin: str, dtype: type[np.floating[Any]] = np.float16
    ) -> None:
        self._dtype = np.dtype(dtype)
        self._file, self._note = folder / "rows", folder / "rows.json"
        self._name, self._rows, self._origin = name, rows, origin
        self.done, self.width, self.seconds_before = 0, 0, 0.0
        self._blocks: list[tuple[int, str]] = []  # where each ends, and its digest
        self._data: NDArray[np.floating[Any]] | None = None
        self._find()
        self._block, self._started = hashlib.sha256(), time.perf_counter()

    def append(self, rows: NDArray[np.floating[Any]]) -> None:
        """Write the next rows, (n, width)."""
        if self._data is None:
            self.width = rows.shape[1]
            self._create()
            self._data = self._mapped()
        self._data[self.done : self.done + len(rows)] = rows
        self._block.update(np.ascontiguousarray(rows).data)
        self.done += len(rows)
        if self.done - self._noted >= NOTE_EVERY or self.done == self._rows:
            self._keep()

    def finish(self, path: Path) -> None:
        """Give the complete file a second name on its disk, ``path``; if that is lost, the file is not."""
        assert self.done == self._rows, f"{self.done} of {self._rows} rows"
        self._data = None
        try:
            os.link(self._file, path)
        except OSError:  # not every file system has links
            os.replace(self._file, path)
            self._note.unlink()

    @property
    def _noted(self) -> int:
        return self._blocks[-1][0] if self._blocks else 0

    def _keep(self) -> None:
        assert isinstance(self._data, np.memmap)
        self._data.flush()
        seconds = self.seconds_before + time.perf_counter() - self._started
        self._blocks.append((self.done, self._block.hexdigest()))
        self._block = hashlib.sha256()
        note = {"rows": self._rows, "origin": self._origin, "width": self.width, "done": self.done}
        note |= {"seconds": round(seconds, 3), "blocks": self._blocks}
        atomic.write_text(self._note, sealed.sealed(note))

    def _find(self) -> None:
        """Go on with what an earlier run has left, up to the first block that is not as it was written."""
        note = self._read_note()
        if note is None:
            return
        self.width = note["width"]
        data = self._mapped()
        for end, digest in note["blocks"]:
            if hashlib.sha256(data[self.done : end].data).hexdigest() != digest:
                break
            self._blocks.append((end, digest))
            self.done = end
        if self.done:
            self._data, self.seconds_before = data, note["seconds"] * self.done / note["done"]
        else:
            self.width = 0

    def _read_note(self) -> dict[str, Any] | None:
        """The note of an earlier run, where it and the file fit."""
        try:
            content = sealed.read_bytes(self._note)
            if sealed.state(content) != "whole":
                return None
            note: dict[str, Any] = json.loads(content)
            header = self._header(note["width"])
            with self._file.open("rb") as file:
                fits = file.read(len(header)) == header and file.seek(0, os.SEEK_END) == self._size(
                    note["width"]
                )
            return note if fits and (note["rows"], note["origin"]) == (self._rows, self._origin) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _create(self) -> None:
        for path in (self._note, self._file):
            _remove(path)
        with self._file.open("xb") as file:
            file.write(self._header(self.width))
            file.flush()
            # A disk that is full must say so now: while rows are written, it could only kill the process.
            _allocate(file.fileno(), self._size(self.width))

    def _mapped(self) -> NDArray[np.floating[Any]]:
        offset = len(self._header(self.width))
        return np.memmap(self._file, self._dtype, "r+", offset, (self._rows, self.width))

    def _header(self, width: int) -> bytes:
        entry = {
            "dtype": _NAMES[self._dtype.name],
            "shape": [self._rows, width],
            "data_offsets": [0, self._dtype.itemsize * self._rows * width],
        }
        text = json.dumps({self._name: entry}).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    def _size(self, width: int) -> int:
        return len(self._header(width)) + self._dtype.itemsize * self._rows * width


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _remove(path: Path) -> None:
    """Whatever lies there; a link and not what it leads to, which may be an artifact's by now."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
