"""Data-efficient ranking distillation: match similarities among images and mixtures of images.

"Data-Efficient Ranking Distillation for Image Retrieval", arXiv 2007.05299. The teacher is a black box
that is asked once per image of a small unlabelled pool. Both representations are mixed linearly, with the
same pairs and weights, and only Gram matrices are compared: widths may differ. The abstract is all that
could be read of the paper; loss, sampling and defaults are this suite's own.

    method: [{name: ranking, params: {pool_fraction: 0.1, mixtures: 2}}]
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
from bench.types import (
    AnySchedule,
    DistillationBatch,
    DistillationTask,
    FrozenTeacherParameters,
    Space,
    cut,
    later,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class Ranking(ProjectedMethod):
    """One frozen teacher, one view of each image, no labels."""

    version = 2
    teachers = (1, 1)
    shared_views = False
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "list_weight": (0.05, 5.0, "log"),
        "list_temperature": (0.02, 0.5, "log"),
    }

    class Params(FrozenTeacherParameters):
        """Adam at 1e-4, cosine, 30 epochs; weight decay spares biases and normalisation."""

        epochs: int = Field(30, ge=1)
        weight_decay: float = Field(1e-4, ge=0)
        schedule: AnySchedule = "cosine"
        mixtures: float = Field(2.0, ge=0, le=1000, description="mixed samples per image of a batch")
        mixing: Literal["uniform", "half", "beta"] = Field(
            "uniform", description="weights: uniform in [0.2, 0.8]; always 0.5; or Beta(alpha, alpha)"
        )
        alpha: float = Field(1.0, gt=0, description="of the Beta distribution")
        neighbors: int = Field(10, ge=1, description="half of the pairs mix an image with one so near")
        parents: bool = Field(True, description="whether a mixture is compared with its own two parents")
        copies: bool = later(
            True, description="whether an image that a batch holds twice, once as a neighbour, counts as two"
        )
        pair_weight: float = Field(1.0, ge=0, description="of the similarities of pairs")
        list_weight: float = Field(0.5, ge=0, description="of the distributions over lists")
        list_temperature: float = Field(0.1, gt=0, description="of their softmax")
        rank_weight: float = Field(0.0, ge=0, description="its term takes memory for all triples")
        rank_temperature: float = Field(0.05, gt=0, description="of differences in that loss")
        rank_margin: float = Field(0.02, ge=0, description="teacher similarities closer than that are a tie")
        embedding: int | None = later(
            None, ge=2, le=65_536, description="width of a linear layer behind the student; null = none"
        )

    def __init__(self, params: Params, task: DistillationTask) -> None:
        super().__init__(params, task)
        self._near = nearest(task.targets[0][0].float().numpy(), params.neighbors)

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Vectors do not decay."""
        return vectors_undecayed(network)

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Half a batch of images, then for each of them one of its neighbours in the teacher's space."""
        generator = np.random.default_rng([self.task.seed, epoch])
        order = generator.permutation(self.task.images)
        half = min(self.params.batch_size, self.task.images) // 2
        for part in cut(len(order) // 2, half, self.params.incomplete) if half else ():
            images = order[part]
            choice = generator.integers(self._near.shape[1], size=len(images))
            yield np.concatenate([images, self._near[images, choice]])

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """Pair, list and rank losses over the Gram matrices of images and mixtures together."""
        from bench.methods._gram import compared_pairs, list_loss, mix, pair_loss, rank_loss

        p = self.params
        first, second = self._pairs(len(outputs))
        weights = self._weights(len(first)).to(outputs)
        student = mix(outputs, first, second, weights)
        teacher = mix(batch.teachers[0], first, second, weights)
        pairs = compared_pairs(batch.index, first, second, parents=p.parents, copies=p.copies).to(outputs)
        terms = {"pair": p.pair_weight * pair_loss(student, teacher, pairs)}
        if p.list_weight:
            terms["list"] = p.list_weight * list_loss(student, teacher, pairs, p.list_temperature)
        if p.rank_weight:
            scale = p.rank_margin, p.rank_temperature
            terms["rank"] = p.rank_weight * rank_loss(student, teacher, pairs, *scale)
        return terms

    def _pairs(self, images: int) -> tuple[Tensor, Tensor]:
        """Positions in the batch of the two images of every mixture, never the same one twice."""
        import torch

        count, half = round(self.params.mixtures * images), images // 2
        # From the generator of the training, set back where a batch that did not fit into memory comes again.
        near = torch.randint(half, (count // 2,))
        first = torch.randint(images, (count - len(near),))
        step = torch.randint(1, images, (len(first),))
        return torch.cat([near, first]), torch.cat([near + half, (first + step) % images])

    def _weights(self, count: int) -> Tensor:
        """Share of the first image of each mixture, float (count,)."""
        import torch

        if self.params.mixing == "half":
            return torch.full((count,), 0.5)
        draws = torch.rand(count)
        if self.params.mixing == "uniform":
            return 0.2 + 0.6 * draws
        from scipy.stats import beta

        alpha = self.params.alpha
        return torch.from_numpy(beta.ppf(draws.double().numpy(), alpha, alpha))


def nearest(features: NDArray[np.float32], neighbors: int) -> NDArray[np.int64]:
    """The nearest other rows by cosine: float32 (n, d) -> int64 (n, at most neighbors)."""
    import faiss

    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    wanted = min(neighbors, len(unit) - 1)
    _, found = faiss.knn(unit, unit, wanted + 1, metric=faiss.METRIC_INNER_PRODUCT)
    # A row is its own nearest, but duplicates of it may come first: take it out wherever it is.
    others = found != np.arange(len(unit))[:, None]
    others[others.all(axis=1), -1] = False
    return np.asarray(found[others].reshape(len(unit), wanted), np.int64)
