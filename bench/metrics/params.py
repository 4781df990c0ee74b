"""Number of parameters of the deployed network: trunk and hash head, no training classifier.

measure: {params: {}}
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject


@METRICS.register
class ParameterCount(Metric):
    """Sum of ``numel`` over the parameters; buffers such as batch-norm statistics are not parameters."""

    version = 1
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "exact"

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Deployment) -> Measurement:
        """Count, shared parameters once; ``params_before`` where step 1 pruned the network."""
        count = sum(parameter.numel() for parameter in subject.net.parameters())
        values = {"params": MetricValue(count, "parameters", False, "exact")}
        if subject.original is not None:
            before = self.compute(replace(subject, net=subject.original, original=None))
            values["params_before"] = before.values["params"]
        return Measurement(values)
