"""CIFAR-10: 60,000 real 32 x 32 images in 10 classes, in the three protocols of hashing papers.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Training and test files are
pooled and the parts are drawn per class, once, from the split seed. Scores of the three protocols cannot
be compared: ``cifar10-0`` searches the 54,000 images that are neither query nor train, ``cifar10-1`` the
59,000 that are not query (train among them), ``cifar10-2`` the 50,000 it trained on.

    dataset: [{name: cifar10, params: {protocol: cifar10-0}}]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from bench.data import cifar_batches
from bench.data.splits import ClassBalanced, class_balanced
from bench.data.unseen import UnseenClasses
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Seed, Splits, later

FOLDER = "cifar-10-batches-py"
FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CLASSES, IMAGES = 10, 60_000
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: Query and training images per class.
QUOTAS = {"cifar10-0": (100, 500), "cifar10-1": (100, 500), "cifar10-2": (1000, 5000)}


@DATASETS.register
class Cifar10(Dataset):
    """The six python batches."""

    version = 1
    default_k = None

    class Params(UnseenClasses):
        """Which protocol; its sizes may be changed, and its name in the records then says so."""

        protocol: Literal["cifar10-0", "cifar10-1", "cifar10-2"] = Field(
            "cifar10-1", description="database: without train; all but query; train itself"
        )
        query_per_class: int | None = Field(None, ge=1, description="null = the protocol's 100, 100 or 1,000")
        train_per_class: int | None = Field(
            None, ge=2, description="validation included; null = the protocol's 500, 500 or 5,000"
        )
        val_per_class: int | None = Field(
            None, ge=0, description="of which are held out for choosing an epoch; null = a tenth"
        )
        views: Literal["shifted", "enlarged"] = later(
            "shifted",
            description="random views for training: the image shifted by up to an eighth, or 7/8 of it "
            "enlarged, as published code shows it in step 1",
        )
        split_seed: Seed = Field(0, description="draws the splits; not the training seed")

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        query, train = QUOTAS[params.protocol]
        train = params.train_per_class or train
        tenth = max(1, train // 10)
        self.quotas = ClassBalanced(
            query_per_class=params.query_per_class or query,
            train_per_class=train,
            val_per_class=tenth if params.val_per_class is None else params.val_per_class,
            split_seed=params.split_seed,
        )

    def sizes(self) -> dict[str, int]:
        """As the protocol draws them from the published files."""
        query, train = CLASSES * self.quotas.query_per_class, CLASSES * self.quotas.train_per_class
        rest = IMAGES - query
        database = {"cifar10-0": rest - train, "cifar10-1": rest, "cifar10-2": train}
        return {"query": query, "train": train, "database": database[self.params.protocol]}

    def prepare(self, root: Path) -> str:
        """Use the copy below ``root``, or download it there with torchvision; both check the MD5 sums."""
        return cifar_batches.prepare("cifar10", root, FOLDER, FILES)

    def load(self, root: Path) -> ImageSet:
        """Read the files; pixels uint8 (60000, 3, 32, 32), labels int64 (60000,)."""
        batches = cifar_batches.load("cifar10", root, FOLDER, FILES, b"labels", CLASSES)
        pixels = np.concatenate([pixels for pixels, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
        shifted, enlarged = Augmentation(crop=1.0, shift=0.125), Augmentation(crop=0.875)
        views = enlarged if self.params.views == "enlarged" else shifted
        return ImageSet(pixels, labels, CLASSES, views, names=NAMES)

    def splits(self, images: ImageSet) -> Splits:
        """Query and training images per class; which images are searched depends on the protocol."""
        q, name = self.quotas, self.params.protocol
        parts = class_balanced(name, images.labels, images.classes, q, images.names)
        chosen = np.union1d(parts.train, parts.val)
        database = {
            "cifar10-0": np.setdiff1d(parts.database, chosen),
            "cifar10-1": parts.database,
            "cifar10-2": chosen,
        }[name]
        protocol = f"{name}-q{q.query_per_class}-t{q.train_per_class}-s{q.split_seed}"
        return replace(parts, protocol=protocol, database=database)
