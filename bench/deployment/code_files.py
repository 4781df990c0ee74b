"""Codes of images in an ``.npz``, read and written in blocks: any number of rows in little memory.

``numpy.load`` reads it as well: ``codes`` uint8 (n, bytes), first bit highest, or ``embeddings`` float32
(n, dimensions) of length 1; ``paths`` str (n,); ``sizes`` int32 (n, 2), width and height in pixels as the
image was encoded; ``file_bytes`` and ``mtimes`` (nanoseconds), int64 (n,), by which a file that changed is
known; and of all rows ``bits`` (0 for embeddings), ``fingerprint`` of the bundle, and ``upright``, whether
images were turned as their EXIF orientation says.

Nothing is unpickled, and what an array claims to hold is believed only as far as the file can hold it.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.deployment.bundle import Bundle
from bench.errors import UsageError, shortened
from bench.storage import atomic

#: One array for each column of the rows.
Rows = Mapping[str, NDArray[Any]]

#: Rows that are in memory at a time.
BLOCK = 8192

#: Bytes that deflate makes of one at most.
_LARGEST_RATIO = 1032

_FACTS = ("bits", "fingerprint", "upright")


def unfinished(path: Path) -> Path:
    """The folder beside a file of codes that has what an interrupted run has done."""
    return path.with_name(f"{path.name}.unfinished")


@dataclass(frozen=True)
class Source:
    """What made the codes of a file, all of them.

    Attributes:
        bits: of a code, 0 for embeddings.
        width: bytes of a code, or dimensions of an embedding.
        fingerprint: of the bundle.
        upright: whether images were turned as their EXIF orientation says.
    """

    bits: int
    width: int
    fingerprint: str
    upright: bool

    @classmethod
    def of(cls, bundle: Bundle, upright: bool, bits: int | None = None) -> Source:
        """What the codes of a bundle come from, or their first ``bits``.

        Raises:
            UsageError: it has no codes of that length.
        """
        length = bundle.length(bits)
        return cls(length, -(-length // 8) or bundle.dimensions, bundle.fingerprint, upright)

    def first_bits(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of codes uint8 (n, bytes) of the bundle those of this length; embeddings as they are."""
        if not self.bits:
            return values
        cut = values[:, : self.width].copy()
        cut[:, -1] &= 0xFF ^ self._behind
        return cut

    @property
    def _behind(self) -> int:
        """The bits of a code's last byte that are behind its last one."""
        return 0xFF >> (self.bits - 1) % 8 + 1

    @property
    def column(self) -> str:
        """Name of the column with what the model made."""
        return "codes" if self.bits else "embeddings"

    @property
    def columns(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name -> kind and item size as numpy writes them, and shape of a row; of text the size is open."""
        return {
            self.column: ("u1" if self.bits else "f4", (self.width,)),
            "paths": ("U", ()),
            "sizes": ("i4", (2,)),
            "file_bytes": ("i8", ()),
            "mtimes": ("i8", ()),
        }


class CodeFile:
    """The codes in ``path``, whose arrays are checked now and read when they are asked for.

    Attributes:
        path: of the file.
        source: what made the codes.
        rows: how many there are.

    Raises:
        UsageError: it is missing, damaged, or was not written by ``encode``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_file():  # a device has no end to begin to read at
            raise UsageError(f"{path}: not a file; name one that 'encode' wrote, or a new one")
        with self._told(), zipfile.ZipFile(path) as archive:
            bits = int(self._fact(archive, "bits", "i"))
            values = "codes" if bits else "embeddings"
            self._shapes = {values: self._shape(archive, values)}
            shape, _ = self._shapes[values]
            if len(shape) != 2 or bits < 0 or shape[1] != (-(-bits // 8) or max(shape[1], 1)):
                raise ValueError(f"{values} of shape {shape} for {bits} bits")
            fingerprint = str(self._fact(archive, "fingerprint", "U"))
            self.rows, width = shape
            self.source = Source(bits, width, fingerprint, bool(self._fact(archive, "upright", "b")))
            for name, (kind, row) in self.source.columns.items():
                found, dtype = self._shapes[name] = self._shape(archive, name)
                if found != (self.rows, *row) or not dtype.str[1:].startswith(kind):
                    raise ValueError(f"{name} is {dtype} of shape {found}")

    def dtype(self, column: str) -> np.dtype[Any]:
        """Of a column; text is as wide as its longest."""
        return self._shapes[column][1]

    def blocks(self, column: str) -> Iterator[NDArray[Any]]:
        """The rows of a column, at most ``BLOCK`` at a time.

        Raises:
            UsageError: the file is damaged.
        """
        (_, *row), dtype = self._shapes[column]
        size = dtype.itemsize * int(np.prod(row))
        with self._told(), zipfile.ZipFile(self.path) as archive, archive.open(f"{column}.npy") as stream:
            _header(stream)
            for start in range(0, self.rows, BLOCK):
                count = min(BLOCK, self.rows - start)
                data = stream.read(count * size)
                yield np.frombuffer(data, dtype, count * int(np.prod(row))).reshape(count, *row)

    def values(self) -> NDArray[Any]:
        """All codes uint8 (n, bytes) or embeddings float32 (n, dimensions).

        Raises:
            UsageError: the file is damaged, or has bits behind the last.
        """
        source = self.source
        with self._told():
            result = np.empty((self.rows, source.width), self.dtype(source.column))
            for number, block in enumerate(self.blocks(source.column)):
                result[number * BLOCK : number * BLOCK + len(block)] = block
            if source.bits and (result[:, -1] & source._behind).any():
                raise ValueError(f"bits behind the last of {source.bits}")
            if not source.bits and not np.isfinite(result).all():
                raise ValueError("embeddings that are not finite")
        return result

    def pick(self, column: str, rows: NDArray[np.int64]) -> list[Any]:
        """The values of a column in some rows, in their order."""
        wanted, found = set(rows.tolist()), dict[int, Any]()
        for number, block in enumerate(self.blocks(column)):
            start = number * BLOCK
            found |= {row: block[row - start] for row in wanted if start <= row < start + len(block)}
        return [found[row] for row in rows.tolist()]

    def _fact(self, archive: zipfile.ZipFile, name: str, kind: str) -> Any:
        shape, dtype = self._shape(archive, name)
        if shape or dtype.kind != kind:
            raise ValueError(f"{name} is {dtype} of shape {shape}")
        with archive.open(f"{name}.npy") as stream:
            _header(stream)
            return np.frombuffer(stream.read(), dtype, 1)[0]

    def _shape(self, archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array, which the file has as many bytes for as it takes."""
        with archive.open(f"{name}.npy") as stream:
            shape, dtype = _header(stream)
            header = stream.tell()
        entry, size = archive.getinfo(f"{name}.npy"), dtype.itemsize * int(np.prod(shape, dtype=object))
        held = min(entry.compress_size, self.path.stat().st_size) * _LARGEST_RATIO
        if entry.file_size != header + size or entry.file_size > held:
            raise ValueError(f"{name} of shape {shape} in {entry.file_size} bytes")
        return shape, dtype

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What is wrong with the file, in one line."""
        try:
            yield
        except FileNotFoundError as error:
            begun = unfinished(self.path).is_dir()
            what = "not finished yet; go on" if begun else "no such file; make it"
            raise UsageError(
                f"{self.path}: {what}: python -m bench encode BUNDLE IMAGES --out {self.path}"
            ) from error
        except UsageError:
            raise
        except OSError as error:
            if error.filename is not None:
                raise
            raise UsageError(self._damaged(error)) from error
        except Exception as error:  # zipfile, zlib and numpy each have their own
            raise UsageError(self._damaged(error)) from error

    def _damaged(self, error: Exception) -> str:
        reason = shortened(" ".join(f"{type(error).__name__}: {error}".split()))
        return (
            f"{self.path}: not a file of 'encode' ({reason}); give another, or move it away and encode again"
        )


def write(path: Path, source: Source, rows: Rows) -> None:
    """Write ``rows``, a column for each of ``source.columns``, to ``path``, at once or not at all.

    Raises:
        UsageError: the folder cannot be written.
    """
    count = len(rows["paths"])
    _write(path, source, count, rows["paths"].dtype, lambda name: [rows[name]])


def merge(path: Path, source: Source, files: Sequence[CodeFile], kept: Sequence[NDArray[np.bool_]]) -> None:
    """Write the rows of ``files`` that are ``kept`` to ``path``, which may be one of them.

    Raises:
        UsageError: a file is damaged, or the folder cannot be written.
    """
    text = max((file.dtype("paths") for file in files), key=lambda dtype: dtype.itemsize)

    def chosen(name: str) -> Iterator[NDArray[Any]]:
        for file, keep in zip(files, kept, strict=True):
            for number, block in enumerate(file.blocks(name)):
                yield block[keep[number * BLOCK : number * BLOCK + len(block)]]

    _write(path, source, sum(int(keep.sum()) for keep in kept), text, chosen)


def _write(
    path: Path,
    source: Source,
    count: int,
    text: np.dtype[Any],
    blocks: Callable[[str], Iterable[NDArray[Any]]],
) -> None:
    with atomic.written(path) as temporary, temporary.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name in _FACTS:
                fact = np.asarray(getattr(source, name))
                _write_array(archive, name, fact.dtype, (), [fact])
            for name, (kind, row) in source.columns.items():
                _write_array(
                    archive, name, text if kind == "U" else np.dtype(kind), (count, *row), blocks(name)
                )
        file.flush()
        # What it was made from is deleted next: by then it must be on the disk.
        os.fsync(file.fileno())


def _write_array(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    blocks: Iterable[NDArray[Any]],
) -> None:
    # Its time of writing is that of no clock: equal rows make equal files.
    entry = zipfile.ZipInfo(f"{name}.npy")
    # Codes are as good as random, but numpy takes four bytes for a character.
    entry.compress_type = zipfile.ZIP_STORED if dtype.kind in "uf" else zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as stream:
        facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, facts)
        for block in blocks:
            stream.write(np.ascontiguousarray(block, dtype).tobytes())


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array that follows in ``stream``, row by row."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"an array of version {version}")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject or (by_columns and len(shape) > 1) or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype} and shape {shape}")
    return shape, dtype
