"""Speed of the numeric core, as ratios to the plain way of doing the same in the same process.

    python tests/perf/perf_hamming.py --bits 64 --json build/perf_hamming.json

The plain way is the loop of published evaluators: per query a float32 matrix product for the
distances, an argsort of the database, cumulative hits. It is timed on some of the queries and scaled.
Contenders take turns in every run, so that a busy machine slows all of them; ratios are of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.hamming import Codes, average_precision, hamming_search, pack_codes

CLASSES = 10
LOOP_QUERIES = 100


def plain_loop(query: Any, database: Any, query_labels: Any, database_labels: Any) -> NDArray[np.float64]:
    """AP of each query; codes float32 -1/+1, labels float32 0/1, ties as argsort leaves them."""
    scores = np.zeros(len(query))
    for row in range(len(query)):
        relevant = query_labels[row] @ database_labels.T > 0
        distances = 0.5 * (query.shape[1] - query[row] @ database.T)
        hits = relevant[np.argsort(distances)]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        scores[row] = (precision * hits).sum() / max(hits.sum(), 1)
    return scores


def bare_distances(query: Codes, database: Codes) -> None:
    """All distances as FAISS computes them, into one buffer; whole 64-bit words only."""
    distances = np.empty(len(database), np.int32)
    low_level: Any = faiss  # its stubs leave these routines out
    shape = 1, *database.shape
    items, out = faiss.swig_ptr(database), faiss.swig_ptr(distances)
    for row in query:
        low_level.hammings(faiss.swig_ptr(row), items, *shape, out)


def clustered(rng: np.random.Generator, labels: NDArray[Any], bits: int) -> Codes:
    """Codes around one centre per class, a quarter of the bits flipped."""
    centres = np.random.default_rng(0).standard_normal((CLASSES, bits))
    flips = np.where(rng.random((len(labels), bits)) < 0.25, -1.0, 1.0)
    return pack_codes(centres[labels] * flips)


def multi_hot(rng: np.random.Generator, n: int) -> NDArray[np.uint8]:
    """About 3 of 21 labels each."""
    return (rng.random((n, 21)) < 3 / 21).astype(np.uint8)


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(queries: int, database: int, bits: int, runs: int) -> dict[str, list[float]]:
    """Seconds of every contender in every run."""
    rng = np.random.default_rng(1)
    single = rng.integers(CLASSES, size=queries), rng.integers(CLASSES, size=database)
    multi = multi_hot(rng, queries), multi_hot(rng, database)
    query, items = clustered(rng, single[0], bits), clustered(rng, single[1], bits)
    some, scale = slice(min(LOOP_QUERIES, queries)), queries / min(LOOP_QUERIES, queries)
    signs = [2 * np.unpackbits(part, axis=1).astype(np.float32) - 1 for part in (query, items)]
    one_hot = [np.eye(CLASSES, dtype=np.float32)[part] for part in single]
    several = [part.astype(np.float32) for part in multi]

    loop = plain_loop(signs[0][some], signs[1], one_hot[0][some], one_hot[1])
    worst = average_precision(query[some], items, single[0][some], single[1], ties="worst")
    best = average_precision(query[some], items, single[0][some], single[1], ties="best")
    assert ((worst - 1e-9 < loop) & (loop < best + 1e-9)).all(), "the loop computes something else"

    contenders: dict[str, Callable[[], Any]] = {
        "faiss_distances": partial(bare_distances, query, items),
        "expected": partial(average_precision, query, items, *single),
        "expected_multi_hot": partial(average_precision, query, items, *multi),
        "index": partial(average_precision, query, items, *single, ties="index"),
        "search_100": partial(hamming_search, query, items, 100),
    }
    taken: dict[str, list[float]] = {name: [] for name in ("loop", "loop_multi_hot", *contenders)}
    for _ in range(runs):
        for name, labels in (("loop", one_hot), ("loop_multi_hot", several)):
            arrays = signs[0][some], signs[1], labels[0][some], labels[1]
            taken[name].append(scale * seconds(partial(plain_loop, *arrays)))
        for name, call in contenders.items():
            taken[name].append(seconds(call))
    return taken


def ratios(taken: dict[str, list[float]]) -> dict[str, list[float]]:
    """How many times faster than the loop, and how many times FAISS's bare distances."""
    pairs = {
        "expected, times faster than the loop": ("loop", "expected"),
        "expected on multi-hot labels, times faster than the loop": ("loop_multi_hot", "expected_multi_hot"),
        "index, times faster than the loop": ("loop", "index"),
        "expected, in units of FAISS's bare distances": ("expected", "faiss_distances"),
    }
    return {
        name: [a / b for a, b in zip(taken[above], taken[below], strict=True)]
        for name, (above, below) in pairs.items()
    }


def large(bits: int) -> dict[str, float]:
    """10,000 queries against 1,000,000 codes: seconds, and by how much the peak memory grows."""
    rng = np.random.default_rng(2)
    labels = rng.integers(CLASSES, size=10_000), rng.integers(CLASSES, size=1_000_000)
    query, items = (rng.integers(256, size=(len(part), bits // 8), dtype=np.uint8) for part in labels)
    before = peak_memory_mb()
    taken = seconds(partial(average_precision, query, items, *labels))
    return {"seconds": taken, "peak_memory_growth_mb": peak_memory_mb() - before}


def peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--database", type=int, default=59_000)
    parser.add_argument("--bits", type=int, default=64, choices=(64, 128, 192, 256))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also 10,000 queries x 1,000,000 codes, once")
    parser.add_argument("--json", type=Path, help="write settings, seconds and ratios here")
    arguments = parser.parse_args()

    # First, because a peak never comes down again.
    big = large(arguments.bits) if arguments.large else None
    taken = compare(arguments.queries, arguments.database, arguments.bits, arguments.runs)
    report = {
        "queries": arguments.queries,
        "database": arguments.database,
        "bits": arguments.bits,
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "faiss": faiss.__version__,
        "numpy": np.__version__,
        "seconds": taken,
        "ratios": ratios(taken),
        "large": big,
    }
    write = sys.stdout.write
    for name, values in report["ratios"].items():
        write(f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})  {name}\n")
    for name, values in taken.items():
        write(f"{statistics.median(values):8.3f} s  {name}\n")
    if big:
        write(f"{big['seconds']:8.1f} s and {big['peak_memory_growth_mb']:.0f} MB for 10,000 x 1,000,000\n")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
