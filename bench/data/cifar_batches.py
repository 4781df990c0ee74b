"""CIFAR-10 and CIFAR-100 in their published python batches (A. Krizhevsky, 2009)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import safe_pickle
from bench.data.finding import hidden
from bench.errors import DataError, MissingDataError


def prepare(name: str, root: Path, folder: str, files: Sequence[str]) -> str:
    """Check the batches below ``root``, or download them there; torchvision knows the MD5 sums.

    Args:
        name: of the data set; torchvision's class has the same name in capitals.
        root: data root.
        folder: that the published archive unpacks to.
        files: names of the batches in it.

    Raises:
        MissingDataError: the download failed.
        DataError: the batches that are there are not the published ones.
    """
    import torchvision.datasets

    library, found = getattr(torchvision.datasets, name.upper()), _find(root, folder, files)
    if found is not None:
        try:
            library(str(found.parent), download=False)
        except RuntimeError as error:
            raise DataError(
                f"{name}: {found} differs from the published files ({error}); delete it and run 'python -m "
                f"bench data prepare {name}'"
            ) from error
        return f"{name}: 60,000 images in {found}, MD5 sums as published"
    try:
        library(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise MissingDataError(
            f"{_missing(name, root, folder)} (download failed: {' '.join(str(error).split())})"
        ) from error
    return f"{name}: 60,000 images in {root / folder}, MD5 sums as published"


def load(
    name: str, root: Path, folder: str, files: Sequence[str], key: bytes, classes: int
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Read all batches: pixels uint8 (n, 3, 32, 32) and labels int64 (n,) of each file.

    Args:
        name, root, folder, files: as in ``prepare``.
        key: of the labels in a batch.
        classes: labels are below it.

    Raises:
        MissingDataError: not all files are there.
        DataError: a file is damaged, or holds anything but arrays and plain values.
    """
    found = _find(root, folder, files)
    if found is None:
        raise MissingDataError(_missing(name, root, folder))
    return [_read(found / file, key, classes) for file in files]


def _find(root: Path, folder: str, files: Sequence[str]) -> Path | None:
    """The folder of the batches: in the root, as torchvision has it, or in a folder of its own there."""
    beside = (place for place in sorted(root.glob(f"*/{folder}")) if not hidden(place.parent.name))
    for place in (root / folder, *beside):
        if all((place / file).is_file() for file in files):
            return place
    return None


def _missing(name: str, root: Path, folder: str) -> str:
    return (
        f"{name}: the python batches are not in {root / folder}; run 'python -m bench data prepare {name}' "
        "with a network, or point --data-root or BENCH_DATA at a folder that has them"
    )


def _read(path: Path, key: bytes, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = safe_pickle.load(path, "bytes")
    try:
        rows, labels = np.asarray(batch[b"data"]), np.asarray(batch[key], dtype=np.int64)
        if rows.dtype != np.uint8 or labels.shape != rows.shape[:1]:
            raise ValueError(f"{rows.dtype} pixels {rows.shape} and labels {labels.shape}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"labels outside 0..{classes - 1}")
        return rows.reshape(-1, 3, 32, 32), labels
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and fetch it again") from error
