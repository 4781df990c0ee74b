"""What must be stored: megabytes of the deployed network's weights, and bytes of one code.

measure: {weights: {}}
"""

from __future__ import annotations

from typing import ClassVar

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.sizes import sides
from models.weights import stored_bytes


@METRICS.register
class WeightsSize(Metric):
    """Bytes of the state dict in the precision it is trained and saved in; 1 MB = 10^6 bytes."""

    version = 2
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "exact"
    tells_storage = True

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Deployment) -> Measurement:
        """Parameters and buffers, as both ship, tied ones once; codes, or embeddings in float32."""
        size = stored_bytes(subject.net)
        bits = subject.bits or subject.stored_bits
        code = -(-bits // 8) if bits else 4 * _width(subject)
        return Measurement(
            {
                "weights_mb": MetricValue(size / 1e6, "MB", False, "exact"),
                "code_bytes": MetricValue(code, "bytes", False, "exact"),
            }
        )


def _width(subject: Deployment) -> int:
    """Dimensions of the embedding."""
    import torch

    with torch.inference_mode():
        image = torch.zeros(1, 3, *sides(subject.image_size), device=subject.device)
        return int(subject.net(image).shape[1])
