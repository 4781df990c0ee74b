"""Load a data set with its splits and manifest, once per process."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data import copies, splits
from bench.data.copies import Copies
from bench.registry import DATASETS
from bench.storage import store
from bench.types import ImageSet, Splits

#: Of a cache, where data sets are without ``BENCH_DATA``.
FOLDER = "data"


@dataclass(frozen=True)
class LoadedDataset:
    """A data set in memory. ``manifest_hash`` stands for images and splits in every key and record."""

    images: ImageSet
    splits: Splits
    manifest: dict[str, Any]
    manifest_hash: str

    def copies(self, most: int | None = None) -> Copies:
        """Equal pictures in different parts, counted once as long as no file changes (``bench.data.copies``).

        Raises:
            DataError: a file cannot be read.
        """
        remembered = store.default_root() / "copies"
        return copies.count(self.images, self.splits, self.manifest_hash, remembered, most)


def default_root() -> Path:
    """``$BENCH_DATA`` or the folder ``data`` in the cache."""
    return Path(os.environ.get("BENCH_DATA") or store.default_root() / FOLDER)


def load(name: str, params: dict[str, Any], root: Path, limit: int | None) -> LoadedDataset:
    """Images and splits of data set ``name``; ``limit`` cuts every part of the splits to so many images.

    Raises:
        DataError: the data are not below ``root``, or damaged.
    """
    return _load(name, json.dumps(params, sort_keys=True), root, limit)


def forget() -> None:
    """Look at the files again from now on: between two runs of one process they may change."""
    _load.cache_clear()


@functools.lru_cache(maxsize=4)
def _load(name: str, params: str, root: Path, limit: int | None) -> LoadedDataset:
    plugin = DATASETS.get(name)
    dataset = plugin(plugin.Params.of(json.loads(params)))
    images = dataset.load(root)
    parts = dataset.splits(images)
    if limit is not None:
        parts = splits.limited(parts, limit)
    manifest = splits.manifest(images, parts)
    return LoadedDataset(images, parts, manifest, splits.manifest_hash(manifest))
