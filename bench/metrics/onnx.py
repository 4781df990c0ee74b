"""The trained network in ONNX Runtime on the CPU, float32 and int8: how fast, how small, at what mAP.

int8 is calibrated on training images, never on the query set. mAP is the protocol's, of the codes that
each makes; ``onnx_map_change`` is the mean difference of the same queries' scores from torch's.

measure: {onnx: {batch_sizes: [1, 64], calibration_images: 256}}   # pip install 'hash-pareto[onnx]'
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import timing
from bench.hamming import average_precision, pack_signs
from bench.hamming.ties import Floats
from bench.interfaces import Metric
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval, Subject, System
from bench.types.parameters import BatchSizes, Samples, Seconds
from bench.types.sizes import ImageSize, sides
from models import onnx_export
from models.onnx_export import Images


@METRICS.register
class OnnxRuntime(Metric):
    """Latency by the host's clock, on as many threads as torch uses."""

    version = 1
    subject: ClassVar[Subject] = "system"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """What is timed, and what int8 is calibrated on."""

        batch_sizes: BatchSizes = Field((1, 64), min_length=1, description="images per forward pass")
        calibration_images: int = Field(256, ge=1, description="training images that set int8 ranges")
        samples: Samples = Field(30, description="timings to keep, all of them")
        warmup_seconds: Seconds = Field(5.0, description="how long to wait for stable timings at most")

    def __init__(self, params: Params) -> None:
        onnx_export.require_onnx("the metric 'onnx'")
        super().__init__(params)

    def compute(self, subject: System) -> Measurement:
        """``onnx_map:<precision>`` and so on; ``onnx_latency_ms@<batch>:<precision>``.

        ``onnx_bits_changed`` is the share of the query codes' bits that differ from torch's.
        """
        import torch

        threads, net = torch.get_num_threads(), subject.deployment.net
        own = _scores(subject.retrieval, subject.retrieval.query, subject.retrieval.database)
        values: dict[str, MetricValue] = {}
        per_query: dict[str, Floats] = {}
        with tempfile.TemporaryDirectory() as folder:
            single = onnx_export.export(net, subject.deployment.image_size, Path(folder) / "fp32.onnx")
            int8 = onnx_export.quantise(single, Path(folder) / "int8.onnx", self._calibration(subject))
            for precision, path in (("fp32", single), ("int8", int8)):
                session = OnnxSession(path, threads)
                values |= self._latencies(session, precision, subject.deployment.image_size, threads)
                query, database = (_codes(session, subject, part) for part in ("query", "database"))
                scores = _scores(subject.retrieval, query, database)
                changed = np.bitwise_count(query ^ subject.retrieval.query).sum() / len(query)
                share = float(changed) / subject.retrieval.bits
                values |= {
                    f"onnx_file_mb:{precision}": MetricValue(path.stat().st_size / 1e6, "MB", False, "exact"),
                    f"onnx_bits_changed:{precision}": MetricValue(share, "", False, "seeded"),
                    f"onnx_map:{precision}": mean_over_queries(scores),
                    f"onnx_map_change:{precision}": mean_over_queries(scores - own),
                }
                per_query[f"onnx_map:{precision}"] = scores
        return Measurement(values, per_query)

    def _calibration(self, subject: System) -> Iterator[Images]:
        left = self.params.calibration_images
        for batch in subject.batches("train"):
            yield batch[:left].float().cpu().contiguous().numpy()
            left -= len(batch)
            if left <= 0:
                return

    def _latencies(
        self, session: OnnxSession, precision: str, image_size: ImageSize, threads: int
    ) -> dict[str, MetricValue]:
        values = {}
        for batch_size in self.params.batch_sizes:
            shape = batch_size, 3, *sides(image_size)
            images = np.random.default_rng(0).standard_normal(shape, np.float32)
            taken = timing.measure(
                lambda images=images: session(images),  # type: ignore[misc]
                samples=self.params.samples,
                warmup_seconds=self.params.warmup_seconds,
            )
            conditions = {"batch_size": batch_size, "image_size": image_size, "device": "cpu"}
            values[f"onnx_latency_ms@{batch_size}:{precision}"] = taken.milliseconds(
                **conditions, threads=threads, precision=precision
            )
        return values


class OnnxSession:
    """An exported network: float32 (n, 3, s, s) -> float32 (n, bits), any n."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """The outputs of a batch."""
        return np.asarray(self._session.run(None, {"images": images})[0])


def _codes(session: OnnxSession, subject: System, part: str) -> np.ndarray:
    outputs = [session(batch.float().cpu().contiguous().numpy()) for batch in subject.batches(part)]
    return pack_signs(np.concatenate(outputs))


def _scores(retrieval: Retrieval, query: np.ndarray, database: np.ndarray) -> Floats:
    rule = retrieval.protocol
    return average_precision(
        query,
        database,
        retrieval.query_labels,
        retrieval.database_labels,
        bits=retrieval.bits,
        k=rule.k,
        ties=rule.ties,
        normalizer=rule.normalizer,
    )
