"""A matrix on the disk that grows row by row, survives interruptions, and ends as a safetensors file.

The file has its final size and header from the start, and rows are written in place: nothing is held in
memory and nothing is copied at the end. https://huggingface.co/docs/safetensors describes the format: eight
bytes with the length of the header, the header in JSON, then the data.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.storage import atomic

#: Rows that an interruption may cost: so often what is there is flushed and noted.
NOTE_EVERY = 2048


class GrowingRows:
    """float16 (rows, width), written from the top; the width is that of the first rows.

    Args:
        folder: where the unfinished file lies; what an earlier run has left there is continued.
        name: of the tensor.
        rows: how many there will be.
        origin: what computes them; rows of another origin are not continued.

    Attributes:
        done: rows that are there.
        width: columns; 0 before the first row.
        seconds_before: spent by earlier runs on the rows that were found.
    """

    def __init__(self, folder: Path, name: str, rows: int, origin: str) -> None:
        self._file, self._note = folder / "rows", folder / "rows.json"
        self._name, self._rows, self._origin = name, rows, origin
        self.done, self.width, self.seconds_before = self._found()
        self._noted, self._started = self.done, time.perf_counter()
        self._data: NDArray[np.float16] | None = self._mapped() if self.done else None

    def append(self, rows: NDArray[np.float16]) -> None:
        """Write the next rows, float16 (n, width)."""
        if self._data is None:
            self.width = rows.shape[1]
            self._create()
            self._data = self._mapped()
        self._data[self.done : self.done + len(rows)] = rows
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

    def _keep(self) -> None:
        assert isinstance(self._data, np.memmap)
        self._data.flush()
        seconds = self.seconds_before + time.perf_counter() - self._started
        note = {"rows": self._rows, "origin": self._origin, "width": self.width, "done": self.done}
        atomic.write_text(self._note, json.dumps({**note, "seconds": round(seconds, 3)}))
        self._noted = self.done

    def _found(self) -> tuple[int, int, float]:
        """Rows, width and seconds of an earlier run; nothing of what does not fit counts."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            done, width = int(note["done"]), int(note["width"])
            fits = (note["rows"], note["origin"]) == (self._rows, self._origin)
            fits = fits and self._file.stat().st_size == self._size(width)
            return (done, width, float(note["seconds"])) if fits else (0, 0, 0.0)
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0, 0.0

    def _create(self) -> None:
        self._note.unlink(missing_ok=True)
        with self._file.open("wb") as file:
            file.write(self._header(self.width))
            file.flush()
            # A disk that is full must say so now: while rows are written, it could only kill the process.
            _allocate(file.fileno(), self._size(self.width))

    def _mapped(self) -> NDArray[np.float16]:
        offset = len(self._header(self.width))
        return np.memmap(self._file, np.float16, "r+", offset, (self._rows, self.width))

    def _header(self, width: int) -> bytes:
        entry = {"dtype": "F16", "shape": [self._rows, width], "data_offsets": [0, 2 * self._rows * width]}
        text = json.dumps({self._name: entry}).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    def _size(self, width: int) -> int:
        return len(self._header(width)) + 2 * self._rows * width


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
