"""HashNet: pairs of images, cross-entropy of their inner product, codes made binary by continuation.

Z. Cao et al., "HashNet: Deep Learning to Hash by Continuation", ICCV 2017.
Pairs are those of the batch; similar and dissimilar ones are averaged apart and so have equal say.

    loss: [{name: hashnet, params: {alpha: 0.1, period: 20}}]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask, Space

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class HashNet(Loss):
    """Pairwise cross-entropy of tanh(beta u), where beta grows with the epochs: no quantization term."""

    version = 1
    space: ClassVar[Space] = {**ADAPTIVE, "alpha": (1e-2, 1.0, "log"), "period": (5, 50, "linear")}

    class Params(HashingParameters):
        """Published settings."""

        epochs: int = Field(150, ge=1)
        batch_size: int = Field(64, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        alpha: float = Field(0.1, gt=0, description="scale of the inner product of two codes")
        period: int = Field(20, ge=1, description="epochs between steps of beta: 1, sqrt 2, sqrt 3, ...")

    def __init__(self, params: Params, task: HashingTask) -> None:
        super().__init__(params, task)
        self.beta = 1.0

    def begin_epoch(self, epoch: int) -> None:
        """Sharpen the tanh that stands in for the sign."""
        self.beta = math.sqrt(epoch // self.params.period + 1)

    def state_dict(self) -> dict[str, Any]:
        """How sharp it is."""
        return {"beta": self.beta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be as sharp as that."""
        self.beta = state["beta"]

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy over similar and over dissimilar pairs; 0 where the batch has none of a kind."""
        from torch.nn import functional as F

        relaxed = (self.beta * codes).tanh()
        similar = (labels @ labels.T > 0).to(codes.dtype)
        # log(1 + e^theta) - s theta, in the form that does not overflow.
        pairs = F.binary_cross_entropy_with_logits(
            self.params.alpha * relaxed @ relaxed.T, similar, reduction="none"
        )
        dissimilar = 1 - similar
        return {
            "similar": (similar * pairs).sum() / similar.sum().clamp(min=1),
            "dissimilar": (dissimilar * pairs).sum() / dissimilar.sum().clamp(min=1),
        }
