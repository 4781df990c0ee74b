"""Soft targets: the student learns the class probabilities of the teacher's own pretraining.

G. Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, without the term on
labels. The classes are those that the teacher was pretrained on (ImageNet), not those of the data set: no
labels are used. The student's classifier for them is dropped afterwards.

    method: [{name: logits, params: {temperature: 4}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.interfaces import Method
from bench.methods._spaces import ADAPTIVE
from bench.registry import METHODS
from bench.types import DistillationBatch, SharedViewsParameters, Space

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class Logits(Method):
    """One frozen teacher that has kept its classifier."""

    version = 1
    teachers = (1, 1)
    teacher_output = "logits"
    space: ClassVar[Space] = {**ADAPTIVE, "temperature": (1.0, 20.0, "log")}

    class Params(SharedViewsParameters):
        """How soft the targets are."""

        temperature: float = Field(4.0, gt=0, description="divides the logits of teacher and student")

    def network(self) -> nn.Module:
        """The student and a classifier for the teacher's classes."""
        from torch import nn

        classes = self.task.teacher_widths[0]
        return nn.Sequential(self.task.trunk, nn.Linear(self.task.width, classes))

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """T^2 KL(teacher || student) at temperature T; float (n, classes) each."""
        from torch.nn import functional as F

        temperature = self.params.temperature
        student = F.log_softmax(outputs / temperature, dim=1)
        teacher = F.log_softmax(batch.teachers[0] / temperature, dim=1)
        return {"kl": temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)}
