"""What step 2 is shown: labelled images, or features of them, and what a loss says of their codes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.interfaces import Loss
from bench.stages.context import Context
from bench.stages.nested import NestedLoss, views_per_step
from bench.training import views
from bench.training.micro_batches import Batch, Terms
from bench.types import ImageSet, Preprocessing


class LabelledImages:
    """Shows the training images, every epoch in other views, and what the loss says of their codes."""

    def __init__(
        self, spec: Mapping[str, Any], context: Context, images: ImageSet, train: NDArray[np.int64],
        labels: Tensor, preprocessing: Preprocessing,
        loss: Loss | NestedLoss,
    ) -> None:  # fmt: skip
        self.spec, self.context, self.images, self.train = spec, context, images, train
        self.labels, self.preprocessing, self.loss = labels, preprocessing, loss
        self.parts = views_per_step(loss)
        # Reading is an epoch ahead now and then.
        self._crops = functools.lru_cache(maxsize=2 * self.parts)(self._drawn)

    def _drawn(self, epoch: int, part: int) -> NDArray[np.float64]:
        if not (part or self.loss.params.random_views):
            return views.centre_crops(self.images)
        drawn = views.strong_crops if part else views.random_crops
        return drawn(self.images, views.FINETUNE_STREAM, self.spec["seed"], self.parts * epoch + part)

    def show(self, order: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[Batch]:
        """Views of the images at places among those trained on, by epoch and step."""
        shown = ((epoch, np.tile(positions, self.parts)) for epoch, positions in order)
        read = (((epoch, positions), self.train[positions]) for epoch, positions in shown)
        for (epoch, positions), pixels in self.context.source(self.images).stream(read, self._view):
            chosen = self._split(epoch, self.train[positions])
            inputs = [
                views.render(some, crops, self.preprocessing, self.spec["image_size"])
                for some, crops in zip(pixels.chunk(self.parts), chosen, strict=True)
            ]
            whole = torch.cat(inputs) if self.parts > 1 else inputs[0]
            yield Batch(
                whole, _terms(self.loss, self.labels, torch.from_numpy(positions).to(self.context.device))
            )

    def _split(self, epoch: int, chosen: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        """Crops of the images ``chosen``, part by part."""
        split = np.split(chosen, self.parts)
        return [self._crops(epoch, part)[images] for part, images in enumerate(split)]

    def _view(self, tag: tuple[int, NDArray[np.int64]], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where the images ``chosen`` are cut in the epoch of the tag."""
        return np.concatenate([crops[:, :3] for crops in self._split(tag[0], chosen)])


class LabelledFeatures:
    """Shows what a frozen trunk says of the training images, float32 (images, width), in place of them."""

    def __init__(self, features: Tensor, labels: Tensor, loss: Loss | NestedLoss) -> None:
        self.features, self.labels, self.loss = features, labels, loss

    def show(self, order: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[Batch]:
        """Features of the images at places among those trained on, by epoch and step."""
        for _, positions in order:
            index = torch.from_numpy(positions).to(self.features.device)
            yield Batch(self.features[index], _terms(self.loss, self.labels, index))


def _terms(loss: Loss | NestedLoss, labels: Tensor, index: Tensor) -> Terms:
    return lambda codes: loss.terms(codes, labels[index], index)
