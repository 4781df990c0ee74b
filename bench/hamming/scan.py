"""Walk through every query-item pair, block by block: FAISS's low-level routines, memory, threads.

All work of ``bench.hamming`` that touches the database passes through here, so that it stays inside the
memory it was given whatever the database, and runs in as many threads as FAISS would use
(``faiss.omp_set_num_threads``, ``OMP_NUM_THREADS``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Ints = NDArray[np.int64]
#: Distances, or how often each occurs.
Counts = NDArray[np.int32]

#: Working memory of one call, in megabytes, beside its arguments and its result.
MEMORY_MB = 512

#: Items per block: the codes and distances of one stay in a core's L2 cache.
LARGEST_BLOCK, SMALLEST_BLOCK = 1 << 16, 1 << 10

#: FAISS under a name without types: its stubs leave the low-level routines out.
_faiss: Any = faiss


def blocks(items: int, item_bytes: int, memory_mb: float) -> Iterator[slice]:
    """Slices that cover ``items``, such that one block a thread needs no more than ``memory_mb``.

    Args:
        items: length of the database.
        item_bytes: bytes that a scan holds for one item.
        memory_mb: for all threads together; a block never has fewer than 1024 items, though.
    """
    fitting = int(1e6 * memory_mb) // (faiss.omp_get_max_threads() * item_bytes)
    size = min(max(fitting, SMALLEST_BLOCK), LARGEST_BLOCK)
    return (slice(start, min(start + size, items)) for start in range(0, items, size))


def chunks(queries: int, query_bytes: int, memory_mb: float) -> Iterator[slice]:
    """Slices that cover ``queries``, such that a slice needs no more than ``memory_mb``."""
    size = max(int(1e6 * memory_mb) // query_bytes, 1)
    return (slice(start, min(start + size, queries)) for start in range(0, queries, size))


@contextmanager
def threads() -> Iterator[Callable[[Callable[[Ints], None], int], None]]:
    """A pool of threads, as ``run(task, queries)``: calls ``task`` on equal shares of the query numbers.

    FAISS and numpy release the interpreter lock while they work.
    """
    number = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(number) as pool:
        yield lambda task, queries: list(pool.map(task, np.array_split(np.arange(queries), number))).clear()


def words(packed: Codes) -> Codes:
    """Contiguous, and filled up with zero bytes to whole 64-bit words, as the routines below want it."""
    missing = -packed.shape[1] % 8
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing))) if missing else packed)


def distances(queries: Codes, items: Codes, out: Counts) -> None:
    """Write the Hamming distances of one code or several from ``items``, all whole words, into ``out``."""
    rows, width = out.size // max(len(items), 1), items.shape[1]
    arrays = faiss.swig_ptr(queries), faiss.swig_ptr(items)
    _faiss.hammings(*arrays, rows, len(items), width, faiss.swig_ptr(out))


def histogram(values: Counts, out: Counts) -> None:
    """Overwrite ``out`` with how often 0, 1, ... occur in ``values``; both contiguous."""
    _faiss.ivec_hist(len(values), faiss.swig_ptr(values), out.size, faiss.swig_ptr(out))
