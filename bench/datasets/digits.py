"""scikit-learn's handwritten digits: 1,797 real 8 x 8 images, embedded, no download.

The class-balanced protocol with quotas scaled to the size of the set: 20 query and 100 training images
per class. Good for trying the suite in minutes, too easy and too small to rank methods by.

    dataset: [digits]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from bench.registry import DATASETS
from bench.splits import ClassBalanced, class_balanced
from bench.types import Augmentation, ImageSet, Splits


@DATASETS.register
class Digits:
    """UCI optical digits (test part) as scikit-learn ships them."""

    version = 1
    default_k = None

    class Params(ClassBalanced):
        """The protocol's quotas, scaled to the size of the set."""

        query_per_class: int = Field(20, ge=1)
        train_per_class: int = Field(100, ge=2)
        val_per_class: int = Field(10, ge=1)

    def __init__(self, params: Params) -> None:
        self.params = params

    def prepare(self, root: Path) -> str:
        """Nothing to fetch."""
        return "digits: 1,797 images inside scikit-learn, nothing to fetch"

    def load(self, root: Path) -> ImageSet:
        """Grey levels 0..16 become 0..255; a mirrored digit is no digit, so views are never flipped."""
        from sklearn.datasets import load_digits

        data = load_digits()
        pixels = np.round(data.images[:, None] * (255 / 16)).astype(np.uint8)
        return ImageSet(pixels, data.target.astype(np.int64), 10, Augmentation(flip=False))

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced; see ``bench.splits``."""
        return class_balanced("digits", images.labels, images.classes, self.params)
