"""Fashion-MNIST: 70,000 real 28 x 28 product images in 10 classes, in the CIFAR-10-1 protocol.

H. Xiao et al., "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
Training and test files are pooled; per class 100 query and 500 training images are drawn from the pool,
and the database is all but the queries, as hashing papers do it on CIFAR-10.

    dataset: [fashion_mnist]
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.splits import ClassBalanced, class_balanced
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Splits

FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
NAMES = (
    *(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)
#: What an image is like, and which views of it keep its meaning.
SHAPE, AUGMENTATION = (1, 28, 28), Augmentation(crop=1.0, flip=True, shift=0.125)
#: Where below the data root the four files may lie: torchvision's layout, or a folder of their own.
FOLDERS = ("FashionMNIST/raw", "fashion_mnist", "fashion-mnist", ".")


@DATASETS.register
class FashionMnist(Dataset):
    """The four idx files, packed or not."""

    version = 2
    default_k = None

    class Params(ClassBalanced):
        """100 query and 500 training images per class."""

    def prepare(self, root: Path) -> str:
        """Use the copy below ``root``, or download it there with torchvision, which checks the MD5 sums."""
        if _find(root) is None:
            from torchvision.datasets import FashionMNIST

            try:
                FashionMNIST(str(root), download=True)
            except (OSError, RuntimeError) as error:
                raise MissingDataError(
                    f"{_missing(root)} (download failed: {' '.join(str(error).split())})"
                ) from error
        return f"fashion_mnist: 70,000 images in {_find(root)}"

    def load(self, root: Path) -> ImageSet:
        """Read the files; pixels uint8 (70000, 1, 28, 28), labels int64 (70000,)."""
        folder = _find(root)
        if folder is None:
            raise MissingDataError(_missing(root))
        parts = [(_read_idx(folder, images), _read_idx(folder, labels)) for images, labels in FILES]
        pixels = np.concatenate([images for images, _ in parts])[:, None]
        labels = np.concatenate([labels for _, labels in parts]).astype(np.int64)
        if len(pixels) != len(labels) or labels.max(initial=0) > 9:
            raise DataError(f"{folder}: {len(pixels)} images but {len(labels)} labels; fetch the files again")
        return ImageSet(pixels, labels, len(NAMES), AUGMENTATION, names=NAMES)

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced; see ``bench.data.splits``."""
        return class_balanced("fashion_mnist", images.labels, images.classes, self.params, images.names)


def _find(root: Path) -> Path | None:
    """The first folder below ``root`` that holds all four files."""
    names = [name for pair in FILES for name in pair]
    for folder in (root / name for name in FOLDERS):
        if all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in names):
            return folder
    return None


def _missing(root: Path) -> str:
    return (
        f"fashion_mnist: the four idx files are not in {root}; run 'python -m bench data prepare "
        "fashion_mnist' with a network, or point --data-root or BENCH_DATA at a folder that has them"
    )


def _read_idx(folder: Path, name: str) -> NDArray[Any]:
    """Read one file of unsigned bytes in idx format: 0, 0, type 8, number of axes, axis sizes, data."""
    path = folder / name
    try:
        data = path.read_bytes() if path.is_file() else gzip.decompress((folder / f"{name}.gz").read_bytes())
        if data[:3] != b"\x00\x00\x08":
            raise ValueError("not an idx file of unsigned bytes")
        shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and fetch it again") from error
