"""Put labels beside crowded points: never over another label, and over as little else as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Where to try beside a point: the label's centre in half its size, and in which direction its gap goes.
_SIDES = np.array(
    [
        *[((1, up), (1, 0)) for up in (0, 0.6, -0.6)],
        *[((-1, up), (-1, 0)) for up in (0, 0.6, -0.6)],
        *[((right, 1), (0, 1)) for right in (0, 0.45, -0.45, 0.9, -0.9)],
        *[((right, -1), (0, -1)) for right in (0, 0.45, -0.45, 0.9, -0.9)],
        *[((right, up), (0.7 * right, 0.7 * up)) for right in (1, -1) for up in (1, -1)],
    ],
    dtype=float,
)
#: Gaps to try beyond the marker's edge, and what one further out costs in units of covered area.
GAPS = (2.0, 8.0, 16.0, 26.0, 38.0, 52.0, 68.0)
_GAP_COST = 12.0
#: Where a line from a point to its label is looked at, as shares of its length; what a label across it costs.
_ALONG = np.linspace(0.1, 1.0, 10)[:, None]
_CROSSED = 500.0
#: What a label that finds no room costs, the more the more important it is.
_LEFT_OUT = 1e6
#: Orders to try, for as many labels as that is quick for.
_ORDERS, _MOST_ORDERED = 24, 10


def place(
    anchors: Floats,
    sizes: Floats,
    radii: Floats,
    frame: Floats,
    obstacles: Floats | None = None,
    gaps: Sequence[float] = GAPS,
) -> Floats:
    """Choose a centre for the label of every point.

    They are placed one after another, in several orders, of which the best counts.

    Args:
        anchors: (n, 2) points, the most important first; all lengths in one unit, printer's points say.
        sizes: (n, 2) width and height of the labels.
        radii: (n, 1) half the size of the markers at the points, which stay uncovered where they can.
        frame: (4,) box to stay inside of, as left, bottom, right, top.
        obstacles: (m, 4) boxes of what else had better stay uncovered.
        gaps: to try beyond the markers' edges, ascending.

    Returns:
        (n, 2) offsets from the points to the centres of their labels; NaN where there is no room for one.
    """
    taken = np.hstack([anchors - radii, anchors + radii])
    if obstacles is not None:
        taken = np.vstack([taken, obstacles])
    choices = [
        _Choices.of(*label, frame, taken, np.array(gaps))
        for label in zip(anchors, sizes, radii[:, 0], strict=True)
    ]
    n = len(choices)
    orders = [np.arange(n)]
    if 1 < n <= _MOST_ORDERED:
        orders += [np.random.default_rng(i).permutation(n) for i in range(_ORDERS)]
    _, chosen = min((_place(choices, order) for order in orders), key=lambda one: one[0])
    nowhere = np.full(2, np.nan)
    return np.array([nowhere if one is None else choices[i].offsets[one] for i, one in enumerate(chosen)])


@dataclass(frozen=True)
class _Choices:
    """Where one label may go.

    Attributes:
        offsets: (c, 2) centres from its point.
        boxes: (c, 4) what it covers there.
        leaders: (c, places, 4) small boxes along the line to its point.
        costs: (c,) what it covers and how far off it is.
    """

    offsets: Floats
    boxes: Floats
    leaders: Floats
    costs: Floats

    @classmethod
    def of(
        cls, anchor: Floats, size: Floats, radius: float, frame: Floats, taken: Floats, gaps: Floats
    ) -> _Choices:
        reach = radius + gaps[:, None, None]
        offsets = (_SIDES[:, 0] * size / 2 + _SIDES[:, 1] * reach).reshape(-1, 2)
        boxes = np.hstack([anchor + offsets - size / 2, anchor + offsets + size / 2])
        costs = _overlap(boxes, taken).sum(axis=1) + _GAP_COST * np.repeat(np.arange(len(gaps)), len(_SIDES))
        inside = np.all((boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:]), axis=1)
        offsets, boxes, costs = offsets[inside], boxes[inside], costs[inside]
        nearest = np.clip(anchor, boxes[:, :2], boxes[:, 2:])
        along = anchor + (nearest - anchor)[:, None] * _ALONG
        return cls(offsets, boxes, np.concatenate([along - 0.5, along + 0.5], axis=-1), costs)


def _place(choices: list[_Choices], order: NDArray[np.int64]) -> tuple[float, list[int | None]]:
    """What all labels cost in that order, and which choice each got."""
    chosen: list[int | None] = [None] * len(choices)
    total, labels, lines = 0.0, np.empty((0, 4)), np.empty((0, 4))
    for i in order:
        one = choices[i]
        free = ~np.any(_overlap(one.boxes, labels) > 0, axis=1)
        if not free.any():
            total += _LEFT_OUT * (len(choices) - i)
            continue
        through = _overlap(one.leaders.reshape(-1, 4), labels).reshape(*one.leaders.shape[:2], -1)
        crossed = through.sum(axis=(1, 2)) + _overlap(one.boxes, lines).sum(axis=1)
        costs = np.where(free, one.costs + _CROSSED * crossed, np.inf)
        best = int(np.argmin(costs))
        chosen[i], total = best, total + float(costs[best])
        labels, lines = np.vstack([labels, one.boxes[best]]), np.vstack([lines, one.leaders[best]])
    return total, chosen


def _overlap(boxes: Floats, others: Floats) -> Floats:
    """Shared area of every box with every other one, (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=-1))
