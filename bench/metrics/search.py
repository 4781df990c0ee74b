"""What one lookup costs: time and size of FAISS's binary indexes over the codes of the database.

``flat`` is exact. ``ivf`` (inverted lists) and ``multihash`` (hash tables over parts of the code) look at
fewer items and may miss some: their recall stands beside their speed.

measure: {search: {k: 100, indexes: [flat, ivf, multihash], nprobe: 8}}
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, ClassVar, Literal

import faiss
import numpy as np
from pydantic import Field

from bench import timing
from bench.errors import BenchError
from bench.hamming import Codes, hamming_search
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
        codes = [_bits_in_order(part, subject.bits) for part in (subject.query, subject.database)]
        subject = replace(subject, query=codes[0], database=codes[1])
        values: dict[str, MetricValue] = {}
        for kind in dict.fromkeys(self.params.indexes):
            ending = "" if kind == "flat" else f":{kind}"
            measured = self._measure(kind, subject)
            values |= {f"{name}{ending}": value for name, value in measured.items()}
        return Measurement(values)

    def _measure(self, kind: Kind, subject: Retrieval) -> dict[str, MetricValue]:
        params, k = self.params, min(self.params.k, len(subject.database))
        index, settings = self._build(kind, subject)
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
            "code_bytes": subject.database.shape[1],
            "device": "cpu",
            "threads": faiss.omp_get_max_threads(),
            "faiss": faiss.__version__,
        }
        conditions = {**detail, "batch_size": len(batch), "noisy": together.noisy}
        rate = len(batch) / together.median
        rates = tuple(len(batch) / seconds for seconds in together.samples)
        size = len(faiss.serialize_index_binary(index))
        values = {
            "search_ms@1": alone.milliseconds(**detail),
            "search_qps": MetricValue(rate, "queries/s", True, "timed", samples=rates, detail=conditions),
            "index_bytes": MetricValue(size, "bytes", False, "exact", detail=detail),
        }
        if kind != "flat":
            found = _recall(index, subject, k)
            values["search_recall"] = MetricValue(found, "", True, "seeded", detail=detail)
        return values

    def _build(self, kind: Kind, subject: Retrieval) -> tuple[Any, dict[str, int]]:
        """A trained, empty index, and the settings that it really has."""
        params, size, bits = self.params, len(subject.database), 8 * subject.database.shape[1]
        if kind == "flat":
            return faiss.IndexBinaryFlat(bits), {}
        index: Any
        if kind == "ivf":
            lists = params.nlist or max(int(size**0.5), 1)
            if lists > size:
                raise BenchError(f"search: nlist is {lists}, but there are {size} codes; lower it")
            index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, lists)
            index.nprobe = min(params.nprobe, lists)
            index.cp.min_points_per_centroid = 1
            index.train(subject.database)
            return index, {"nlist": lists, "nprobe": index.nprobe}
        width = params.table_bits or max(min(subject.bits // params.tables, 16), 1)
        if params.tables * width > subject.bits:
            asked = f"{params.tables} tables of {width} bits"
            raise BenchError(f"search: {asked} need longer codes than {subject.bits} bits; lower one of them")
        if params.flips > width:
            raise BenchError(f"search: flips is {params.flips}, but a table has {width} bits; lower it")
        index = faiss.IndexBinaryMultiHash(bits, params.tables, width)
        index.nflip = params.flips
        return index, {"tables": params.tables, "table_bits": width, "flips": params.flips}


def _bits_in_order(codes: Codes, bits: int) -> Codes:
    """The same codes with their first bit lowest: FAISS's hash tables read bits from there."""
    return np.packbits(np.unpackbits(codes, axis=1, count=bits), axis=1, bitorder="little")


def _recall(index: Any, subject: Retrieval, k: int) -> float:
    """Share of the k nearest that are found; any item at the k-th distance or closer is one of them."""
    exact, _ = hamming_search(subject.query, subject.database, k)
    distances, items = index.search(subject.query, k)
    return float(((items >= 0) & (distances <= exact[:, -1:])).mean())
