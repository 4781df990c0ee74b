"""Deep pairwise-supervised hashing: each image of the batch against the last codes of all training images.

W.-J. Li et al., "Feature Learning based Deep Supervised Hashing with Pairwise Labels", IJCAI 2016.

    loss: [{name: dpsh, params: {quantization_weight: 0.1}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask, Space

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class Dpsh(Loss):
    """Likelihood of the pairs' labels given the inner product of codes; gradient by the batch's side only."""

    version = 2
    space: ClassVar[Space] = {**ADAPTIVE, "quantization_weight": (1e-3, 1.0, "log")}

    class Params(HashingParameters):
        """Published settings."""

        epochs: int = Field(150, ge=1)
        batch_size: int = Field(128, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        quantization_weight: float = Field(0.1, ge=0, description="alpha, weight of the quantization term")

    def __init__(self, params: Params, task: HashingTask) -> None:
        super().__init__(params, task)
        # Codes (train_images, bits) and labels (train_images, classes); made by the first batch, which
        # knows device and dtype.
        self.memory: tuple[Tensor, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {"memory": self.memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it."""
        self.memory = state["memory"] and tuple(state["memory"])

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Pair term over batch x training set, and quantization; the batch enters the memory first.

        Images not seen yet have the code 0 and no label: each pair with one adds a constant log 2.
        """
        from torch.nn import functional as F

        images = self.task.train_images
        if self.memory is None:
            self.memory = codes.new_zeros(images, codes.shape[1]), labels.new_zeros(images, labels.shape[1])
        # A new tensor each time: the graph of a batch keeps the memory that it was computed with.
        all_codes = self.memory[0].index_put((index,), codes.detach())
        all_labels = self.memory[1].index_put((index,), labels)
        self.memory = all_codes, all_labels
        similar = (labels @ all_labels.T > 0).to(codes.dtype)
        # log(1 + e^theta) - s theta, in the form that does not overflow.
        pairs = F.binary_cross_entropy_with_logits(codes @ all_codes.T / 2, similar)
        quantization = (codes - codes.sign()).square().mean()
        return {"pairs": pairs, "quantization": self.params.quantization_weight * quantization}
