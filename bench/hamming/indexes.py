"""FAISS indexes over binary codes or embeddings, with the settings that they really have.

``flat`` looks at every item. ``ivf`` (inverted lists) and ``multihash`` (hash tables over parts of the code)
look at fewer and may miss some. Embeddings have no hash tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.hamming.scan import Codes
from bench.hamming.search import hamming_search

Kind = Literal["flat", "ivf", "multihash"]
#: Packed codes uint8 (n, bytes), or embeddings float32 (n, dimensions).
Items = NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """How indexes that look at fewer items are built; None leaves the choice to ``build``."""

    nlist: int | None = None
    nprobe: int = 8
    tables: int = 2
    table_bits: int | None = None
    flips: int = 1


def build(kind: Kind, database: Items, bits: int, settings: Settings) -> tuple[Any, dict[str, int]]:
    """A trained, empty index for ``database``, and its settings.

    Args:
        kind: of the index; ``multihash`` reads codes as ``bits_in_order`` makes them.
        database: what will be added.
        bits: of a code; 0 for embeddings of length 1, compared by their inner product.
        settings: see there.

    Raises:
        BenchError: the codes are too short or the database too small.
    """
    size, width = database.shape
    if misfit := unfit(kind, size, bits, settings):
        raise BenchError(f"search: {misfit}")
    if kind == "multihash":
        return _multihash(bits, 8 * width, settings)
    flat: Any = faiss.IndexBinaryFlat(8 * width) if bits else faiss.IndexFlatIP(width)
    if kind == "flat":
        return flat, {}
    lists = settings.nlist or max(int(size**0.5), 1)
    index: Any
    if bits:
        index = faiss.IndexBinaryIVF(flat, 8 * width, lists)
    else:
        index = faiss.IndexIVFFlat(flat, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(settings.nprobe, lists)
    index.cp.min_points_per_centroid = 1
    index.train(database)
    return index, {"nlist": lists, "nprobe": index.nprobe}


def unfit(kind: Kind, size: int | None, bits: int, settings: Settings) -> str | None:
    """Why ``build`` refuses ``size`` items (None: unknown) of ``bits``, and the cure; None if it does not."""
    if kind == "ivf" and size is not None and (settings.nlist or 1) > size:
        return f"nlist is {settings.nlist}, but there are {size} codes; lower it"
    if kind == "multihash":
        width = _table_bits(bits, settings)
        if settings.tables * width > bits:
            asked = f"{settings.tables} tables of {width} bits"
            return f"{asked} need longer codes than {bits} bits; lower one of them"
        if settings.flips > width:
            return f"flips is {settings.flips}, but a table has {width} bits; lower it"
    return None


def _table_bits(bits: int, settings: Settings) -> int:
    return settings.table_bits or max(min(bits // settings.tables, 16), 1)


def _multihash(bits: int, padded_bits: int, settings: Settings) -> tuple[Any, dict[str, int]]:
    width = _table_bits(bits, settings)
    index = faiss.IndexBinaryMultiHash(padded_bits, settings.tables, width)
    index.nflip = settings.flips
    return index, {"tables": settings.tables, "table_bits": width, "flips": settings.flips}


def size_bytes(index: Any) -> int:
    """What the index takes when it is saved."""
    write = faiss.serialize_index_binary if isinstance(index, faiss.IndexBinary) else faiss.serialize_index
    return len(write(index))


def bits_in_order(codes: Codes, bits: int) -> Codes:
    """The same codes with their first bit lowest: FAISS's hash tables read bits from there."""
    return np.packbits(np.unpackbits(codes, axis=1, count=bits), axis=1, bitorder="little")


def recall(index: Any, query: Items, database: Items, bits: int, k: int) -> float:
    """Share of the k nearest that are found; any item at the k-th distance or closer is one of them."""
    found, items = index.search(query, k)
    if bits:
        # Whole bytes: in this order the bits that fill the last one do not come last.
        distances, _ = hamming_search(query, database, k, bits=8 * query.shape[1])
        return float(((items >= 0) & (found <= distances[:, -1:])).mean())
    nearest, _ = faiss.knn(query, database, k, metric=faiss.METRIC_INNER_PRODUCT)
    # Two routes to one product differ in the last digits.
    return float(((items >= 0) & (found >= nearest[:, -1:] - 1e-5)).mean())
