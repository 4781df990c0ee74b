"""No teacher: images of one label are drawn together, all others pushed apart. A supervised reference.

P. Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, the loss with the sum outside of the
logarithm. A batch holds each image with another one of its label, so that every image has a positive however
many labels there are; an image that is alone has another view of itself.

    method: [{name: supcon, params: {pool_fraction: 0.1}}]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.methods._projected import ProjectedMethod, vectors_undecayed
from bench.methods._spaces import ADAPTIVE
from bench.registry import METHODS
from bench.types import AnySchedule, DistillationBatch, DistillationParameters, DistillationTask, Space, cut

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class SupCon(ProjectedMethod):
    """Labels of the training images only; two views of every batch."""

    version = 1
    teachers = (0, 0)
    views_per_step = 2
    space: ClassVar[Space] = {**ADAPTIVE, "temperature": (0.02, 0.5, "log")}

    class Params(DistillationParameters):
        """The schedule of ``ranking``, which it is the reference of; the temperature is the published one."""

        epochs: int = Field(30, ge=1)
        batch_size: int = Field(64, ge=4)
        weight_decay: float = Field(1e-4, ge=0)
        schedule: AnySchedule = "cosine"
        pool: Literal["database", "train"] = "train"
        temperature: float = Field(0.1, gt=0, description="of the softmax over all other images")
        embedding: int | None = Field(
            None, ge=2, le=65_536, description="width of the linear layer behind the student; null = none"
        )

    def __init__(self, params: Params, task: DistillationTask) -> None:
        super().__init__(params, task)
        labels = task.first_labels()
        self._order = np.argsort(labels, kind="stable")
        sizes = np.bincount(labels)
        self._sizes, self._starts = sizes[labels], (np.cumsum(sizes) - sizes)[labels]
        self._ranks = np.empty(len(labels), np.int64)
        self._ranks[self._order] = np.arange(len(labels))

    @classmethod
    def uses_labels(cls, params: Any) -> bool:
        """Always."""
        return True

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Vectors do not decay."""
        return vectors_undecayed(network)

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Half a batch of images, then for each of them another one of its (first) label, or itself."""
        generator = np.random.default_rng([self.task.seed, epoch])
        order = generator.permutation(self.task.images)
        half = min(self.params.batch_size, self.task.images) // 2
        for part in cut(len(order), half, self.params.incomplete) if half > 1 else ():
            images = order[part]
            yield np.concatenate([images, self._partners(images, generator)])

    def _partners(self, images: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """Another image of the label of each, any with the same chance; itself where there is none."""
        sizes, starts = self._sizes[images], self._starts[images]
        step = 1 + np.floor(generator.random(len(images)) * np.maximum(sizes - 1, 1)).astype(np.int64)
        return self._order[starts + (self._ranks[images] - starts + step) % sizes]

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """Mean over images, and over the positives of each, of -log softmax of their similarity."""
        assert batch.labels is not None
        return {"contrast": contrast(outputs, batch.labels, batch.index, self.params.temperature)}


def contrast(features: Tensor, labels: Tensor, index: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss.

    Args:
        features: float (n, d), of any length.
        labels: float (n, classes) 0/1; images that share one are positives of each other.
        index: int64 (n,) which image a row is: views of one image are positives whatever their labels.
        temperature: of the softmax over all other rows.
    """
    import torch
    from torch.nn import functional as F

    unit = F.normalize(features, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    logits = (unit @ unit.T / temperature).masked_fill(itself, -1e9)
    index = index.to(unit.device)
    positive = ((labels @ labels.T > 0) | (index[:, None] == index)) & ~itself
    count = positive.sum(dim=1)
    costs = -(positive * logits.log_softmax(dim=1)).sum(dim=1) / count.clamp(min=1)
    return costs.sum() / (count > 0).sum().clamp(min=1)
