"""Copies across splits: equal pictures under other names, which make a search look better than it is.

Splits keep an image out of two parts by its place in the data set; they cannot know that two files hold one
picture. Pictures are equal here if their bytes are: the pixels of sets in memory, the contents of files,
whatever box is cut out of them.

Of files only those are read that could be copies: they are as large as one in the other part, and only where
the last bytes are the same, too, the rest is read. Counts are remembered until a file changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.data.image_files import THREADS, ImageFiles, unreadable
from bench.errors import DataError, UsageError
from bench.storage import atomic
from bench.types import ImageSet, Pixels, Splits

log = logging.getLogger(__name__)

#: Parts whose images should have no equal picture in other parts, and those.
PAIRS = (("query", "database"), ("query", "train"), ("query", "val"), ("val", "train"))

#: Files that a plan reads at most: it should answer in seconds, whatever the disk.
QUICK = 10_000

#: Bytes at the end of a file that are read first; bytes of pixels, and files, that are taken at a time.
_TAIL, _PIECE, _FILES = 4096, 1 << 24, 256

_PARTS = ("query", "train", "val", "database")
_IMAGES = {"query": "queries", "val": "validation images"}
_PLACES = {"database": "the database", "train": "the training images", "val": "the validation images"}

Indices = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True)
class Copies:
    """How many images of one part have an equal picture in another.

    Attributes:
        sizes: images in each part.
        counts: ``"query in database"`` and so on for ``PAIRS`` -> images; None where nobody has counted.
        to_read: files that counting would read.
    """

    sizes: dict[str, int]
    counts: dict[str, int] | None
    to_read: int = 0

    def sentences(self) -> list[str]:
        """What a reader must know; nothing where there are no copies."""
        return [
            f"{found:,} of {self.sizes[one]:,} {_IMAGES[one]} have an equal picture in {_PLACES[other]} "
            "(copies under other names)"
            for one, other in PAIRS
            if (found := (self.counts or {}).get(f"{one} in {other}", 0))
        ]


def count(
    images: ImageSet, splits: Splits, manifest_hash: str, folder: Path, most: int | None = None
) -> Copies:
    """Count the copies across the parts of ``splits``.

    Args:
        manifest_hash: of images and splits.
        folder: where counts are remembered.
        most: files to read at most, else nothing is counted; sets in memory always are. None = any number,
            and the counts are remembered.

    Raises:
        DataError: a file cannot be read.
    """
    pixels = images.pixels
    parts = {part: np.asarray(getattr(splits, part), np.int64) for part in _PARTS}
    sizes = {part: len(indices) for part, indices in parts.items()}
    files = _facts(pixels, _all(parts)) if isinstance(pixels, ImageFiles) else np.empty((2, 0), np.int64)
    state = hashlib.sha256(manifest_hash.encode() + files.tobytes()).hexdigest()
    memory = folder / f"{state[:24]}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(memory.read_text(encoding="utf-8"))
        return Copies(sizes, {f"{one} in {other}": int(known[f"{one} in {other}"]) for one, other in PAIRS})
    if isinstance(pixels, ImageFiles):
        parts = _sharing(files[0], parts)
        to_read = len(_all(parts))
        if most is not None and to_read > most:
            return Copies(sizes, None, to_read)
        if to_read > QUICK:
            log.info("looking for copies across splits: %s files are as large as others", f"{to_read:,}")
        parts = _sharing(_tails(pixels, files[0], _all(parts)), parts)
        counts = _counted(_contents(pixels, _all(parts)), parts, [os.fspath(path) for path in pixels.paths])
    else:
        parts = _sharing(_sums(pixels, _all(parts)), parts)
        counts = _counted(_images(pixels, _all(parts)), parts, range(len(pixels)))
    if most is None:
        with contextlib.suppress(UsageError):
            atomic.write_text(memory, json.dumps(counts) + "\n")
    return Copies(sizes, counts)


def _all(parts: dict[str, Indices]) -> Indices:
    return np.unique(np.concatenate(list(parts.values())))


def _facts(pixels: ImageFiles, chosen: Indices) -> Indices:
    """Size in bytes and time of the last change of the chosen files, int64 (2, n) by image; 0 for others."""
    facts = np.zeros((2, len(pixels)), np.int64)
    for index in chosen.tolist():
        with _reading(pixels.paths[index]):
            status = os.stat(pixels.paths[index])
        facts[:, index] = status.st_size, status.st_mtime_ns
    return facts


def _sharing(keys: Indices, parts: dict[str, Indices]) -> dict[str, Indices]:
    """The images of each part whose key, by image, one in the other part of a pair has, too."""
    kept: dict[str, list[Indices]] = {part: [] for part in parts}
    for one, other in PAIRS:
        common = np.intersect1d(keys[parts[one]], keys[parts[other]])
        for part in (one, other):
            kept[part].append(parts[part][np.isin(keys[parts[part]], common)])
    return {part: np.unique(np.concatenate(some)) for part, some in kept.items()}


def _counted(digests: dict[int, bytes], parts: dict[str, Indices], names: Any) -> dict[str, int]:
    """Images of each pair's first part with the digest of an image of the second that has another name."""
    counts = {}
    for one, other in PAIRS:
        held: dict[bytes, set[Any]] = {}
        for index in parts[other].tolist():
            held.setdefault(digests[index], set()).add(names[index])
        found = (held.get(digests[index], set()) - {names[index]} for index in parts[one].tolist())
        counts[f"{one} in {other}"] = sum(map(bool, found))
    return counts


def _sums(pixels: Pixels, chosen: Indices) -> Indices:
    """A number that equal images share and others hardly ever, int64 (n,) by image; 0 for others."""
    words = -(-math.prod(pixels.shape[1:]) // 8)
    weights = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, words)
    keys = np.zeros(len(pixels), np.int64)
    for piece, images in _cut(pixels, chosen):
        rows = images.reshape(len(images), -1)
        padded = np.pad(rows, ((0, 0), (0, 8 * words - rows.shape[1])))
        keys[piece] = (padded.view(np.int64) * weights).sum(axis=1)
    return keys


def _images(pixels: Pixels, chosen: Indices) -> dict[int, bytes]:
    """Digest of every chosen image in memory."""
    return {
        index: _digest(image)
        for piece, images in _cut(pixels, chosen)
        for index, image in zip(piece.tolist(), images, strict=True)
    }


def _cut(pixels: Pixels, chosen: Indices) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
    """The chosen images, some at a time, as contiguous uint8."""
    step = max(_PIECE // max(math.prod(pixels.shape[1:]), 1), 1)
    for start in range(0, len(chosen), step):
        piece = chosen[start : start + step]
        yield piece, np.ascontiguousarray(pixels[piece], np.uint8)


def _tails(pixels: ImageFiles, sizes: Indices, chosen: Indices) -> Indices:
    """One number for size and last bytes of every chosen file, int64 (n,) by image; 0 for others."""

    def tail(index: int) -> int:
        with _reading(pixels.paths[index]), open(pixels.paths[index], "rb", buffering=0) as file:
            file.seek(max(sizes[index] - _TAIL, 0))
            key = _digest(file.read(_TAIL) + int(sizes[index]).to_bytes(8, "big"))
        return int.from_bytes(key[:8], "big", signed=True)

    keys = np.zeros(len(pixels), np.int64)
    for index, key in _threaded(tail, chosen):
        keys[index] = key
    return keys


def _contents(pixels: ImageFiles, chosen: Indices) -> dict[int, bytes]:
    """Digest of the content of every chosen file."""

    def content(index: int) -> bytes:
        with _reading(pixels.paths[index]):
            return _digest(pixels.paths[index].read_bytes())

    return dict(_threaded(content, chosen))


def _threaded(read: Callable[[int], T], chosen: Indices) -> Iterator[tuple[int, T]]:
    """``read`` of every chosen image, by several threads."""
    pieces = np.array_split(chosen, max(len(chosen) // _FILES, 1))
    with ThreadPoolExecutor(THREADS) as pool:
        for piece, found in zip(
            pieces, pool.map(lambda some: [*map(read, some.tolist())], pieces), strict=True
        ):
            yield from zip(piece.tolist(), found, strict=True)


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(unreadable(path, error)) from error
