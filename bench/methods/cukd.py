"""Context-unaware distillation: regress the features of a teacher that never saw the target data.

"Context Unaware Knowledge Distillation for Image Retrieval", arXiv 2207.09070. The teacher stays as it
was pretrained; no labels are used. Mean squared error over batch and dimensions, no temperature.

    method: [{name: cukd, params: {epochs: 20, views: 4}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from bench.interfaces import Method
from bench.methods._spaces import ADAPTIVE
from bench.registry import METHODS
from bench.types import DistillationBatch, SharedViewsParameters

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class Cukd(Method):
    """One frozen teacher, features of one width; a projection bridges widths during step 1 only."""

    version = 1
    teachers = (1, 1)
    space = ADAPTIVE

    class Params(SharedViewsParameters):
        """Published settings for CIFAR-10: Adam at 1e-4, constant, 160 epochs of batches of 64."""

        epochs: int = Field(160, ge=1)

    def network(self) -> nn.Module:
        """The student, and where its feature is not as wide as the teacher's, a linear map behind it."""
        from torch import nn

        if not self._projected():
            return self.task.trunk
        return nn.Sequential(self.task.trunk, nn.Linear(self.task.width, self._wanted()))

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """Mean squared error between student and teacher features, float (n, d) each."""
        from torch.nn import functional as F

        return {"mse": F.mse_loss(outputs, batch.teachers[0])}

    def summary(self) -> dict[str, Any]:
        """Whether widths had to be bridged."""
        return {"projection": self._projected()}

    def _wanted(self) -> int:
        return self.task.teacher_widths[0]

    def _projected(self) -> bool:
        return self.task.width != self._wanted()
