"""What one lookup costs: time and memory of FAISS's binary indexes over the codes of the database.

``flat`` is exact. ``ivf`` (inverted lists) and ``multihash`` (hash tables over parts of the code) look at
fewer items and may miss some: their recall stands beside their speed.

measure: {search: {k: 100, indexes: [flat, ivf, multihash], nprobe: 8}}
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Literal

import faiss
import numpy as np
from pydantic import Field

from bench import timing
from bench.errors import BenchError
from bench.hamming import hamming_search
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval, Subject

Kind = Literal["flat", "ivf", "multihash"]


@METRICS.register
class Search:
    """Times of the host's clock, on as many threads as FAISS uses; building the index is not counted."""

    version = 2
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "timed"

    class Params(Parameters):
        """Which indexes, and how they are built."""

        k: int = Field(100, ge=1, description="neighbours to return, at most all")
        indexes: tuple[Kind, ...] = Field(("flat",), min_length=1)
        batch: int = Field(64, ge=1, description="queries per call when the rate is measured, at most all")
        samples: int = Field(30, ge=5, description="timings to keep, all of them")
        warmup_seconds: float = Field(1.0, gt=0, description="how long to wait for stable timings at most")
        nlist: int | None = Field(None, ge=1, description="ivf: number of lists; null = square root of n")
        nprobe: int = Field(8, ge=1, description="ivf: lists that are looked at, at most all")
        tables: int = Field(2, ge=1, description="multihash: number of tables")
        table_bits: int | None = Field(
            None, ge=1, le=60, description="multihash: bits of the code per table; null = all, at most 16"
        )
        flips: int = Field(1, ge=0, description="multihash: bits of a key that may differ")

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Retrieval) -> Measurement:
        """``search_ms@1``, ``search_qps``, ``index_bytes``; ``search_qps:ivf`` and so on, with recall.

        Raises:
            BenchError: the codes are too short or the database too small for an index.
        """
        values: dict[str, MetricValue] = {}
        for kind in self.params.indexes:
            ending = "" if kind == "flat" else f":{kind}"
            measured = self._measure(kind, subject)
            values |= {f"{name}{ending}": value for name, value in measured.items()}
        return Measurement(values)

    def _measure(self, kind: Kind, subject: Retrieval) -> dict[str, MetricValue]:
        params, k = self.params, min(self.params.k, len(subject.database))
        index = self._build(kind, subject.database)
        queries = np.ascontiguousarray(subject.query)
        batch = queries[: params.batch]
        single = itertools.cycle(range(len(queries)))

        def one() -> None:
            row = next(single)
            index.search(queries[row : row + 1], k)

        settings: dict[str, Any] = {"samples": params.samples, "warmup_seconds": params.warmup_seconds}
        alone, together = (
            timing.measure(one, **settings),
            timing.measure(lambda: index.search(queries, k), **settings),
        )
        detail = {
            "k": k,
            "database": len(subject.database),
            "code_bytes": subject.database.shape[1],
            "threads": faiss.omp_get_max_threads(),
            "faiss": faiss.__version__,
        }
        rate = tuple(len(batch) / seconds for seconds in together.samples)
        size = len(faiss.serialize_index_binary(index))
        values = {
            "search_ms@1": alone.milliseconds(**detail),
            "search_qps": MetricValue(
                len(batch) / together.median,
                "queries/s",
                True,
                "timed",
                samples=rate,
                detail={**detail, "batch_size": len(batch), "noisy": together.noisy},
            ),
            "index_bytes": MetricValue(size, "bytes", False, "exact", detail=detail),
        }
        if kind != "flat":
            values["search_recall"] = MetricValue(
                _recall(index, subject, k), "", True, "seeded", detail=detail
            )
        return values

    def _build(self, kind: Kind, database: Any) -> Any:
        params, bits = self.params, 8 * database.shape[1]
        index: Any
        if kind == "flat":
            index = faiss.IndexBinaryFlat(bits)
        elif kind == "ivf":
            lists = params.nlist or max(int(len(database) ** 0.5), 1)
            if lists > len(database):
                raise BenchError(f"search: nlist is {lists}, but there are {len(database)} codes; lower it")
            self._quantizer = faiss.IndexBinaryFlat(bits)  # FAISS does not keep it alive
            index = faiss.IndexBinaryIVF(self._quantizer, bits, lists)
            index.nprobe = min(params.nprobe, lists)
            index.cp.min_points_per_centroid = 1
            index.train(np.ascontiguousarray(database))
        else:
            width = params.table_bits or max(min(bits // params.tables, 16), 1)
            if params.tables * width > bits:
                asked = f"{params.tables} tables of {width} bits"
                raise BenchError(f"search: {asked} need longer codes than {bits} bits; lower one of them")
            index = faiss.IndexBinaryMultiHash(bits, params.tables, width)
            index.nflip = params.flips
        index.add(np.ascontiguousarray(database))
        return index


def _recall(index: Any, subject: Retrieval, k: int) -> float:
    """Share of the k nearest that are found; any item at the k-th distance or closer is one of them."""
    exact, _ = hamming_search(subject.query, subject.database, k)
    distances, items = index.search(np.ascontiguousarray(subject.query), k)
    return float(((items >= 0) & (distances <= exact[:, -1:])).mean())
