"""Joules per image: what the GPU's own energy counter gains while the network runs, idle draw included.

measure: {energy: {batch_sizes: [64], seconds: 10}}   # pip install 'hash-pareto[energy]'
"""

from __future__ import annotations

import contextlib
import time
from typing import ClassVar

from pydantic import Field

from bench.errors import BenchError, require
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import BatchSizes, Deployment, Measurement, MetricValue, Noise, Parameters, Subject
from bench.types.sizes import sides


@METRICS.register
class Energy(Metric):
    """NVML's total energy since the driver was loaded, read before and after (Volta and newer GPUs)."""

    version = 1
    subject: ClassVar[Subject] = "network"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """What is run, and how long."""

        batch_sizes: BatchSizes = Field((64,), min_length=1, description="images per forward pass")
        seconds: float = Field(10.0, ge=1, le=86_400, description="how long each measurement runs at least")

    def __init__(self, params: Params) -> None:
        require("the metric 'energy'", "energy", "pynvml")
        super().__init__(params)

    def compute(self, subject: Deployment) -> Measurement:
        """``energy_j@<batch>``: joules per image.

        Raises:
            BenchError: the network is not on a GPU, or the GPU has no energy counter.
        """
        import pynvml
        import torch

        if subject.device.type != "cuda":
            raise BenchError(
                f"energy is measured on NVIDIA GPUs, not on '{subject.device.type}'; drop it from measure"
            )
        index = subject.device.index if subject.device.index is not None else torch.cuda.current_device()
        try:
            pynvml.nvmlInit()
            identifier = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(identifier)
            values = {
                f"energy_j@{batch_size}": self._measure(subject, batch_size, handle)
                for batch_size in self.params.batch_sizes
            }
        except pynvml.NVMLError as error:
            raise BenchError(f"no energy counter on this GPU ({error}); drop it from measure") from error
        finally:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
        return Measurement(values)

    def _measure(self, subject: Deployment, batch_size: int, handle: object) -> MetricValue:
        import pynvml
        import torch

        size, device = subject.image_size, subject.device
        images = torch.randn(batch_size, 3, *sides(size), device=device)  # zeros would draw less
        half = subject.precision == "bf16"
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            for _ in range(10):
                subject.net(images)
            torch.cuda.synchronize(device)
            passes, started = 0, time.perf_counter()
            before = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # millijoules
            while passes == 0 or time.perf_counter() - started < self.params.seconds:
                subject.net(images)
                torch.cuda.synchronize(device)
                passes += 1
            joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) - before) / 1e3
            seconds = time.perf_counter() - started
        if joules <= 0:
            raise BenchError("the GPU's energy counter did not move; drop 'energy' from measure")
        detail = {
            "batch_size": batch_size,
            "image_size": size,
            "precision": subject.precision,
            "seconds": seconds,
            "images": passes * batch_size,
            "watts": joules / seconds,
        }
        return MetricValue(joules / (passes * batch_size), "J/image", False, "timed", detail=detail)
