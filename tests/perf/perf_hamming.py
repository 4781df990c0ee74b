"""Speed of the numeric core, as ratios to the plain way of doing the same in the same process.

    python tests/perf/perf_hamming.py --bits 64 --json build/perf_hamming.json

The plain way is the loop of published evaluators (DeepHash-pytorch and its descendants): per query one
float32 matrix product for the distances and one for the shared labels, an argsort of the database,
the ranks of the hits. It is timed on some of the queries and scaled, twice: with a stable argsort, the
only one that gives a defined number, which is compared with ours; and with numpy's default argsort, as
published, whose number depends on the processor. Contenders take turns in every run, so that a busy
machine slows all of them; ratios are of one run, of which the median, the least and the greatest are
printed.

Trained codes are few different ones: ``trained_codes.npz`` has those of a small ResNet for Fashion-MNIST,
1,000 queries and 59,000 items, as 16 to 128 bits (csq, 50 labels a class). What they cost is set beside all
distances as FAISS computes them, the least that looking at every item can take.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.hamming import MEMORY_MB, Codes, average_precision, evaluate, hamming_search, pack_codes

CLASSES = 10
LOOP_QUERIES = 100


def plain_loop(query: Any, database: Any, query_labels: Any, database_labels: Any, kind: Any) -> Any:
    """AP of each query; codes float32 -1/+1, labels 0/1 rows, divided by the hits; float64 (q,)."""
    scores = np.zeros(len(query))
    for row in range(len(query)):
        relevant = query_labels[row] @ database_labels.T > 0
        distances = 0.5 * (query.shape[1] - query[row] @ database.T)
        ranks = np.flatnonzero(relevant[np.argsort(distances, kind=kind)]) + 1
        if len(ranks):
            scores[row] = (np.arange(1, len(ranks) + 1) / ranks).mean()
    return scores


def bare_distances(query: Codes, database: Codes) -> None:
    """All distances as FAISS computes them, whole 64-bit words only, in as many threads as ours."""
    low_level: Any = faiss  # its stubs leave these routines out

    def some(rows: NDArray[np.int64]) -> None:
        distances = np.empty(len(database), np.int32)
        items, out = faiss.swig_ptr(database), faiss.swig_ptr(distances)
        for row in query[rows]:
            low_level.hammings(faiss.swig_ptr(row), items, 1, *database.shape, out)

    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, np.array_split(np.arange(len(query)), threads)))


def clustered(rng: np.random.Generator, labels: NDArray[Any], bits: int) -> Codes:
    """Codes around one centre per class, a quarter of the bits flipped."""
    centres = np.random.default_rng(0).standard_normal((CLASSES, bits))
    flips = np.where(rng.random((len(labels), bits)) < 0.25, -1.0, 1.0)
    return pack_codes(centres[labels] * flips)


def multi_hot(rng: np.random.Generator, n: int) -> NDArray[np.int8]:
    """About 3 of 21 labels each."""
    return (rng.random((n, 21)) < 3 / 21).astype(np.int8)


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
    few = min(LOOP_QUERIES, queries)
    signs = [2 * np.unpackbits(part, axis=1).astype(np.float32) - 1 for part in (query[:few], items)]
    # int8 one-hot rows, as DeepHash's CIFAR-10 loader yields them.
    one_hot = [np.eye(CLASSES, dtype=np.int8)[part] for part in (single[0][:few], single[1])]
    several = [multi[0][:few], multi[1]]

    for labels, rows in ((single, one_hot), (multi, several)):
        exact = average_precision(
            query[:few], items, labels[0][:few], labels[1], ties="index", normalizer="hits"
        )
        np.testing.assert_allclose(plain_loop(*signs, *rows, "stable"), exact, rtol=1e-9)

    loops: dict[str, Callable[[], Any]] = {
        "loop": partial(plain_loop, *signs, *one_hot, "stable"),
        "loop_default_sort": partial(plain_loop, *signs, *one_hot, None),
        "loop_multi_hot": partial(plain_loop, *signs, *several, "stable"),
    }
    ours: dict[str, Callable[[], Any]] = {
        "faiss_distances": partial(bare_distances, query, items),
        "expected": partial(average_precision, query, items, *single),
        "expected_multi_hot": partial(average_precision, query, items, *multi),
        "index": partial(average_precision, query, items, *single, ties="index"),
        "search_100": partial(hamming_search, query, items, 100),
    }
    for call in ours.values():
        call()  # the first one meets cold caches
    taken: dict[str, list[float]] = {name: [] for name in (*loops, *ours)}
    for _ in range(runs):
        for name, call in loops.items():
            taken[name].append(queries / few * seconds(call))
        for name, call in ours.items():
            taken[name].append(seconds(call))
    return taken


TRAINED = Path(__file__).parent / "trained_codes.npz"


def trained(bits: int) -> tuple[Codes, Codes, NDArray[np.int64], NDArray[np.int64]]:
    """Codes of queries and items, and a label each."""
    with np.load(TRAINED) as file:
        sides = [file[f"{side}_kinds_{bits}"][file[f"{side}_kind_{bits}"]] for side in ("query", "database")]
        return sides[0], sides[1], file["query_labels"].astype(int), file["database_labels"].astype(int)


def compare_trained(runs: int) -> dict[str, list[float]]:
    """Times faster than FAISS's bare distances of all pairs, in every run."""
    found: dict[str, list[float]] = {}
    for bits in (16, 32, 64, 128):
        query, items, *labels = trained(bits)
        own = {
            "mAP@all": partial(average_precision, query, items, *labels, bits=bits),
            "mAP@all in database order": partial(
                average_precision, query, items, *labels, bits=bits, ties="index"
            ),
            "everything that evaluate tells": partial(evaluate, query, items, *labels, bits=bits),
        }
        words = [
            np.ascontiguousarray(np.pad(side, ((0, 0), (0, -side.shape[1] % 8)))) for side in (query, items)
        ]
        distances = partial(bare_distances, *words)
        for call in (distances, *own.values()):
            call()  # the first one meets cold caches
        for _ in range(runs):
            bare = seconds(distances)
            for name, call in own.items():
                found.setdefault(f"{bits} bits: {name}", []).append(bare / seconds(call))
    return found


def ratios(taken: dict[str, list[float]]) -> dict[str, list[float]]:
    """How many times faster than the loop, and how many times FAISS's bare distances."""
    pairs = {
        "mAP@all, times faster than the loop": ("loop", "expected"),
        "  than the loop with an undefined order of ties": ("loop_default_sort", "expected"),
        "mAP@all of multi-hot labels, times faster than the loop": ("loop_multi_hot", "expected_multi_hot"),
        "mAP@all in database order, times faster than the loop": ("loop", "index"),
        "mAP@all, in units of FAISS's bare distances": ("expected", "faiss_distances"),
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
    before = reset_peak_memory_mb()
    taken = seconds(partial(average_precision, query, items, *labels))
    growth = peak_memory_mb() - before
    tenth = seconds(partial(average_precision, query[:1000], items, *(labels[0][:1000], labels[1])))
    return {
        "seconds": taken,
        "times_a_tenth_of_the_queries": taken / tenth,
        "peak_memory_growth_mb": growth,
        "cap_mb": MEMORY_MB,
    }


def reset_peak_memory_mb() -> float:
    """Where the system can, let the peak start anew; the resident memory now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory_mb()


def peak_memory_mb() -> float:
    """The greatest resident memory of this process so far."""
    try:
        status = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in status if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--database", type=int, default=59_000)
    parser.add_argument("--bits", type=int, default=64, choices=(64, 128, 192, 256))
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--large", action="store_true", help="also 10,000 queries x 1,000,000 codes, once")
    parser.add_argument("--large-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write settings, seconds and ratios here")
    arguments = parser.parse_args()
    if arguments.large_only:
        sys.stdout.write(json.dumps(large(arguments.bits)))
        return

    taken = compare(arguments.queries, arguments.database, arguments.bits, arguments.runs)
    on_trained = compare_trained(arguments.runs)
    big = None
    if arguments.large:  # in a process of its own, because a peak never comes down again
        again = [sys.executable, __file__, "--large-only", "--bits", str(arguments.bits)]
        big = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
    report = {
        "queries": arguments.queries,
        "database": arguments.database,
        "bits": arguments.bits,
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": faiss.omp_get_max_threads(),
        "load": os.getloadavg()[0],
        "faiss": faiss.__version__,
        "numpy": np.__version__,
        "seconds": taken,
        "ratios": {name.strip(): values for name, values in ratios(taken).items()},
        "trained": on_trained,
        "large": big,
    }
    write = sys.stdout.write
    write(f"{arguments.queries:,} queries x {arguments.database:,} codes of {arguments.bits} bits, ")
    write(f"{report['threads']} threads: median of {arguments.runs} runs (least to greatest)\n\n")
    for name, values in ratios(taken).items():
        write(f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})  {name}\n")
    write("\ncodes of a trained network, times as fast as all distances by FAISS:\n")
    for name, values in on_trained.items():
        write(f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})  {name}\n")
    write("\n")
    for name, values in taken.items():
        write(f"{statistics.median(values):8.3f} s  {name}\n")
    if big:
        write(
            f"\n10,000 queries x 1,000,000 codes: {big['seconds']:.1f} s, "
            f"{big['times_a_tenth_of_the_queries']:.1f} times those of 1,000 queries; peak memory "
            f"+{big['peak_memory_growth_mb']:.0f} MB, cap {big['cap_mb']} MB\n"
        )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
