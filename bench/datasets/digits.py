"""scikit-learn's handwritten digits: 1,797 real 8 x 8 images, embedded, no download.

The class-balanced protocol with quotas scaled to the size of the set: 20 query and 100 training images
per class. Good for trying the suite in minutes, too easy and too small to rank methods by.

    dataset: [digits]
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pydantic import Field

from bench.data.splits import ClassBalanced, class_balanced
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Splits

FILE = "datasets/data/digits.csv.gz"


@DATASETS.register
class Digits(Dataset):
    """UCI optical digits (test part) as scikit-learn ships them."""

    version = 2
    default_k = None

    class Params(ClassBalanced):
        """The protocol's quotas, scaled to the size of the set."""

        query_per_class: int = Field(20, ge=1)
        train_per_class: int = Field(100, ge=2)
        val_per_class: int = Field(10, ge=0)

    def prepare(self, root: Path) -> str:
        """Nothing to fetch."""
        return "digits: 1,797 images inside scikit-learn, nothing to fetch"

    def load(self, root: Path) -> ImageSet:
        """Grey levels 0..16 become 0..255; a mirrored digit is no digit, so views are never flipped."""
        # The file that sklearn.datasets.load_digits reads: importing scikit-learn takes two seconds, which
        # every plan of the default grid would pay.
        package = find_spec("sklearn")
        assert package is not None
        assert package.submodule_search_locations
        table = np.loadtxt(Path(package.submodule_search_locations[0], FILE), delimiter=",")
        levels, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1]
        pixels = np.round(levels * (255 / 16)).astype(np.uint8)
        return ImageSet(pixels, labels.astype(np.int64), 10, Augmentation(crop=1.0, flip=False, shift=0.125))

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced; see ``bench.data.splits``."""
        return class_balanced("digits", images.labels, images.classes, self.params)
