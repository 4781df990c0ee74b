"""Exact scores of instance retrieval, where a ground truth, and not a label, says what answers a query.

Importable by itself: it needs numpy and FAISS only. Three protocols: Revisited Oxford and Paris, person
and vehicle re-identification, and near-duplicate videos. Packed codes are compared by Hamming distance,
float embeddings of length 1 by cosine; distances are made in blocks, so that working memory stays near
``memory_mb`` whatever the size of the database.

Codes of b bits know b + 1 distances only, and these protocols have no closed form for the mean over all
orders of the ties. Items at one distance are therefore ranked in a random order of the database, drawn
from a fixed seed, and scores are averaged over ``TIE_ORDERS`` of them. Embeddings hardly ever tie: one order.

In all that follows a ``ranking`` holds database rows, nearest first, and ranks count from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.hamming import scan
from bench.hamming.scan import MEMORY_MB
from bench.hamming.ties import Floats, Ints

#: Rows of queries, and what is known of every database item for each of them, (rows, n).
Rows = Iterator[tuple[slice, NDArray[Any]]]

#: Random orders of the database over which the scores of codes are averaged.
TIE_ORDERS = 5

#: Frames of the database that a Chamfer similarity compares at a time.
_FRAMES = 1 << 14


def distance_rows(
    query: NDArray[Any], database: NDArray[Any], bits: int, *, memory_mb: float = MEMORY_MB
) -> Rows:
    """Distances of some queries at a time from the whole database.

    Args:
        query, database: packed uint8 (q, bytes) and (n, bytes), or, where ``bits`` is 0, float32 (q, d) and
            (n, d) of length 1.
        bits: length of the codes.
        memory_mb: for the distances of one step; a step never has fewer than one query, though.

    Yields:
        The rows of the queries, and int32 (rows, n) Hamming distances or float32 (rows, n) negative
        cosines. Cosines are neither clipped nor turned into angles: both would make near-duplicates tie.

    Raises:
        BenchError: an embedding holds NaN.
    """
    query, database = _comparable(query, "query", bits), _comparable(database, "database", bits)
    for part in scan.chunks(len(query), 8 * max(len(database), 1), memory_mb):
        yield part, _distances(query[part], database, bits)


def tie_orders(items: int, bits: int) -> list[Ints]:
    """Random orders of a database, int64 (items,) each, the same at every call: ``TIE_ORDERS``, or one for
    embeddings, whose ``bits`` are 0.
    """
    generator = np.random.default_rng(0)
    return [generator.permutation(items) for _ in range(TIE_ORDERS if bits else 1)]


def ranking(distances: NDArray[Any], order: Ints) -> Ints:
    """Database rows by distance (n,), those at the same distance as in ``order``, int64 (n,)."""
    shuffled = distances[order]
    if shuffled.dtype.kind in "iu":
        # numpy's stable sort of small integers is a radix sort.
        shuffled = shuffled.astype(np.min_scalar_type(int(shuffled.max(initial=0))))
    return order[np.argsort(shuffled, kind="stable")]


def mean_over_ties(rows: Rows, orders: Iterable[Ints], score: Callable[[int, Ints], Floats]) -> Floats:
    """Scores of every query, averaged over ``orders`` of the items at the same distance.

    Args:
        rows: distances, as ``distance_rows`` yields them.
        orders: as ``tie_orders`` draws them.
        score: number of a query and its ranking -> float64 (s,); called in several threads.

    Returns:
        float64 (q, s).
    """
    orders, scores = list(orders), []

    def judge(first: int, distances: NDArray[Any], found: list[Any], numbers: Ints) -> None:
        for row in numbers.tolist():
            found[row] = np.mean([score(first + row, ranking(distances[row], o)) for o in orders], axis=0)

    with scan.threads() as run:
        for part, distances in rows:
            found: list[Any] = [None] * len(distances)
            run(partial(judge, part.start, distances, found), len(found))
            scores += found
    return np.array(scores, np.float64)


def rows_of(wanted: NDArray[np.int64], index: Ints) -> Ints:
    """Rows of the images ``wanted`` in a part that consists of the images ``index``, where they are in it."""
    return np.flatnonzero(np.isin(index, wanted))


def revisited_protocols(easy: Ints, hard: Ints, junk: Ints) -> dict[str, tuple[Ints, Ints]]:
    """What counts and what is ignored for one query: protocol -> (positives, junk).

    Source: Radenovic et al., Revisiting Oxford and Paris, CVPR 2018.
    """
    return {
        "easy": (easy, np.union1d(junk, hard)),
        "medium": (np.union1d(easy, hard), junk),
        "hard": (hard, np.union1d(junk, easy)),
    }


def junk_free_ranks(ranked: Ints, positives: Ints, junk: Ints) -> Ints:
    """Ranks of the positives after the junk has been taken out, sorted int64 (p,).

    Args:
        ranked: int64 (n,), a ranking.
        positives, junk: database rows.
    """
    places = np.empty(len(ranked), np.int64)
    places[ranked] = np.arange(len(ranked))
    ranks = np.sort(places[positives])
    return ranks - np.searchsorted(np.sort(places[junk]), ranks)


def revisited_average_precision(ranks: Ints, positives: int) -> float:
    """Area under precision and recall by the trapezoidal rule.

    Every positive adds the mean of the precision just before it and at it, divided by ``positives``; before
    the first item the precision is 1.

    Args:
        ranks: junk-free ranks of the positives that were found, sorted.
        positives: how many there are to find; with none the score is NaN.
    """
    if not positives:
        return float("nan")
    hits = np.arange(len(ranks))
    before = np.where(ranks > 0, hits / np.maximum(ranks, 1), 1.0)
    return float((before + (hits + 1) / (ranks + 1)).sum() / (2 * positives))


def revisited_precision_at(ranks: Ints, k: int) -> float:
    """Share of positives among the first k, or among those up to the last positive if that comes first.

    The denominator shrinks so that a query with fewer than k positives can reach 1.

    Args:
        ranks: junk-free ranks of all positives, sorted; with none the score is NaN.
        k: at least 1.
    """
    if not len(ranks):
        return float("nan")
    cut = min(k, int(ranks[-1]) + 1)
    return np.count_nonzero(ranks < cut) / cut


def reid_scores(
    identities: NDArray[Any], cameras: NDArray[Any], identity: int, camera: int, ks: Iterable[int]
) -> Floats:
    """Average precision, then the cumulative matching characteristic (CMC) at every k, of one query.

    Images of the query's identity by the query's own camera are taken out of the ranking first. AP is the
    mean of the precisions at the matches, not interpolated; CMC@k is 1 if a match is among the first k.

    Args:
        identities, cameras: (n,) of the database, in the order of the ranking.
        identity, camera: of the query.
        ks: cut-offs from 1.

    Returns:
        float64 (1 + ks,); NaN where no match remains.

    Source: Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015; the CMC is from image to
    image, not from image to track.
    """
    ks = list(ks)
    same = identities == identity
    own = same & (cameras == camera)
    ranks = np.flatnonzero(same[~own])
    if not len(ranks):
        return np.full(1 + len(ks), np.nan)
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)
    return np.array([precision.mean(), *(float(ranks[0] < k) for k in ks)])


def truncated_average_precision(relevant: NDArray[np.bool_], k: int | None) -> float:
    """Mean of the precisions at the relevant items among the first k; 0 if there are none.

    Args:
        relevant: (n,) in the order of the ranking.
        k: cut-off; None for the whole list.
    """
    ranks = np.flatnonzero(relevant[:k])
    return float((np.arange(1, len(ranks) + 1) / (ranks + 1)).mean()) if len(ranks) else 0.0


def chamfer_rows(
    query: NDArray[Any],
    database: NDArray[Any],
    query_videos: Ints,
    database_videos: Ints,
    bits: int,
    *,
    memory_mb: float = MEMORY_MB,
) -> Rows:
    """Chamfer similarities of some query videos at a time with all database videos.

    The similarity is the mean over the frames of the query of the largest cosine with a frame of the
    candidate; for codes the cosine is that of their signs, 1 - 2 * distance / bits. Videos may have any
    number of frames: nothing is padded.

    Args:
        query, database: frames, as ``distance_rows`` takes them.
        query_videos, database_videos: int64 (q,) and (n,), video of each frame, in any order.
        bits: length of the codes, 0 for embeddings.
        memory_mb: for the similarities of one step.

    Yields:
        The rows of the query videos, and float64 (rows, videos) similarities; rows and columns are the
        videos in ascending order.

    Raises:
        BenchError: an embedding holds NaN.
    """
    query, database = _comparable(query, "query", bits), _comparable(database, "database", bits)
    frames, counts = np.argsort(query_videos, kind="stable"), _frame_counts(query_videos)
    items, sizes = np.argsort(database_videos, kind="stable"), _frame_counts(database_videos)
    # Half of the memory for the similarities of a step, half for the distances between frames behind them.
    share = int(1e6 * memory_mb / 2)
    most_videos, most_frames = share // (24 * max(len(sizes), 1)), share // (8 * _FRAMES)
    for rows in _video_blocks(counts, most_frames, most_videos):
        some, ends = query[frames[_frames_of(rows, counts)]], counts[rows].cumsum()
        nearest = np.empty((len(ends), len(sizes)))
        for columns in _video_blocks(sizes, _FRAMES):
            distances = _distances(some, database[items[_frames_of(columns, sizes)]], bits)
            starts = sizes[columns].cumsum() - sizes[columns]
            closest = np.minimum.reduceat(distances, starts, axis=1).astype(np.float64)
            # The sums of Hamming distances are whole numbers: videos that tie do so exactly.
            nearest[:, columns] = np.add.reduceat(closest, ends - counts[rows], axis=0)
        nearest /= counts[rows, None]
        yield rows, 1 - 2 * nearest / bits if bits else -nearest


def _frame_counts(videos: Ints) -> Ints:
    """Frames of each video, videos in ascending order."""
    return np.unique(videos, return_counts=True)[1]


def _frames_of(videos: slice, counts: Ints) -> slice:
    """Frames of some videos, where frames are sorted by video."""
    start = int(counts[: videos.start].sum())
    return slice(start, start + int(counts[videos].sum()))


def _video_blocks(counts: Ints, frames: int, videos: int | None = None) -> Iterator[slice]:
    """Slices that cover the videos: at most ``frames`` frames in at most ``videos`` videos, or one video."""
    ends, first = counts.cumsum(), 0
    while first < len(counts):
        reach = ends[first] - counts[first] + frames
        last = int(np.searchsorted(ends, reach, side="right"))
        last = max(last if videos is None else min(last, first + videos), first + 1)
        yield slice(first, last)
        first = last


def _comparable(items: NDArray[Any], name: str, bits: int) -> NDArray[Any]:
    """Codes or embeddings in the form that ``_distances`` wants."""
    if bits:
        return scan.words(items)
    bad = np.isnan(items).any(axis=1)
    if bad.any():
        raise BenchError(
            f"{bad.sum()} of {len(bad)} {name} embeddings hold NaN, the first is row {bad.argmax()}; "
            "the training diverged: lower its learning rate"
        )
    return np.ascontiguousarray(items, np.float32)


def _distances(query: NDArray[Any], database: NDArray[Any], bits: int) -> NDArray[Any]:
    """All distances, int32 or float32 (q, n)."""
    if not bits:
        cosines: NDArray[np.float32] = query @ database.T
        return np.negative(cosines, out=cosines)
    result = np.empty((len(query), len(database)), np.int32)
    for code, out in zip(query, result, strict=True):
        scan.distances(code, database, out)
    return result
