"""Number of parameters of the deployed network: trunk and hash head, no training classifier.

measure: {params: {}}
"""

from __future__ import annotations

from typing import ClassVar

from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject


@METRICS.register
class ParameterCount:
    """Sum of ``numel`` over the parameters; buffers such as batch-norm statistics are not parameters."""

    version = 1
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "exact"

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Deployment) -> Measurement:
        """Count; shared parameters once."""
        count = sum(parameter.numel() for parameter in subject.net.parameters())
        return Measurement({"params": MetricValue(count, "parameters", False, "exact")})
