"""Deep Cauchy hashing: pairs of images, Cauchy similarity of their codes, weighted cross-entropy.

Y. Cao et al., "Deep Cauchy Hashing for Hamming Space Retrieval", CVPR 2018.

    loss: [{name: dch, params: {gamma: 20, quantization_weight: 0.1}}]
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

#: Cosine is capped here: at 1 the Cauchy distance is 0 and log(distance / gamma) diverges.
MAX_COSINE = 0.99


@LOSSES.register
class Dch(Loss):
    """Similar pairs close, dissimilar pairs far, every code close to a corner of the cube."""

    version = 1
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "gamma": (2.0, 100.0, "log"),
        "quantization_weight": (1e-3, 1.0, "log"),
    }

    class Params(HashingParameters):
        """Published settings of the two-step pipeline that this suite reproduces."""

        epochs: int = Field(30, ge=1)
        batch_size: int = Field(128, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        gamma: float = Field(20.0, gt=0, description="scale of the Cauchy distribution")
        quantization_weight: float = Field(0.1, ge=0, description="lambda, weight of the quantization term")

    params: Params

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Cauchy cross-entropy over all pairs of the batch, and Cauchy quantization loss."""
        import torch

        gamma = self.params.gamma
        similar = (labels @ labels.T > 0).to(codes.dtype)
        distance = scaled_distance(codes, codes)
        # -log sigma for similar pairs, -log(1 - sigma) for the others, with sigma = gamma / (gamma + d).
        pairs = similar * torch.log(distance / gamma) + torch.log1p(gamma / distance)
        cross_entropy = (_balance(similar) * pairs).mean()
        corner = torch.ones_like(codes[:1])
        quantization = torch.log1p(scaled_distance(codes.abs(), corner) / gamma).mean()
        return {"pairs": cross_entropy, "quantization": self.params.quantization_weight * quantization}


def scaled_distance(a: Tensor, b: Tensor) -> Tensor:
    """Relaxed Hamming distance, bits / 2 * (1 - cosine): float (n, bits), (m, bits) -> (n, m)."""
    norms = a.norm(dim=1, keepdim=True) * b.norm(dim=1, keepdim=True).T
    cosine = (a @ b.T) / norms.clamp(min=1e-4)
    distance: Tensor = a.shape[1] / 2 * (1 - cosine.clamp(max=MAX_COSINE))
    return distance


def _balance(similar: Tensor) -> Tensor:
    """Weight that gives similar and dissimilar pairs equal say; 1 where the batch holds only one kind."""
    import torch

    total, positive = similar.numel(), similar.sum()
    if positive in (0, total):
        return torch.ones_like(similar)
    return torch.where(similar > 0, total / positive, total / (total - positive))
