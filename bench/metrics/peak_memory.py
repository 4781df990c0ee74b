"""How much memory one forward pass needs at most: weights, buffers, the batch, and what is made of it.

On a GPU torch's allocator says how far the pass rises above what is allocated before it. On a CPU every
allocation of the pass is recorded and added up in order; what a library such as oneDNN allocates for
itself is not seen. Workspaces that stay after the first pass are not counted.

measure: {peak_memory: {batch_sizes: [1, 64]}}
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.errors import BenchError
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import BatchSizes, Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.sizes import sides
from models.weights import stored_bytes

if TYPE_CHECKING:
    from torch import Tensor


@METRICS.register
class PeakMemory(Metric):
    """Peak bytes of a forward pass in the grid's precision, after one to warm up; 1 MB = 10^6 bytes."""

    version = 2
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "timed"  # not by the clock, but by the machine: keyed by hardware like it

    class Params(Parameters):
        """What is run."""

        batch_sizes: BatchSizes = Field((1, 64), min_length=1, description="images per forward pass")

    def compute(self, subject: Deployment) -> Measurement:
        """``peak_memory_mb@<batch>``."""
        import torch

        weights = stored_bytes(subject.net)
        values = {}
        for batch_size in self.params.batch_sizes:
            size = subject.image_size
            images = torch.zeros(batch_size, 3, *sides(size), device=subject.device)
            _forward(subject, images)
            work = _peak_on_gpu(subject, images) if images.is_cuda else _peak_on_cpu(subject, images)
            peak = (weights + images.numel() * images.element_size() + work) / 1e6
            detail = {
                "batch_size": batch_size,
                "image_size": size,
                "device": subject.device.type,
                "precision": subject.precision,
                "weights_mb": weights / 1e6,
            }
            values[f"peak_memory_mb@{batch_size}"] = MetricValue(peak, "MB", False, "timed", detail=detail)
        return Measurement(values)


def _forward(subject: Deployment, images: Tensor) -> None:
    import torch

    half = subject.precision == "bf16"
    with torch.inference_mode(), torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        subject.net(images)


def _peak_on_cpu(subject: Deployment, images: Tensor) -> int:
    """Peak bytes that the pass allocates through torch."""
    # Read once, when the profiler first starts; without it the profiler talks to the terminal.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from torch.profiler import ProfilerActivity, profile

    # There is one cycle; without acc_events some versions of torch warn that others would be lost.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        _forward(subject, images)
    assert profiler.profiler is not None
    recorded = profiler.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in recorded if event.name() == "[memory]")
    if not changes:
        raise BenchError("torch's profiler recorded no allocation; drop 'peak_memory' from measure")
    allocated = peak = 0
    for _, change in changes:
        allocated += change
        peak = max(peak, allocated)
    return peak


def _peak_on_gpu(subject: Deployment, images: Tensor) -> int:
    """Peak bytes above what is allocated before the pass."""
    import torch

    before = torch.cuda.memory_allocated(images.device)
    torch.cuda.reset_peak_memory_stats(images.device)
    _forward(subject, images)
    return torch.cuda.max_memory_allocated(images.device) - before
