"""Load a data set with its splits and manifest, once per process."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import contents, copies, pools, skipping, splits, unseen
from bench.data.copies import Copies
from bench.data.image_files import ImageFiles
from bench.data.pools import Pool
from bench.registry import DATASETS
from bench.storage import store
from bench.types import ImageSet, Splits

#: Of a cache, where data sets are without ``BENCH_DATA``.
FOLDER = "data"


@dataclass(frozen=True)
class LoadedDataset:
    """A data set in memory. ``manifest_hash`` stands for images and splits in every key and record.

    It stands for nothing while images are ``unseen``: then it knows the names of files alone.
    """

    images: ImageSet
    splits: Splits
    manifest: dict[str, Any]
    manifest_hash: str
    _pools: dict[tuple[str, float, str], Pool] = field(default_factory=dict, init=False, repr=False)

    def pool(self, part: str, fraction: float, hold_out: str) -> Pool:
        """What step 1 may look at, see ``pools.drawn``; it may be empty."""
        asked = part, fraction, hold_out
        if asked not in self._pools:
            indices = pools.drawn(self.splits, *asked)
            known = self.images, self.manifest["images_sha256"]
            self._pools[asked] = pools.pool_of(*known, indices, self.splits.unseen)
        return self._pools[asked]

    @property
    def unseen(self) -> tuple[int, int]:
        """Files that nobody has looked into, as a plan leaves many to the run, and their bytes."""
        pixels = self.images.pixels
        found = pixels.contents if isinstance(pixels, ImageFiles) else None
        return (found.unseen, found.unseen_bytes) if found else (0, 0)

    def copies(self, *, remember: bool = True) -> Copies:
        """Equal pictures in different parts, counted once (``bench.data.copies``)."""
        folder = store.default_root() / "copies"
        return copies.count(self.images, self.splits, self.manifest_hash, folder, remember=remember)

    def sentences(self, found: Copies) -> list[str]:
        """What records say of images and splits; ``found`` are the copies among them."""
        return [*filter(None, [skipping.sentence(self.images.pixels)]), *found.sentences()]


def default_root() -> Path:
    """``$BENCH_DATA`` or the folder ``data`` in the cache."""
    return Path(os.environ.get("BENCH_DATA") or store.default_root() / FOLDER)


def load(
    name: str, params: dict[str, Any], root: Path, limit: int | None, *, quick: bool = False
) -> LoadedDataset:
    """Images and splits of data set ``name``; ``limit`` cuts every part of the splits to so many images.

    Args:
        name, params: as in the grid.
        root: where data sets are.
        limit: of images per part.
        quick: whether contents of files may stay ``unseen`` where looking into them takes long.

    Raises:
        DataError: the data are not below ``root``, or damaged.
    """
    with contents.quickly() if quick else contextlib.nullcontext():
        return _load(name, json.dumps(params, sort_keys=True), root, limit, quick)


def forget() -> None:
    """Look at the files again from now on: between two runs of one process they may change."""
    _load.cache_clear()


@functools.lru_cache(maxsize=4)
def _load(name: str, params: str, root: Path, limit: int | None, quick: bool) -> LoadedDataset:
    plugin = DATASETS.get(name)
    dataset = plugin(plugin.Params.of(json.loads(params)))
    images = dataset.load(root)
    parts = unseen.left_out(name, images, dataset.splits(images), dataset.params)
    if limit is not None:
        parts = splits.limited(parts, limit)
        images = _used(images, parts)
    manifest = splits.manifest(images, parts)
    numbered = unseen.numbered_last(images, parts.unseen)
    return LoadedDataset(numbered, parts, manifest, splits.manifest_hash(manifest))


def _used(images: ImageSet, parts: Splits) -> ImageSet:
    """``images`` of which those that are in no part need not be looked into."""
    if not isinstance(images.pixels, ImageFiles):
        return images
    used = functools.reduce(np.union1d, (parts.query, parts.train, parts.val, parts.database))
    return replace(images, pixels=replace(images.pixels, used=used))
