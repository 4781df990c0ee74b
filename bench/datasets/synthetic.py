"""Made-up images for tests: every class has its own smooth pattern, images are patterns plus noise.

dataset: [{name: synthetic, params: {classes: 4, per_class: 30, multi_label: true}}]
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from bench.data.splits import ClassBalanced, class_balanced
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Splits

#: Values of pixels, 8 bytes each while they are drawn.
MOST_VALUES = 300_000_000


@DATASETS.register
class Synthetic(Dataset):
    """Deterministic, tiny, learnable; single- or multi-label."""

    version = 2
    default_k = None

    class Params(ClassBalanced):
        """Size and difficulty of the set."""

        query_per_class: int = Field(5, ge=1)
        train_per_class: int = Field(20, ge=2)
        val_per_class: int = Field(4, ge=0)
        classes: int = Field(4, ge=2, le=10_000, description="kinds of pictures")
        per_class: int = Field(40, ge=4, le=1_000_000, description="pictures of each")
        side: int = Field(16, ge=8, le=1024, description="pixels")
        noise: float = Field(0.5, ge=0, description="standard deviation relative to the pattern's")
        multi_label: bool = Field(False, description="half of the images carry a second label")

        @model_validator(mode="after")
        def _fits_in_memory(self) -> Self:
            """All images are made at once, and of every value there are several copies for a moment."""
            values = self.classes * self.per_class * 3 * self.side**2
            if values > MOST_VALUES:
                raise ValueError(
                    f"classes x per_class x side x side should be at most {MOST_VALUES // 3:,}, not "
                    f"{values // 3:,}: all images are in memory; lower one of them"
                )
            return self

    def prepare(self, root: Path) -> str:
        """Nothing to fetch."""
        return "synthetic: made on the fly, nothing to fetch"

    def load(self, root: Path) -> ImageSet:
        """Draw the images; the first label decides the split quotas."""
        p = self.params
        generator = np.random.default_rng(7)
        coarse = generator.normal(size=(p.classes, 3, 4, 4))
        patterns = np.kron(coarse, np.ones((p.side // 4, p.side // 4)))
        side = patterns.shape[-1]
        first = np.tile(np.arange(p.classes), p.per_class)
        labels = np.eye(p.classes, dtype=np.uint8)[first]
        if p.multi_label:
            second = generator.integers(p.classes, size=len(first))
            labels |= np.eye(p.classes, dtype=np.uint8)[second] * (generator.random((len(first), 1)) < 0.5)
        signal = np.einsum("nc,cijk->nijk", labels / labels.sum(1, keepdims=True), patterns)
        images = signal + p.noise * generator.normal(size=(len(first), 3, side, side))
        pixels = np.clip(128 + 50 * images, 0, 255).astype(np.uint8)
        return ImageSet(
            pixels,
            labels if p.multi_label else first,
            p.classes,
            Augmentation(crop=1.0, flip=False, shift=0.125),
        )

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced over the first label; see ``bench.data.splits``."""
        first = np.tile(np.arange(self.params.classes), self.params.per_class)
        return class_balanced("synthetic", first, images.classes, self.params)
