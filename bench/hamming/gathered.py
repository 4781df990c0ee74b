"""Items that share a code, scanned once for all of them: histograms of distances with weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.hamming import scan
from bench.hamming.copies import copies
from bench.hamming.scan import Codes, Ints

#: So many times fewer distances must be left for weights to pay.
FEWER = 4
#: With no more possible pairs than this many times the items, each gets a place to be counted at.
_DENSE = 4
#: Distances that are counted at a time, so that all that is made of them stays in the cache.
_PIECE = 1 << 16


@dataclass(frozen=True)
class Weighted:
    """Places of codes, int64 (m,), and for how many items each stands, int64 (m,)."""

    places: Ints
    weights: Ints

    def histograms(self, cells: Ints, bins: int) -> Ints:
        """How many items lie in each bin, int64 (rows, bins).

        Args:
            cells: int64 (rows, codes), the bin that each code falls into, plus ``bins`` for each row before.
            bins: per row.
        """
        chosen = cells.take(self.places, axis=1)
        weights = np.broadcast_to(self.weights.astype(np.float64), chosen.shape)
        return _counted(chosen, weights.ravel(), bins)


def _counted(cells: Ints, weights: NDArray[np.float64], bins: int) -> Ints:
    counts = np.bincount(cells.ravel(), weights, len(cells) * bins)
    return counts.reshape(len(cells), bins).astype(np.int64)


@dataclass(frozen=True)
class Gathered:
    """A block of which each different code is scanned once.

    Attributes:
        codes: uint8 (u, bytes), whole words.
        items: int64 (u,), how many there are of each.
        hits: the relevant items of a query, by its number.
    """

    codes: Codes
    items: Ints
    hits: Callable[[int], Weighted]

    def add(self, queries: Codes, rows: Ints, alike: Ints, result: Ints, some: Ints) -> None:
        """Add the histograms of a block.

        Args:
            queries: uint8 (r, bytes), whole words.
            rows: int64 (r,), their numbers.
            alike: int64 (r,), the same for those to which the same items are relevant.
            result: int64 (r, 2, bins), all items and the relevant ones.
            some: int64, which of the r.
        """
        kinds, bins = len(self.codes), result.shape[2]
        step = max(min(_PIECE // max(kinds, bins), len(some)), 1)  # some may be none
        some = some[np.argsort(alike[some], kind="stable")]
        # Made once: memory that the system has to hand out anew takes longer than what is done in it.
        spare, room = np.empty((step, kinds), np.int32), np.empty((step, kinds), np.int64)
        weights = np.tile(self.items.astype(np.float64), step)
        for at in (some[start : start + step] for start in range(0, len(some), step)):
            distances, cells = spare[: len(at)], room[: len(at)]
            scan.distances(queries[at], self.codes, distances)
            before = bins * np.arange(len(at))[:, None]
            np.add(distances, before, out=cells)
            result[at, 0] += _counted(cells, weights[: cells.size], bins)
            starts = np.flatnonzero(np.diff(alike[at], prepend=-1))
            for start, stop in zip(starts, [*starts[1:], len(at)], strict=True):
                hits = self.hits(int(rows[at[start]]))
                own = cells[start:stop] - before[start]
                result[at[start:stop], 1] += hits.histograms(own, bins)


@dataclass(frozen=True)
class Pairs:
    """Items counted by code and by what they are relevant to.

    Attributes:
        places: int64 (m,), which of the codes.
        groups: int64 (m,), to what they are relevant.
        weights: int64 (m,), how many items.
    """

    places: Ints
    groups: Ints
    weights: Ints

    def each(self, groups: int) -> list[Weighted]:
        """Those of group 0, of group 1 and so on; what belongs to none of them is left out."""
        order = np.argsort(self.groups, kind="stable")
        stops = np.searchsorted(self.groups[order], np.arange(1, groups + 1))
        parts = np.split(order, stops)[:groups]
        return [Weighted(self.places[part], self.weights[part]) for part in parts]

    def of(self, chosen: NDArray[np.bool_]) -> Weighted:
        """Those whose group is among the ``chosen``, bool (groups,), each code once."""
        part = chosen[self.groups]
        items = np.bincount(self.places[part], self.weights[part]).astype(np.int64)
        places = np.flatnonzero(items)
        return Weighted(places, items[places])


def pairs(places: Ints, groups: Ints, most: int) -> Pairs | None:
    """Count items, of which the code and the group is given, int64 (n,) each; None at more than ``most``."""
    width = int(groups.max(initial=0)) + 1
    both = places * width + groups
    if (int(places.max(initial=0)) + 1) * width <= _DENSE * len(places):
        counts = np.bincount(both)
        there = np.flatnonzero(counts)
        return Pairs(there // width, there % width, counts[there]) if len(there) <= most else None
    found = copies(both[:, None].view(np.uint64), most)
    return Pairs(places[found.first], groups[found.first], found.counts()) if found else None
