"""A file of codes that grows: interrupted runs go on, later ones append, and no half-written file is seen.

While it grows, finished rows lie beside it in a folder, in parts that are code files themselves; at the end
they are merged with the rows that are there, and the result takes the place of the file.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from bench.deployment import code_files
from bench.deployment.code_files import BLOCK, CodeFile, Rows, Source
from bench.errors import UsageError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

#: So often rows become a part: what an interruption may cost.
SECONDS, ROWS = 30.0, BLOCK


class GrowingCodes:
    """Codes of images, added in any number of runs, each under its path.

    As a context it keeps other processes away from the file, and rows that were added are kept however the
    block ends.

    Args:
        path: of the file.
        source: of all its codes.

    Raises:
        UsageError: the file or its unfinished part is damaged, of another bundle, or being written.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self.path, self._source = path, source
        self._folder = code_files.unfinished(path)
        self._files: list[CodeFile] = []
        # A digest of name, size and time of change takes a fraction of the memory of the three.
        self._known = set[bytes]()
        self._waiting: list[Rows] = []
        self._written = time.monotonic()

    def __enter__(self) -> GrowingCodes:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        self._claim()
        try:
            self._files = self._found()
            for file in self._files:
                columns = (file.blocks(name) for name in ("paths", "file_bytes", "mtimes"))
                for blocks in zip(*columns, strict=True):
                    self._known |= {_digest(*row) for row in zip(*(b.tolist() for b in blocks), strict=True)}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._lock.close()
        if not any(self._parts()):
            shutil.rmtree(self._folder, ignore_errors=True)

    def known(self, path: str, file_bytes: int, mtime: int) -> bool:
        """Whether the image of this path is there as it is now; from now on it is."""
        digest = _digest(path, file_bytes, mtime)
        there = digest in self._known
        self._known.add(digest)
        return there

    def append(self, rows: Rows) -> None:
        """Add rows, each path once in a run; they take the place of the same paths of earlier runs."""
        self._waiting.append(rows)
        late = time.monotonic() - self._written >= SECONDS
        if late or sum(len(rows["paths"]) for rows in self._waiting) >= ROWS:
            self._flush()

    def finish(self, without: Iterable[str]) -> int:
        """Write the file; returns how many rows it has.

        Args:
            without: paths that no row may have: what is there of them is out of date.
        """
        self._flush()
        self._known.clear()
        kept = _latest(self._files, {_digest(path) for path in without})
        count = sum(int(keep.sum()) for keep in kept)
        if [file.path for file in self._files] != [self.path] or count < self._files[0].rows:
            if self._files:
                # Written in the folder, so that a process that is killed leaves nothing but that.
                code_files.merge(self._folder / "whole", self._source, self._files, kept)
                (self._folder / "whole").replace(self.path)
            for part in self._parts():
                part.unlink()
        return count

    def _parts(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.npz") if path.stem.isdecimal())

    def _found(self) -> list[CodeFile]:
        files = [_whole(self.path)] if self.path.exists() else []
        for path in self._parts():
            try:
                files.append(_whole(path))
            except UsageError as error:
                log.warning("%s is damaged: its images are encoded again", path)
                log.debug("%s", error)
                path.unlink()
        for file in files:
            if file.source != self._source:
                raise UsageError(_of_others(file, self._source))
        return files

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = {name: np.concatenate([rows[name] for rows in self._waiting]) for name in self._waiting[0]}
        number = max((int(part.stem) for part in self._parts()), default=-1) + 1
        path = self._folder / f"{number:06d}.npz"
        code_files.write(path, self._source, rows)
        self._files.append(CodeFile(path))
        self._waiting.clear()
        self._written = time.monotonic()

    def _claim(self) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(
                f"{self.path}: another process is writing it; wait for it, or choose another --out"
            ) from error
        except OSError as error:  # not every file system has locks
            log.debug("%s: %s", self._folder, error)


def _whole(path: Path) -> CodeFile:
    """The file in ``path``, read to its end: damage is found before hours of work and not after them."""
    file = CodeFile(path)
    for name in file.source.columns:
        for _ in file.blocks(name):
            pass
    return file


def _digest(path: str, file_bytes: int | None = None, mtime: int | None = None) -> bytes:
    text = f"{path}\0{file_bytes}\0{mtime}"
    # Names that are no valid text come as lone surrogates.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _latest(files: list[CodeFile], dropped: set[bytes]) -> list[NDArray[np.bool_]]:
    """Which rows stay: of each path the last, and of ``dropped`` ones none."""
    kept = []
    for file in reversed(files):
        keep, digests = list[bool](), list[bytes]()
        for block in file.blocks("paths"):
            some = [_digest(path) for path in block.tolist()]
            keep += [one not in dropped for one in some]
            digests += some if file is not files[0] else []
        dropped.update(digests)
        kept.append(np.array(keep, np.bool_))
    return kept[::-1]


def _of_others(file: CodeFile, source: Source) -> str:
    if file.source.fingerprint != source.fingerprint:
        what = "holds codes of another bundle"
    elif file.source.upright != source.upright:
        what = f"was made {'without' if file.source.upright else 'with'} --as-stored"
    elif file.source.bits and source.bits:
        what = f"holds codes of {file.source.bits} bits, not of {source.bits}"
    else:
        what = "does not fit the bundle"
    return f"{file.path}: {what}; choose another --out, or move it away"
