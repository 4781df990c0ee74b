"""Multiply-adds of one image through the deployed network; one multiply-add counts as one.

``macs`` are those of convolutions and matrix products, summed over every operator that runs (see
``_operators``). What is elementwise, a reduction, a copy, pooling, normalisation or resampling has none.
An operator that is none of these and has no formula is named in the detail, and so are weights that no
operator used although their module ran; it then says ``fully_counted: false``: the count is a lower bound.

Second opinions: ``macs_fvcore`` is what fvcore prints, which adds normalisation and pooling; ``macs_torch``
is torch's FlopCounterMode halved; ``macs_thop`` and ``params_thop`` are what thop prints, which looks at
modules of known types alone. One that cannot read the network is left out. ``counters_agree``: everything is
counted, and fvcore and torch find as many, in convolutions and in matrix products. ``macs_before`` is the
network before step 1 pruned it.

    measure: {macs: {}}
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.sizes import sides

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")

#: Names of fvcore's operators that are matrix products; ``conv`` are its convolutions.
PRODUCTS = frozenset({"linear", "addmm", "matmul", "mm", "bmm", "baddbmm", "einsum"})


@METRICS.register
class MultiplyAdds(Metric):
    """Every operator on a deep copy in eval mode, with fvcore's, torch's and thop's counts beside it."""

    version = 3
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "exact"

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Deployment) -> Measurement:
        """Count for one float32 image of the deployed size, on the CPU; ``subject.net`` stays as it is."""
        import torch

        from bench.metrics import _operators as operators

        with torch.no_grad():
            net = copy.deepcopy(subject.net).cpu().float().eval()
        for module in net.modules():
            if hasattr(module, "fused_attn"):  # timm's switch
                setattr(module, "fused_attn", False)  # noqa: B010
        image = torch.zeros(1, 3, *sides(subject.image_size))
        counted = operators.count(net, image)
        with operators.explicit_attention(), torch.no_grad():
            fvcore, flops = _opinion(_fvcore, net, image), _opinion(_torch, net, image)
            thop = _opinion(_thop, copy.deepcopy(net), image)
        own = counted.convolutions, counted.matrix_products
        whole = not (counted.unknown or counted.unused)

        def value(count: int, unit: str = "multiply-adds", **detail: Any) -> MetricValue:
            return MetricValue(count, unit, False, "exact", detail=detail)

        values = {
            "macs": value(
                sum(own),
                fully_counted=whole,
                counters_agree=whole and fvcore is not None and own == _split(fvcore) and own == flops,
                by_operator=counted.products,
                uncounted_operators=counted.unknown,
                unused_weights=list(counted.unused),
            ),
            "flops": value(2 * sum(own), "floating-point operations", fully_counted=whole),
        }
        if fvcore is not None:
            values["macs_fvcore"] = value(sum(fvcore.values()), by_operator=fvcore)
        if flops is not None:
            values["macs_torch"] = value(sum(flops))
        if thop is not None:
            values |= {"macs_thop": value(thop[0]), "params_thop": value(thop[1], "parameters")}
        if subject.original is not None:
            before = self.compute(replace(subject, net=subject.original, original=None))
            values["macs_before"] = before.values["macs"]
        return Measurement(values)


def _opinion(counter: Callable[[nn.Module, Tensor], T], net: nn.Module, image: Tensor) -> T | None:
    """What a counter says; None where it cannot read a network that runs, such as a scripted one."""
    try:
        return counter(net, image)
    except Exception:
        return None


def _split(by_operator: dict[str, int]) -> tuple[int, int]:
    """Multiply-adds of fvcore's convolutions and of its matrix products."""
    products = sum(count for name, count in by_operator.items() if name in PRODUCTS)
    return by_operator.get("conv", 0), products


def _fvcore(net: nn.Module, image: Tensor) -> dict[str, int]:
    """Counts of fvcore by operator."""
    with warnings.catch_warnings():
        # Torch deprecates torch.jit.script, which fvcore uses in modules that are not needed here.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

    tracer = logging.getLogger("fvcore.nn.jit_analysis")
    level = tracer.level
    tracer.setLevel(logging.ERROR)
    try:
        analysis = FlopCountAnalysis(net, image).unsupported_ops_warnings(False)
        counts = analysis.uncalled_modules_warnings(False).by_operator()
        return {str(name): int(count) for name, count in counts.items()}
    finally:
        tracer.setLevel(level)


def _thop(net: nn.Module, image: Tensor) -> tuple[int, int]:
    """Multiply-adds and parameters; leaves hooks and buffers in ``net``, so it must be given a copy."""
    with warnings.catch_warnings():
        # thop imports distutils.
        warnings.simplefilter("ignore", DeprecationWarning)
        from thop import profile
    macs, params = profile(net, inputs=(image,), verbose=False)
    return int(macs), int(params)


def _torch(net: nn.Module, image: Tensor) -> tuple[int, int]:
    """Multiply-adds of convolutions and of everything else, by torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        net(image)
    flops = counter.get_flop_counts()["Global"]
    convolutions = sum(count for operator, count in flops.items() if "conv" in str(operator))
    return convolutions // 2, (sum(flops.values()) - convolutions) // 2
