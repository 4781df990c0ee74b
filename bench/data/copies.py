"""Copies across splits: equal pictures under other names, which make a search look better than it is.

Splits keep an image out of two parts by its place in the data set; they cannot know that two files hold one
picture. Pictures are equal here if their bytes are: the pixels of sets in memory, the contents of files
(``bench.data.contents``), whatever box is cut out of them. Counts are remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.image_files import ImageFiles
from bench.errors import DataError, UsageError
from bench.storage import atomic
from bench.types import ImageSet, Pixels, Splits

#: Parts whose images should have no equal picture in other parts, and those.
PAIRS = (("query", "database"), ("query", "train"), ("query", "val"), ("val", "train"))

#: Bytes of pixels that are taken at a time.
_PIECE = 1 << 24

_PARTS = ("query", "train", "val", "database")
_IMAGES = {"query": "queries", "val": "validation images"}
_PLACES = {"database": "the database", "train": "the training images", "val": "the validation images"}

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """How many images of one part have an equal picture in another.

    Attributes:
        sizes: images in each part.
        counts: ``"query in database"`` and so on for ``PAIRS`` -> images.
    """

    sizes: dict[str, int]
    counts: dict[str, int]

    def sentences(self) -> list[str]:
        """What a reader must know; nothing where there are no copies."""
        return [
            f"{found:,} of {self.sizes[one]:,} {_IMAGES[one]} have an equal picture in {_PLACES[other]} "
            "(copies under other names)"
            for one, other in PAIRS
            if (found := self.counts.get(f"{one} in {other}", 0))
        ]


def count(
    images: ImageSet, splits: Splits, manifest_hash: str, folder: Path, *, remember: bool = True
) -> Copies:
    """Count the copies across the parts of ``splits``.

    Args:
        images: none of them ``unseen``.
        manifest_hash: of images and splits.
        folder: where counts are remembered.
        remember: whether to write there.

    Raises:
        DataError: a file cannot be read.
    """
    pixels = images.pixels
    parts = {part: np.asarray(getattr(splits, part), np.int64) for part in _PARTS}
    sizes = {part: len(indices) for part, indices in parts.items()}
    if isinstance(pixels, ImageFiles) and pixels.contents.failures:
        raise DataError(pixels.told(pixels.contents.failures))
    memory = folder / f"{manifest_hash[:24]}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(memory.read_text(encoding="utf-8"))
        return Copies(sizes, {f"{one} in {other}": int(known[f"{one} in {other}"]) for one, other in PAIRS})
    if isinstance(pixels, ImageFiles):
        digests = pixels.contents.digests
        parts = _sharing(digests[:, 0].view(np.int64), parts)
        found = {index: digests[index].tobytes() for index in _all(parts).tolist()}
        counts = _counted(found, parts, [os.fspath(path) for path in pixels.paths])
    else:
        parts = _sharing(_sums(pixels, _all(parts)), parts)
        counts = _counted(_images(pixels, _all(parts)), parts, range(len(pixels)))
    if remember:
        with contextlib.suppress(UsageError):
            atomic.write_text(memory, json.dumps(counts) + "\n")
    return Copies(sizes, counts)


def _all(parts: dict[str, Indices]) -> Indices:
    return np.unique(np.concatenate(list(parts.values())))


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


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
