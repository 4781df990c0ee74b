"""Points of one cost, side by side instead of on top of each other."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from bench.report.charts.points import Points

Floats = NDArray[np.float64]

#: All lengths are printer's points. Costs no further apart than this look like one.
SAME = 4.0
#: From one point to the next with the same network, loss and bits, and to one with others.
_NEXT, _OTHER = 9.5, 16.0
#: In how many columns published figures of one cost stand.
_COLUMNS = 3
#: Of the way to the next larger cost, so that nothing seems to cost as much as that.
_SHARE = 0.75


def shifts(points: Points, at: Floats, frame: tuple[float, float]) -> Floats:
    """How far to move everything that is placed along the axis of cost, towards the more expensive side.

    The first of a cost stays where it is, and what is on the front comes first, the cheapest first: the front
    stays a staircase, and no point is moved out of the side that it dominates.

    Args:
        points: of the chart.
        at: (n,) where all of them are on the axis, published figures behind the rows.
        frame: where the axis begins and ends.

    Returns:
        (n,) signed distances.
    """
    sign = _sign(points)
    end = max(sign * edge for edge in frame) - _NEXT
    groups = stacks(points, at)
    moved = np.zeros(len(at))
    for stack, after in zip(groups, [*groups[1:], None], strict=True):
        start = min(sign * at[i] for i in stack)
        room = end - start if after is None else _SHARE * (min(sign * at[i] for i in after) - start)
        offsets = _offsets(points, stack)
        widest = max(offsets.values())
        scale = min(1.0, max(room, 0.0) / widest) if widest else 1.0
        for i, offset in offsets.items():
            moved[i] = start + scale * offset - sign * at[i]
    return sign * moved


def last_width(points: Points, at: Floats) -> float:
    """What the points of the largest cost need beyond it, see ``shifts``."""
    return max(_offsets(points, stacks(points, at)[-1]).values()) + 2 * _NEXT


def stacks(points: Points, at: Floats) -> list[list[int]]:
    """What is placed and looks as if it cost the same, the cheapest first; ``at`` as in ``shifts``."""
    at, found = _sign(points) * at, list[list[int]]()
    for i in sorted(points.placed, key=lambda i: at[i]):
        if found and at[i] - at[found[-1][0]] <= SAME:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _sign(points: Points) -> float:
    """Of the direction in which costs get worse."""
    return -1.0 if points.x.higher_is_better else 1.0


def _offsets(points: Points, stack: list[int]) -> dict[int, float]:
    """Where what is in a stack goes: rows that only their method tells apart stay together, others follow."""
    sign = _sign(points)
    rows = [i for i in stack if i < len(points.rows)]

    def rank(i: int) -> tuple[bool, float, int]:
        on_front = i in points.on_front
        return not on_front, sign * points.x.values[i] if on_front else 0.0, i

    families: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i in sorted(rows, key=rank):
        families[points.family(i)].append(i)
    offsets, place = {}, 0.0
    for family in families.values():
        for i in family:
            offsets[i] = place
            place += _NEXT
        place += _OTHER - _NEXT
    for number, i in enumerate(sorted(set(stack) - set(rows))):
        offsets[i] = place + _NEXT * (number % _COLUMNS)
    return offsets
