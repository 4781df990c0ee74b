"""Context-unaware distillation: regress the features of a teacher that never saw the target data.

"Context Unaware Knowledge Distillation for Image Retrieval", arXiv 2207.09070. The teacher stays as it
was pretrained; no labels are used. Mean squared error over batch and dimensions, no temperature.

    method: [{name: cukd, params: {epochs: 20, views: 4}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bench.registry import METHODS
from bench.types import DistillationParameters

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class Cukd:
    """One frozen teacher, features of one width; a projection bridges widths during step 1 only."""

    version = 1
    teachers = (1, 1)
    same_width = True

    class Params(DistillationParameters):
        """Published settings for CIFAR-10: Adam at 1e-4, constant, 160 epochs of batches of 64."""

        epochs: int = Field(160, ge=1)

    def __init__(self, params: Params) -> None:
        self.params = params

    def terms(self, student: Tensor, teachers: list[Tensor]) -> dict[str, Tensor]:
        """Mean squared error between student and teacher features, float (n, d) each."""
        from torch.nn import functional as F

        return {"mse": F.mse_loss(student, teachers[0])}
