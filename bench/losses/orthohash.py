"""OrthoHash: one cosine to fixed binary centers that are orthogonal, or nearly so, with a margin.

J. T. Hoe et al., "One Loss for All: Deep Hashing with a Single Cosine Similarity based Learning Objective",
NeurIPS 2021, arXiv 2109.14449; settings and the form for several labels are those of its public code. Batch
normalisation before the code, which balances bits, is a part of it; after training it is folded into the
hash head, so that the network that is deployed costs the same as any other.

    loss: [{name: orthohash, params: {margin: 0.2, scale: 8}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.interfaces import Loss
from bench.losses._centers import findings, hash_centers, random_centers
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import AnySchedule, HashingParameters, HashingTask, RateSchedule, Space

if TYPE_CHECKING:
    from torch import Tensor, nn


@LOSSES.register
class OrthoHash(Loss):
    """Cross-entropy of scaled cosines between code and centers; the margin lowers those of the labels."""

    version = 1
    space: ClassVar[Space] = {**ADAPTIVE, "margin": (0.0, 0.6, "linear"), "scale": (2.0, 32.0, "log")}

    class Params(HashingParameters):
        """Published settings; for CIFAR-10 the margin is 0.3."""

        epochs: int = Field(100, ge=1)
        batch_size: int = Field(256, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
        lr: float = Field(1e-4, gt=0)
        weight_decay: float = Field(5e-4, ge=0)
        schedule: AnySchedule = RateSchedule(fall="steps", every_epochs=80, factor=0.1)
        margin: float = Field(0.2, ge=0, le=2, description="m, taken off the cosine to centers of the labels")
        scale: float = Field(8.0, gt=0, description="s, by which cosines are multiplied")
        centers: Literal["bernoulli", "hadamard"] = Field(
            "bernoulli", description="random bits, or rows of a Hadamard matrix as csq has them"
        )
        batch_norm: bool = Field(True, description="whether the code is normalised over the batch")

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        generator = np.random.default_rng(task.seed)
        drawn = hash_centers if params.centers == "hadamard" else random_centers
        #: float (classes, bits) of +-1; no two are equal as long as there are other codes
        self.centers = torch.from_numpy(drawn(task.classes, task.bits, generator)).float()
        self.findings = findings(self.centers)

    @classmethod
    def check_task(cls, params: Any, task: HashingTask) -> str | None:
        """Sylvester's Hadamard matrices exist for powers of two only."""
        if params.centers == "hadamard" and (task.bits < 2 or task.bits & (task.bits - 1)):
            return f"Hadamard centers need a power of two as code length, not {task.bits}; use bernoulli"
        return None

    def trained_head(self, linear: nn.Linear) -> nn.Module:
        """With batch normalisation behind it."""
        from models.layers.heads import BalancedHead

        return BalancedHead(linear) if self.params.batch_norm else linear

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean over images of the cross-entropy, to which the labels of an image have equal shares.

        An image without any label costs nothing.
        """
        from torch.nn import functional as F

        cosines = F.normalize(codes, dim=1) @ F.normalize(self.centers.to(codes), dim=1).T
        logits = self.params.scale * (cosines - self.params.margin * labels)
        shares = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
        return {"centers": -(shares * logits.log_softmax(dim=1)).sum(dim=1).mean()}

    def summary(self) -> dict[str, Any]:
        """Bits that are the same in all centers; equal centers."""
        return self.findings
