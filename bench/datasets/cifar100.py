"""CIFAR-100: 60,000 real 32 x 32 images in 100 classes.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Hashing papers share no
protocol here. This one keeps the published parts: the 10,000 test images are the queries, and the 50,000
training images are both the training set (a tenth of it held out for validation) and the database. As in
every protocol that searches what it trained on, scores are higher than on unseen images.

    dataset: [cifar100]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data import cifar_batches
from bench.data.image_lists import FixedSplits, PartedImages, fixed_splits
from bench.data.unseen import UnseenClasses
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Splits

FOLDER = "cifar-100-python"
FILES = ("train", "test")
CLASSES = 100


@DATASETS.register
class Cifar100(Dataset):
    """The two python batches with the fine labels."""

    version = 1
    default_k = None

    class Params(FixedSplits, UnseenClasses):
        """Which training images are held out for validation."""

    def sizes(self) -> dict[str, int]:
        """Those of the published parts."""
        return {"query": 10_000, "train": 50_000, "database": 50_000}

    def prepare(self, root: Path) -> str:
        """Use the copy below ``root``, or download it there with torchvision; both check the MD5 sums."""
        return cifar_batches.prepare("cifar100", root, FOLDER, FILES)

    def load(self, root: Path) -> PartedImages:
        """Read the files; pixels uint8 (60000, 3, 32, 32), labels int64 (60000,), training images first."""
        (train, train_labels), (test, test_labels) = cifar_batches.load(
            "cifar100", root, FOLDER, FILES, b"fine_labels", CLASSES
        )
        trained, count = np.arange(len(train)), len(train) + len(test)
        return PartedImages(
            np.concatenate([train, test]),
            np.concatenate([train_labels, test_labels]),
            CLASSES,
            Augmentation(crop=1.0, flip=True, shift=0.125),
            parts={"query": np.arange(len(train), count), "train": trained, "database": trained},
        )

    def splits(self, images: ImageSet) -> Splits:
        """The published parts; validation is drawn from the training images."""
        return fixed_splits("cifar100-official", images, self.params)
