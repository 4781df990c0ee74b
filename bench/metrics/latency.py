"""How long the deployed network takes for a batch that is already on the device.

A timing goes on until its median is steady (see ``bench.timing``), at most for its budget: a large batch of a
large network may be timed a few times only, and is then flagged as noisy.

The network is deployed as torch makes it, channels first, in the precision of the grid. ``variants``
deploy the same weights in other ways: ``fp32`` and ``bf16`` cast weights and images; ``channels_last`` lays
them out pixel by pixel and ``compile`` is torch.compile for this batch size, both in the grid's precision.

measure: {latency: {batch_sizes: [1, 64], variants: [channels_last, compile]}}
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bench import timing
from bench.errors import BenchError
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.parameters import BatchSizes, Samples, Seconds
from bench.types.sizes import sides

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Variant = Literal["fp32", "bf16", "channels_last", "compile"]


@METRICS.register
class Latency(Metric):
    """Median of all samples after a warm-up; CUDA events on a GPU, the monotonic clock on a CPU."""

    version = 3
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """What is timed, and how long."""

        batch_sizes: BatchSizes = Field((1, 64), min_length=1, description="images per forward pass")
        variants: tuple[Variant, ...] = Field((), description="other deployments of the same weights")
        samples: Samples = Field(30, description="timings to take at least, if time allows; all are kept")
        warmup_seconds: Seconds = Field(5.0, description="how long to wait for stable timings at most")
        budget_seconds: Seconds = Field(10.0, description="for one timing, warm-up included")

    def compute(self, subject: Deployment) -> Measurement:
        """``latency_ms@<batch>`` and ``throughput_ips@<batch>``; a variant's end with ``:<variant>``.

        Raises:
            BenchError: torch.compile cannot build the network here.
        """
        values: dict[str, MetricValue] = {}
        for variant in (None, *dict.fromkeys(self.params.variants)):
            for batch_size in self.params.batch_sizes:
                taken, conditions = self._time(subject, variant, batch_size)
                ending = f"@{batch_size}" + (f":{variant}" if variant else "")
                rate = batch_size / taken.median
                values[f"latency_ms{ending}"] = taken.milliseconds(**conditions)
                values[f"throughput_ips{ending}"] = MetricValue(
                    rate, "images/s", True, "timed", detail={**conditions, "noisy": taken.noisy}
                )
        return Measurement(values)

    def _time(
        self, subject: Deployment, variant: Variant | None, batch_size: int
    ) -> tuple[timing.Timing, dict[str, object]]:
        import torch

        size, device = subject.image_size, subject.device
        images = torch.randn(batch_size, 3, *sides(size), device=device)
        watch = _cuda_stopwatch(device) if device.type == "cuda" else timing.stopwatch
        precision = variant if variant in ("fp32", "bf16") else subject.precision
        half = variant not in ("fp32", "bf16") and subject.precision == "bf16"
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            forward = _deploy(subject, variant, images)
            taken = timing.measure(
                lambda: forward(images),
                watch=watch,
                samples=self.params.samples,
                warmup_seconds=self.params.warmup_seconds,
                budget_seconds=self.params.budget_seconds,
            )
        return taken, {
            "batch_size": batch_size,
            "image_size": size,
            "device": device.type,
            "threads": torch.get_num_threads(),
            "precision": precision,
            "memory_format": "channels_last" if variant == "channels_last" else "contiguous",
        }


def _deploy(subject: Deployment, variant: Variant | None, images: Tensor) -> Callable[[Tensor], object]:
    """The forward pass of float32 images, conversions included; ``images`` is the batch to compile for."""
    import torch

    if variant is None:
        return subject.net
    net = copy.deepcopy(subject.net).eval()
    if variant == "channels_last":
        net = net.to(memory_format=torch.channels_last)
        return lambda images: net(images.to(memory_format=torch.channels_last))
    if variant == "compile":
        # What was compiled before would count against dynamo's limit, and behind it all is eager again.
        torch._dynamo.reset()
        compiled = torch.compile(net, dynamic=False)
        try:
            compiled(images)
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            cure = "install a C++ compiler, or drop the variant 'compile'"
            raise BenchError(f"torch.compile cannot build the network ({reason}); {cure}") from error
        return compiled
    dtype = torch.bfloat16 if variant == "bf16" else torch.float32
    net = net.to(dtype)
    return lambda images: net(images.to(dtype))


def _cuda_stopwatch(device: torch.device) -> Callable[[Callable[[], object]], float]:
    """Seconds between two events around the call on the device's stream."""
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
