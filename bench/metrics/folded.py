"""The network as it is deployed, with batch normalisation folded into its convolutions: counted and timed.

That is the network which makes the codes of a cell and goes into bundles: in eval mode a normalisation behind
a convolution is a part of it, with a bias in place of its own weights. Multiply-adds stay what they are,
since those of normalisations do not count; parameters, bytes and time do not. One whose forward pass cannot
be traced is measured as it is; ``normalisations_left`` says how many stayed.

measure: {folded: {batch_sizes: [1, 64]}}
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.parameters import BatchSizes, Samples, Seconds

#: What is told of the folded network, as the metrics call it that find it.
TOLD = ("params", "macs", "weights_mb", "latency_ms")


@METRICS.register
class Folded(Metric):
    """The same metrics as of the network with its normalisations, under names that end in ``_folded``."""

    version = 1
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """What is timed, and how long; as in ``latency``."""

        batch_sizes: BatchSizes = Field((1, 64), min_length=1, description="images per forward pass")
        samples: Samples = Field(30, description="timings to take at least, if time allows; all are kept")
        warmup_seconds: Seconds = Field(5.0, description="how long to wait for stable timings at most")
        budget_seconds: Seconds = Field(10.0, description="for one timing, warm-up included")

    def compute(self, subject: Deployment) -> Measurement:
        """``params_folded``, ``macs_folded``, ``weights_mb_folded`` and ``latency_ms_folded@<batch>``."""
        deployed = deployed_of(subject)
        left = {"normalisations_left": _normalisations(deployed)}
        timed = self.params.model_dump(mode="json")
        values: dict[str, MetricValue] = {}
        for name, params in (("params", {}), ("macs", {}), ("weights", {}), ("latency", timed)):
            metric: Any = METRICS.get(name)
            for full, value in metric(metric.Params.of(params)).compute(deployed).values.items():
                base, at, rest = full.partition("@")
                if base in TOLD:
                    values[f"{base}_folded{at}{rest}"] = replace(value, detail={**value.detail, **left})
        return Measurement(values)


def deployed_of(subject: Deployment) -> Deployment:
    """``subject`` with its normalisations folded; its outputs differ by rounding alone."""
    from models.layers.folding import folded

    return replace(subject, net=folded(subject.net), original=None)


def _normalisations(subject: Deployment) -> int:
    from torch.nn.modules.batchnorm import _BatchNorm

    return sum(isinstance(module, _BatchNorm) for module in subject.net.modules())
