"""FAISS indexes over binary codes or embeddings, with the settings that they really have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np

from bench.errors import BenchError
from bench.hamming import Codes, hamming_search
from bench.types import Retrieval

Kind = Literal["flat", "ivf", "multihash"]


@dataclass(frozen=True)
class Settings:
    """How indexes that look at fewer items are built; None leaves the choice to ``build``."""

    nlist: int | None
    nprobe: int
    tables: int
    table_bits: int | None
    flips: int


def build(kind: Kind, subject: Retrieval, settings: Settings) -> tuple[Any, dict[str, int]]:
    """A trained, empty index for the database of ``subject``, and its settings.

    Raises:
        BenchError: the codes are too short or the database too small.
    """
    size, width = subject.database.shape
    if kind == "multihash":
        return _multihash(subject.bits, 8 * width, settings)
    flat: Any = faiss.IndexBinaryFlat(8 * width) if subject.bits else faiss.IndexFlatIP(width)
    if kind == "flat":
        return flat, {}
    lists = settings.nlist or max(int(size**0.5), 1)
    if lists > size:
        raise BenchError(f"search: nlist is {lists}, but there are {size} codes; lower it")
    index: Any
    if subject.bits:
        index = faiss.IndexBinaryIVF(flat, 8 * width, lists)
    else:
        index = faiss.IndexIVFFlat(flat, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(settings.nprobe, lists)
    index.cp.min_points_per_centroid = 1
    index.train(subject.database)
    return index, {"nlist": lists, "nprobe": index.nprobe}


def _multihash(bits: int, padded_bits: int, settings: Settings) -> tuple[Any, dict[str, int]]:
    width = settings.table_bits or max(min(bits // settings.tables, 16), 1)
    if settings.tables * width > bits:
        asked = f"{settings.tables} tables of {width} bits"
        raise BenchError(f"search: {asked} need longer codes than {bits} bits; lower one of them")
    if settings.flips > width:
        raise BenchError(f"search: flips is {settings.flips}, but a table has {width} bits; lower it")
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


def recall(index: Any, subject: Retrieval, k: int) -> float:
    """Share of the k nearest that are found; any item at the k-th distance or closer is one of them."""
    found, items = index.search(subject.query, k)
    if subject.bits:
        # Whole bytes: in this order the bits that fill the last one do not come last.
        whole = 8 * subject.query.shape[1]
        distances, _ = hamming_search(subject.query, subject.database, k, bits=whole)
        return float(((items >= 0) & (found <= distances[:, -1:])).mean())
    nearest, _ = faiss.knn(subject.query, subject.database, k, metric=faiss.METRIC_INNER_PRODUCT)
    # Two routes to one product differ in the last digits.
    return float(((items >= 0) & (found >= nearest[:, -1:] - 1e-5)).mean())
