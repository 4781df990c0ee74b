"""How long the deployed network takes for a batch that is already on the device.

measure: {latency: {batch_sizes: [1, 64], samples: 30}}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bench import timing
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters

if TYPE_CHECKING:
    import torch

#: A run whose interquartile range exceeds this share of its median is flagged as noisy.
NOISY = 0.1


@METRICS.register
class Latency:
    """Median of all samples after a warm-up; CUDA events on a GPU, the monotonic clock on a CPU."""

    version = 1
    subject: ClassVar[Literal["codes", "network"]] = "network"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """What is timed, and how long."""

        batch_sizes: tuple[int, ...] = Field((1, 64), min_length=1, description="images per forward pass")
        samples: int = Field(30, ge=5, description="timings to keep, all of them")
        warmup_seconds: float = Field(5.0, gt=0, description="how long to wait for stable timings at most")

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Deployment) -> Measurement:
        """``latency_ms@<batch>`` and ``throughput_ips@<batch>`` for every batch size."""
        import torch

        values: dict[str, MetricValue] = {}
        for batch_size in self.params.batch_sizes:
            taken = self._time(subject, batch_size)
            quartiles = taken.percentile(25), taken.percentile(75)
            spread = (quartiles[1] - quartiles[0]) / taken.median
            conditions = {
                "batch_size": batch_size,
                "image_size": subject.image_size,
                "device": subject.device.type,
                "threads": torch.get_num_threads(),
                "precision": subject.precision,
                "noisy": spread > NOISY or not taken.stable,
            }
            detail = {
                **conditions,
                "p95_ms": 1e3 * taken.percentile(95),
                "iqr_ms": 1e3 * (quartiles[1] - quartiles[0]),
                "warmup_calls": taken.warmup_calls,
            }
            milliseconds = tuple(round(1e3 * sample, 6) for sample in taken.samples)
            values[f"latency_ms@{batch_size}"] = MetricValue(
                1e3 * taken.median, "ms", False, "timed", samples=milliseconds, detail=detail
            )
            values[f"throughput_ips@{batch_size}"] = MetricValue(
                batch_size / taken.median, "images/s", True, "timed", detail=conditions
            )
        return Measurement(values)

    def _time(self, subject: Deployment, batch_size: int) -> timing.Timing:
        import torch

        size = subject.image_size
        images = torch.randn(batch_size, 3, size, size, device=subject.device)
        half = subject.precision == "bf16"
        watch = _cuda_stopwatch(subject.device) if subject.device.type == "cuda" else timing.stopwatch
        with torch.inference_mode(), torch.autocast(subject.device.type, torch.bfloat16, enabled=half):
            return timing.measure(
                lambda: subject.net(images),
                watch=watch,
                samples=self.params.samples,
                warmup_seconds=self.params.warmup_seconds,
            )


def _cuda_stopwatch(device: torch.device) -> Callable[[Callable[[], object]], float]:
    """Seconds between two events around the call on the device's stream, host overhead left out."""
    import torch

    def watch(call: Callable[[], object]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3

    return watch
