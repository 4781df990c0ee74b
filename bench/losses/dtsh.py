"""Deep triplet-supervised hashing: an image's code closer to images that share a label than to the others.

X. Wang et al., "Deep Supervised Hashing with Triplet Labels", ACCV 2016.
The inner product of two codes is not halved, as in the public code that the default margin comes from.

    loss: [{name: dtsh, params: {margin: 5, quantization_weight: 1.0}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import HashingParameters, Space

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class Dtsh(Loss):
    """Likelihood of all triplets of the batch; memory grows with batch size cubed: 8 MB a tensor at 128."""

    version = 2
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "margin": (1.0, 20.0, "log"),
        "quantization_weight": (1e-2, 10.0, "log"),
    }

    class Params(HashingParameters):
        """Published settings."""

        epochs: int = Field(150, ge=1)
        batch_size: int = Field(128, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        margin: float = Field(5.0, ge=0, description="alpha, by which a similar pair must be closer")
        quantization_weight: float = Field(1.0, ge=0, description="lambda, weight of the quantization term")

    params: Params

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean over anchors of the mean over their triplets, and quantization term.

        An anchor is its own positive too. Anchors without a positive or without a negative do not count;
        a batch without any anchor that counts has a triplet term of 0.
        """
        import torch
        from torch.nn import functional as F

        theta = codes @ codes.T
        positive = (labels @ labels.T > 0).to(codes.dtype)
        negative = 1 - positive
        # (anchor, positive, negative)
        lead = theta[:, :, None] - theta[:, None, :] - self.params.margin
        # Beyond the bounds a triplet has no gradient; -log sigmoid(x) = log(1 + e^-x) without overflow.
        costs = -F.logsigmoid(lead.clamp(-100, 50))
        triplets = positive.sum(dim=1) * negative.sum(dim=1)
        sums = torch.einsum("apn,ap,an->a", costs, positive, negative)
        anchors = (triplets > 0).sum().clamp(min=1)
        quantization = (codes - codes.sign()).square().mean()
        return {
            "triplets": (sums / triplets.clamp(min=1)).sum() / anchors,
            "quantization": self.params.quantization_weight * quantization,
        }
