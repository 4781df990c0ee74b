"""GreedyHash: a linear classifier on the binary code itself, with the gradient passed straight through sign.

S. Su et al., "Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in CNN", NeurIPS 2018.
Images with several labels get binary cross-entropy per class: reducing them to one label, as public code
does, throws the others away.

    loss: [{name: greedyhash, params: {quantization_weight: 0.1}}]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import DESCENT
from bench.losses._targets import unlike_published
from bench.registry import LOSSES
from bench.types import AnySchedule, HashingParameters, HashingTask, RateSchedule, Space

if TYPE_CHECKING:
    from torch import Tensor, nn


@LOSSES.register
class GreedyHash(Loss):
    """Classification of sign(u), and a cubic pull of u to the corners of the cube."""

    version = 1
    space: ClassVar[Space] = {**DESCENT, "quantization_weight": (1e-3, 10.0, "log")}

    class Params(HashingParameters):
        """Published settings; for ImageNet, steps come every 80 epochs."""

        epochs: int = Field(200, ge=1)
        batch_size: int = Field(64, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "sgd"
        lr: float = Field(1e-3, gt=0)
        weight_decay: float = Field(5e-4, ge=0)
        schedule: AnySchedule = RateSchedule(fall="steps", every_epochs=30, factor=0.1)
        quantization_weight: float = Field(
            0.1, ge=0, description="alpha, weight of the quantization term; published for ImageNet: 1"
        )

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        bound = task.bits**-0.5
        generator = torch.Generator().manual_seed(task.seed)
        weights = torch.empty(task.classes, task.bits).uniform_(-bound, bound, generator=generator)
        #: float (classes, bits), no bias; initialised as torch's linear layers are
        self.classifier = torch.nn.Parameter(weights)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The classifier: untrained, its classes would be random directions."""
        return (self.classifier,)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the classifier on the binary code, and quantization term.

        Where images have several labels it is binary, the mean over images and classes.
        """
        from torch.nn import functional as F

        # Value exactly +-1, bit = (u >= 0) as codes are stored; gradient that of u.
        binary = (codes >= 0).to(codes.dtype) * 2 - 1 + (codes - codes.detach())
        logits = F.linear(binary, self.classifier.to(codes.dtype))
        if self.task.multi_label:
            classes = F.binary_cross_entropy_with_logits(logits, labels)
        else:
            classes = F.cross_entropy(logits, labels.argmax(dim=1))
        quantization = (codes.abs() - 1).abs().pow(3).mean()
        return {"classes": classes, "quantization": self.params.quantization_weight * quantization}

    def summary(self) -> dict[str, Any]:
        """A warning where published figures are of something else."""
        warned = unlike_published(self.task, "all of them by binary cross-entropy")
        return {"warnings": warned} if warned else {}
