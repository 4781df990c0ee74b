"""What one lookup costs: time and size of FAISS's indexes over the codes or embeddings of the database.

``flat`` is exact. ``ivf`` (inverted lists) and ``multihash`` (hash tables over parts of the code) look at
fewer items and may miss some: their recall stands beside their speed. Embeddings have no hash tables.

measure: {search: {k: 100, indexes: [flat, ivf, multihash], nprobe: 8}}
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, ClassVar

import faiss
from pydantic import Field

from bench import timing
from bench.hamming.indexes import Kind, Settings, bits_in_order, build, recall, size_bytes, unfit
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval, Samples, Seconds, Subject


@METRICS.register
class Search(Metric):
    """Times of the host's clock, on as many threads as FAISS uses; building the index is not counted."""

    version = 2
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "timed"
    judges = None
    embeddings = True
    read_back = False  # an index over codes has other times and sizes

    class Params(Parameters):
        """Which indexes, and how they are built."""

        k: int = Field(100, ge=1, description="neighbours to return, at most all")
        indexes: tuple[Kind, ...] = Field(("flat",), min_length=1, description="which to build")
        batch: int = Field(64, ge=1, description="queries per call when the rate is measured, at most all")
        samples: Samples = Field(30, description="timings to keep, all of them")
        warmup_seconds: Seconds = Field(1.0, description="how long to wait for stable timings at most")
        nlist: int | None = Field(None, ge=1, description="ivf: number of lists; null = square root of n")
        nprobe: int = Field(8, ge=1, description="ivf: lists that are looked at, at most all")
        tables: int = Field(2, ge=1, le=4096, description="multihash: number of tables")
        table_bits: int | None = Field(
            None, ge=1, le=60, description="multihash: bits of the code per table; null = all, at most 16"
        )
        flips: int = Field(1, ge=0, le=4, description="multihash: bits of a key that may differ")

    def compute(self, subject: Retrieval) -> Measurement:
        """``search_ms@1``, ``search_qps``, ``index_bytes``; ``search_qps:ivf`` and so on, with recall.

        Raises:
            BenchError: the codes are too short or the database too small for an index.
        """
        if subject.bits:
            codes = [bits_in_order(part, subject.bits) for part in (subject.query, subject.database)]
            subject = replace(subject, query=codes[0], database=codes[1])
        values: dict[str, MetricValue] = {}
        for kind in _kinds(self.params, subject.bits):
            ending = "" if kind == "flat" else f":{kind}"
            measured = self._measure(kind, subject)
            values |= {f"{name}{ending}": value for name, value in measured.items()}
        return Measurement(values)

    @classmethod
    def check(cls, params: Any, bits: int, database: int | None) -> str | None:
        """What of the settings does not fit these codes."""
        refusals = (unfit(kind, database, bits, _how_built(params)) for kind in _kinds(params, bits))
        return next(filter(None, refusals), None)

    def _measure(self, kind: Kind, subject: Retrieval) -> dict[str, MetricValue]:
        params, k = self.params, min(self.params.k, len(subject.database))
        index, settings = build(kind, subject.database, subject.bits, _how_built(params))
        index.add(subject.database)
        queries, batch = subject.query, subject.query[: params.batch]
        single = itertools.cycle(range(len(queries)))

        def one() -> None:
            row = next(single)
            index.search(queries[row : row + 1], k)

        how: dict[str, Any] = {"samples": params.samples, "warmup_seconds": params.warmup_seconds}
        alone, together = timing.measure(one, **how), timing.measure(lambda: index.search(batch, k), **how)
        detail = {
            **settings,
            "k": k,
            "database": len(subject.database),
            "code_bytes": subject.database.shape[1] * subject.database.itemsize,
            "device": "cpu",
            "threads": faiss.omp_get_max_threads(),
            "faiss": faiss.__version__,
        }
        conditions = {**detail, "batch_size": len(batch), "noisy": together.noisy}
        rate = len(batch) / together.median
        rates = tuple(len(batch) / seconds for seconds in together.samples)
        values = {
            "search_ms@1": alone.milliseconds(**detail),
            "search_qps": MetricValue(rate, "queries/s", True, "timed", samples=rates, detail=conditions),
            "index_bytes": MetricValue(size_bytes(index), "bytes", False, "exact", detail=detail),
        }
        if kind != "flat":
            found = recall(index, queries, subject.database, subject.bits, k)
            values["search_recall"] = MetricValue(found, "", True, "seeded", detail=detail)
        return values


def _kinds(params: Any, bits: int) -> list[Kind]:
    """The indexes that there are for codes of ``bits``, each once."""
    return [kind for kind in dict.fromkeys(params.indexes) if bits or kind != "multihash"]


def _how_built(params: Any) -> Settings:
    return Settings(params.nlist, params.nprobe, params.tables, params.table_bits, params.flips)
