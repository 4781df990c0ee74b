"""The images whose codes are nearest to those of some others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.finding import Finder
from bench.deployment.bundle import Bundle
from bench.deployment.code_files import CodeFile, Source
from bench.deployment.encode import BATCH, batches
from bench.deployment.encoder import Encoder
from bench.deployment.images import Unreadable, found
from bench.errors import BenchError, UsageError
from bench.hamming import hamming_search
from bench.hamming.indexes import Kind, Settings, bits_in_order, build

#: Megabytes of cosines at a time.
MEMORY_MB = 256

#: What has become of the file of a result since it was encoded.
State = Literal["as encoded", "changed", "missing"]


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    Attributes:
        row: in the index.
        closeness: Hamming distance of codes, cosine of embeddings.
        path: of the image.
        size: width and height in pixels.
        state: of its file.
    """

    row: int
    closeness: float
    path: str
    size: tuple[int, int]
    state: State


@dataclass(frozen=True)
class Found:
    """What was found, nearest first.

    Attributes:
        queries: path -> hits; a query that is in the index comes first of what is as near.
        hidden: path -> images as near as the last hit that are none.
        unreadable: queries that cannot be read.
        bits: of a code; 0 where cosines were compared.
        upright: whether images were turned as their EXIF orientation says.
        rows: of the index.
        kind: of index, see ``search``.
        settings: of an index that looks at fewer items.
    """

    queries: dict[str, list[Hit]]
    hidden: dict[str, int]
    unreadable: list[Unreadable]
    bits: int
    upright: bool
    rows: int
    kind: Kind
    settings: dict[str, int]


def search(bundle: Bundle, images: Sequence[Path], index: Path, k: int, kind: Kind, threads: int) -> Found:
    """The ``k`` nearest images of an index, or all if it has fewer, for each of ``images``.

    Args:
        bundle: that the index was made with.
        images: files, and folders that are searched deep; read as those of the index were.
        index: a file of ``encode``.
        k: images to find for each.
        kind: ``flat`` is exact, ordered by distance and then row; the others may miss some, and what of them
            is hidden is not known.
        threads: that read, and that compute codes.

    Raises:
        UsageError: no images; an index that is damaged, empty, or of another bundle; a kind that it cannot
            have.
    """
    file = CodeFile(index)
    source = file.source
    known = source.bits in {bundle.bits, *bundle.lengths}
    if not known or source != Source.of(bundle, source.upright, source.bits or None):
        raise UsageError(
            f"{index}: made by another bundle than {bundle.folder}; encode the images again with this one"
        )
    if not file.rows:
        raise UsageError(f"{index}: holds no images; encode some first")
    if kind != "flat" and not source.bits:
        raise UsageError(f"--index-type {kind} needs codes, and the bundle makes embeddings; use flat")
    paths, unreadable = list[str](), list[Unreadable]()
    values = [np.empty((0, source.width), file.dtype(source.column))]
    names = dict.fromkeys(found(images, Finder()))
    if not names:
        raise UsageError(f"{', '.join(map(str, images))}: no images there")
    encoder = Encoder(bundle, threads)
    for pictures, some in batches(encoder, names, source.upright, threads, BATCH, unreadable):
        paths += [picture.path for picture in pictures]
        values.append(source.first_bits(some))
    query, database = np.concatenate(values), file.values()
    near, rows, settings = _nearest(kind, query, database, source.bits, k)
    hidden = dict.fromkeys(paths, 0)
    if kind == "flat":
        own = _rows_of(file, paths)
        for number, path in enumerate(paths):
            everywhere = _closeness(query[number], database, source.bits)
            _put_first(own.get(path), everywhere, near[number], rows[number])
            as_near = everywhere == near[number, -1]
            as_near[rows[number]] = False
            hidden[path] = int(as_near.sum())
    queries = dict(zip(paths, _hits(file, near, rows), strict=True))
    return Found(queries, hidden, unreadable, source.bits, source.upright, file.rows, kind, settings)


def _nearest(
    kind: Kind, query: NDArray[Any], database: NDArray[Any], bits: int, k: int
) -> tuple[NDArray[Any], NDArray[np.int64], dict[str, int]]:
    """Closeness (q, k) and rows (q, k), -1 where fewer were found, and the settings of the index."""
    k = min(k, len(database))
    if kind == "flat":
        near, rows = (
            hamming_search(query, database, k, bits=bits) if bits else _largest_cosines(query, database, k)
        )
        return near, rows, {}
    if kind == "multihash":
        query, database = (bits_in_order(codes, bits) for codes in (query, database))
    try:
        index, settings = build(kind, database, bits, Settings())
    except BenchError as error:
        raise UsageError(str(error)) from error
    index.add(database)
    near, rows = index.search(query, k)
    order = np.lexsort((rows, near))  # what was not found has the largest distance
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(rows, order, axis=1), settings


def _largest_cosines(
    query: NDArray[np.float32], database: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines (q, k) of vectors of length 1 and rows (q, k), the largest first and then the first row."""
    near, rows = np.empty((len(query), k), np.float32), np.empty((len(query), k), np.int64)
    at_once = max(1, int(MEMORY_MB * 1e6) // (16 * len(database)))
    for start in range(0, len(query), at_once):
        part = slice(start, start + at_once)
        cosines = query[part] @ database.T
        rows[part] = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        near[part] = np.take_along_axis(cosines, rows[part], axis=1)
    return near, rows


def _rows_of(file: CodeFile, paths: Sequence[str]) -> dict[str, int]:
    """Path -> row of those that are in the index."""
    wanted, found, start = set(paths), dict[str, int](), 0
    for block in file.blocks("paths"):
        found |= {path: start + row for row, path in enumerate(block.tolist()) if path in wanted}
        start += len(block)
    return found


def _closeness(query: NDArray[Any], database: NDArray[Any], bits: int) -> NDArray[Any]:
    """Of all items, (n,)."""
    if not bits:
        return np.asarray(database @ query)
    return np.asarray(np.bitwise_count(database ^ query).sum(axis=1, dtype=np.int32))


def _put_first(own: int | None, everywhere: NDArray[Any], near: NDArray[Any], rows: NDArray[Any]) -> None:
    """Have the query's own row come before others as near, in place; the last of them makes room."""
    if own is None or everywhere[own] not in near:
        return
    first = int(np.flatnonzero(near == everywhere[own])[0])
    last = int(np.flatnonzero(rows == own)[0]) if own in rows else len(rows) - 1
    rows[first : last + 1] = [own, *rows[first:last]]


def _hits(file: CodeFile, near: NDArray[Any], rows: NDArray[np.int64]) -> list[list[Hit]]:
    """The hits of each query."""
    asked = np.unique(rows[rows >= 0])
    paths, sizes, file_bytes, mtimes = (
        file.pick(name, asked) for name in ("paths", "sizes", "file_bytes", "mtimes")
    )
    known = {
        row: (str(path), (int(width), int(height)), _state(str(path), int(size), int(mtime)))
        for row, path, (width, height), size, mtime in zip(
            asked.tolist(), paths, sizes, file_bytes, mtimes, strict=True
        )
    }
    return [
        [Hit(int(row), value.item(), *known[int(row)]) for row, value in zip(*pair, strict=True) if row >= 0]
        for pair in zip(rows, near, strict=True)
    ]


def _state(path: str, file_bytes: int, mtime: int) -> State:
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return "missing"
    return "as encoded" if (state.st_size, state.st_mtime_ns) == (file_bytes, mtime) else "changed"
