"""Multiply-adds of one image through the deployed network; one multiply-add counts as one.

``macs`` are those of convolutions and matrix products, on which fvcore and torch should agree to the last
operation; where they do not, one of them has missed some, the larger count stands, and the record says so.
``macs_fvcore`` is what fvcore prints, which adds normalisation and pooling; ``macs_torch`` is torch's
FlopCounterMode halved; ``macs_thop`` and ``params_thop`` are what thop prints, which looks at modules of
known types alone. ``macs_before`` is the network before step 1 pruned it.

    measure: {macs: {}}
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Names of fvcore's operators that are convolutions or matrix products.
PRODUCTS = frozenset({"conv", "linear", "addmm", "matmul", "mm", "bmm", "baddbmm", "einsum"})


@METRICS.register
class MultiplyAdds(Metric):
    """fvcore on a deep copy in eval mode, checked against torch's own counter."""

    version = 2
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "exact"

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Deployment) -> Measurement:
        """Count for one float32 image of the deployed size, on the CPU; ``subject.net`` stays as it is."""
        import torch

        net = copy.deepcopy(subject.net).cpu().float().eval()
        for module in net.modules():
            if hasattr(module, "fused_attn"):  # timm's switch
                setattr(module, "fused_attn", False)  # noqa: B010
        image = torch.zeros(1, 3, subject.image_size, subject.image_size)
        with _explicit_attention(), torch.no_grad():
            by_operator, uncounted = _fvcore(net, image)
            torch_count = _torch(net, image)
            thop_count, thop_params = _thop(copy.deepcopy(net), image)
        products = sum(count for name, count in by_operator.items() if name in PRODUCTS)
        macs = max(products, torch_count)
        detail: dict[str, Any] = {
            "counters_agree": products == torch_count,
            "by_operator": by_operator,
            "uncounted_operators": uncounted,
        }

        def value(count: int, unit: str = "multiply-adds") -> MetricValue:
            return MetricValue(count, unit, False, "exact")

        values = {
            "macs": MetricValue(macs, "multiply-adds", False, "exact", detail=detail),
            "flops": value(2 * macs, "floating-point operations"),
            "macs_fvcore": value(sum(by_operator.values())),
            "macs_torch": value(torch_count),
            "macs_thop": value(thop_count),
            "params_thop": value(thop_params, "parameters"),
        }
        if subject.original is not None:
            before = self.compute(replace(subject, net=subject.original, original=None))
            values["macs_before"] = before.values["macs"]
        return Measurement(values)


def _fvcore(net: nn.Module, image: Tensor) -> tuple[dict[str, int], dict[str, int]]:
    """Counts of fvcore by operator, and how often it met operators that it does not count."""
    with warnings.catch_warnings():
        # Torch deprecates torch.jit.script, which fvcore uses in modules that are not needed here.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(net, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counts = {str(name): int(count) for name, count in analysis.by_operator().items()}
    return counts, {str(name): int(n) for name, n in analysis.unsupported_ops().items()}


def _thop(net: nn.Module, image: Tensor) -> tuple[int, int]:
    """Multiply-adds and parameters; leaves hooks and buffers in ``net``, so it must be given a copy."""
    with warnings.catch_warnings():
        # thop imports distutils.
        warnings.simplefilter("ignore", DeprecationWarning)
        from thop import profile
    macs, params = profile(net, inputs=(image,), verbose=False)
    return int(macs), int(params)


def _torch(net: nn.Module, image: Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        net(image)
    return int(counter.get_total_flops()) // 2


@contextmanager
def _explicit_attention() -> Iterator[None]:
    """Fused attention hides its matrix products from both counters; take the plain path while counting."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast_path = torch.backends.mha.get_fastpath_enabled()
    tracer = logging.getLogger("fvcore.nn.jit_analysis")
    level = tracer.level
    torch.backends.mha.set_fastpath_enabled(False)
    tracer.setLevel(logging.ERROR)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        tracer.setLevel(level)
