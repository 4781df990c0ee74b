"""Put small labels beside crowded points without covering anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Where to try, nearest ring first, and what one ring further out costs in units of covered area.
_DIRECTIONS = np.array(
    [(1, 0), (-1, 0), (0.75, 0.85), (-0.75, 0.85), (0.75, -0.85), (-0.75, -0.85), (0, 1), (0, -1)]
)
_RINGS = 6
_RING_STEP = 9.0
_RING_COST = 6.0


def place(
    anchors: Floats, sizes: Floats, radii: Floats, frame: Floats, obstacles: Floats | None = None
) -> Floats:
    """Choose a centre for the label of every point, greedily from the top down.

    Args:
        anchors: (n, 2) points; all lengths in one unit, printer's points for instance.
        sizes: (n, 2) width and height of the labels.
        radii: (n, 1) half the size of the markers at the points, which stay uncovered.
        frame: (4,) box to stay inside of, as left, bottom, right, top.
        obstacles: (m, 4) boxes of what else stays uncovered.

    Returns:
        (n, 2) offsets from the points to the centres of their labels.
    """
    taken = np.hstack([anchors - radii, anchors + radii])
    if obstacles is not None:
        taken = np.vstack([taken, obstacles])
    rings = np.arange(_RINGS)
    offsets = np.zeros_like(anchors)
    for i in np.lexsort((anchors[:, 0], -anchors[:, 1])):
        reach = sizes[i] / 2 + radii[i] + _RING_STEP * rings[:, None]
        candidates = (_DIRECTIONS * reach[:, None, :]).reshape(-1, 2)
        centres = anchors[i] + candidates
        boxes = np.hstack([centres - sizes[i] / 2, centres + sizes[i] / 2])
        covered = _overlap(boxes, taken).sum(axis=1)
        outside = sizes[i].prod() - _overlap(boxes, frame[None])[:, 0]
        cost = covered + 10 * outside + _RING_COST * np.repeat(rings, len(_DIRECTIONS))
        best = int(np.argmin(cost))
        offsets[i] = candidates[best]
        taken = np.vstack([taken, boxes[best]])
    return offsets


def _overlap(boxes: Floats, others: Floats) -> Floats:
    """Shared area of every box with every other one, (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=-1))
