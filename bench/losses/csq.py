"""Central similarity quantization: pull every code to the Hadamard center of its labels.

L. Yuan et al., "Central Similarity Quantization for Efficient Image and Video Retrieval", CVPR 2020.
The quantization term is the squared form of the public code, (|tanh u| - 1)^2, not the paper's log-cosh.

    loss: [{name: csq, params: {quantization_weight: 1.0e-4}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.interfaces import Loss
from bench.losses._centers import hash_centers
from bench.losses._spaces import ADAPTIVE
from bench.losses._targets import Targets, first, majority, told
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask, Space, later

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class Csq(Loss):
    """Binary cross-entropy between the relaxed code and the center of the image's labels."""

    version = 2
    space: ClassVar[Space] = {**ADAPTIVE, "quantization_weight": (1e-6, 1e-1, "log")}

    class Params(HashingParameters):
        """Published settings of the two-step pipeline that this suite reproduces."""

        epochs: int = Field(30, ge=1)
        batch_size: int = Field(64, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        quantization_weight: float = Field(1e-4, ge=0, description="lambda, weight of the quantization term")
        targets: Targets = later(
            "majority",
            description="of images with several labels: bit by bit the majority, or that of the first label",
        )

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        generator = np.random.default_rng(task.seed)
        self.centers = torch.from_numpy(hash_centers(task.classes, task.bits, generator)).float()
        self.findings = told(self.centers, task, params.targets)
        # A bit on which the labels of an image disagree evenly takes the sign of one fixed random code.
        self.tie_break = torch.from_numpy(generator.choice([-1.0, 1.0], task.bits)).float()

    @classmethod
    def check(cls, bits: int) -> str | None:
        """Sylvester's Hadamard matrices exist for powers of two only."""
        if bits < 2 or bits & (bits - 1):
            below = 1 << max(bits, 1).bit_length() - 1
            nearest = f"{below} or {2 * below}" if bits > 1 else "2"
            return f"csq needs a power of two as code length (Hadamard centers), not {bits}; take {nearest}"
        return None

    def targets(self, labels: Tensor) -> Tensor:
        """Center of each image: float (n, bits) of +-1 from labels (n, classes)."""
        if self.params.targets == "first":
            return first(labels, self.centers)
        return majority(labels, self.centers, self.tie_break)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Center and quantization terms; logits 2u, because (tanh u + 1) / 2 = sigmoid(2u) saturates."""
        from torch.nn import functional as F

        center = F.binary_cross_entropy_with_logits(2 * codes, (self.targets(labels) + 1) / 2)
        quantization = (codes.tanh().abs() - 1).square().mean()
        return {"center": center, "quantization": self.params.quantization_weight * quantization}

    def summary(self) -> dict[str, Any]:
        """Bits that are the same in all centers, as in the first rows of a Hadamard matrix; equal centers."""
        return self.findings
