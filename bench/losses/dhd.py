"""Deep hash distillation: learnt proxies of classes; codes of strong views follow those of weak ones.

Y. K. Jang et al., "Deep Hash Distillation for Image Retrieval", ECCV 2022, arXiv 2112.08816; formulas and
settings are those of its public code. A batch shows every image twice: as training does it anyway, and in a
strong view, a smaller piece of the image (``bench.training.views.strong_crops``). The code is tanh of a hash
layer that is normalised over the bits of an image, of which a linear hash head with the same signs is left.

    loss: [{name: dhd, params: {temperature: 0.2, distillation_weight: 0.1}}]
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import AnySchedule, HashingParameters, HashingTask, RateSchedule, Space

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Of Xavier's initialisation before a tanh.
GAIN = 5 / 3


@LOSSES.register
class Dhd(Loss):
    """Cross-entropy of cosines to proxies, self-distillation of views, and Gaussian estimators of bits."""

    version = 1
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "temperature": (0.05, 1.0, "log"),
        "distillation_weight": (1e-2, 1.0, "log"),
    }
    views_per_step: ClassVar[int] = 2

    class Params(HashingParameters):
        """Published settings."""

        epochs: int = Field(500, ge=1)
        batch_size: int = Field(128, ge=2, description="images per step, each in two views")
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
        lr: float = Field(1.5e-5, gt=0)
        head_lr_scale: float = Field(20.0, gt=0, description="factor on lr for hash head and proxies")
        weight_decay: float = Field(1e-5, ge=0)
        schedule: AnySchedule = RateSchedule(fall="cosine", level=0.02, per="epoch")
        temperature: float = Field(0.2, gt=0, description="by which cosines to proxies are divided")
        distillation_weight: float = Field(0.1, ge=0, description="lambda 1, of strong views after weak ones")
        quantization_weight: float = Field(0.1, ge=0, description="lambda 2, of the quantization term")
        deviation: float = Field(0.5, gt=0, description="sigma, standard deviation of the estimators of bits")

    params: Params

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        bound = GAIN * math.sqrt(6 / (task.classes + task.bits))
        generator = torch.Generator().manual_seed(task.seed)
        proxies = torch.empty(task.classes, task.bits).uniform_(-bound, bound, generator=generator)
        #: float (classes, bits)
        self.proxies = torch.nn.Parameter(proxies)

    @classmethod
    def check(cls, bits: int) -> str | None:
        """One bit less its mean is nothing."""
        return f"dhd needs 2 bits or more, which it normalises together, not {bits}" if bits < 2 else None

    def trained_head(self, linear: nn.Linear) -> nn.Module:
        """With normalisation over bits behind it."""
        from models.layers.heads import CentredHead

        return CentredHead(linear)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The proxies."""
        return (self.proxies,)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Means over images; ``codes`` of weak views, then of strong ones, whose labels are the same.

        The labels of an image share its cross-entropy; one without any costs nothing by it.
        """
        from torch.nn import functional as F

        params = self.params
        weak, strong = codes.tanh().chunk(2)
        labels = labels[: len(weak)]
        cosines = F.normalize(weak, dim=1) @ F.normalize(self.proxies.to(codes), dim=1).T
        shares = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
        proxies = -(shares * (cosines / params.temperature).log_softmax(dim=1)).sum(dim=1).mean()
        apart = (1 - F.cosine_similarity(strong, weak.detach(), dim=1)).mean()
        return {
            "proxies": proxies,
            "distillation": params.distillation_weight * apart,
            "quantization": params.quantization_weight * bit_cross_entropy(weak, params.deviation),
        }


def bit_cross_entropy(codes: Tensor, deviation: float) -> Tensor:
    """Mean cross-entropy of the signs of ``codes``, float (n, bits), by two estimators of each bit.

    One for either sign s, exp(-(u - s)^2 / (2 sigma^2)), without the factor of a density. Of its own sign a
    bit costs -log of the one, of the other sign -log(1 - the other). They depend on |u| alone.
    """
    import torch

    size = codes.abs()
    own, other = ((((size - sign) / deviation).square() / 2) for sign in (1, -1))
    return (own - torch.log(-torch.expm1(-other))).mean()
