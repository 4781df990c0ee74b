"""The names of the points that matter, beside them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from bench.report.charts import axes as chart_axes
from bench.report.charts import beside, words
from bench.report.charts import labels as places
from bench.report.charts.axes import POINTS_PER_INCH, Floats
from bench.report.charts.drawing import COST_LINE, Drawing
from bench.report.charts.strokes import Align, add_lines, add_text
from bench.report.charts.text import INK, SMALL, Pen, height

#: A name further from its point than this, in printer's points, gets a line to it.
_FAR = 8.0
#: The longest name, as a share of the axes.
_LONGEST = 0.55
#: Half the width of a line that names keep off, in printer's points.
HALF_LINE = 1.5


@dataclass(frozen=True)
class Label:
    """A name with a number below, and the point that both are of; lengths are printer's points."""

    name: str
    number: str
    weight: str
    anchor: Floats
    radius: float


def draw_names(drawing: Drawing, pen: Pen) -> None:
    """Name points with their accuracy below, those that find room: rows in bold, published figures not."""
    points = drawing.points
    labels = [
        Label(name, words.number(points, i), "bold", drawing.paper[i], drawing.radius(i))
        for i, name in words.names(points).items()
    ]
    labels += [
        Label(one.name, one.number, "normal", place, beside.MARK["markersize"] / 2 + 1)
        for one, place in zip(points.published, drawing.paper[len(points.rows) :], strict=True)
        if one.named
    ]
    inside = drawing.frame + np.array([2, COST_LINE, 0, 0])
    put(drawing.axes, labels, inside, _obstacles(drawing), pen)


def put(
    axes: Axes,
    labels: Sequence[Label],
    inside: Floats,
    obstacles: Floats,
    pen: Pen,
    longest: float = _LONGEST,
    gaps: Sequence[float] = places.GAPS,
) -> None:
    """Write labels, the most important first, beside their points: those that find room.

    Args:
        inside: (4,) box to stay inside of, as left, bottom, right, top; printer's points.
        obstacles: (m, 4) boxes of what had better stay uncovered.
        longest: name, as a share of the axes.
        gaps: between a point and its label that are tried.
    """
    left, _, right, _ = chart_axes.frame(axes)
    room = longest * (right - left) / POINTS_PER_INCH
    labels = [replace(one, name=pen.fit(one.name, room, SMALL, one.weight)) for one in labels]
    widths = [max(pen.width(one.name, SMALL, one.weight), pen.width(one.number)) for one in labels]
    sizes = np.array([(width + 0.05, 2 * height(SMALL)) for width in widths]) * POINTS_PER_INCH
    anchors = np.array([one.anchor for one in labels])
    radii = np.array([[one.radius] for one in labels])
    offsets = places.place(anchors, sizes, radii, inside, obstacles, gaps)
    for label, size, offset in zip(labels, sizes, offsets, strict=True):
        if not np.isnan(offset).any():
            _draw_label(axes, label, offset, size)


def _draw_label(axes: Axes, label: Label, offset: Floats, size: Floats) -> None:
    """Write a name around a place, with a leader line where that is some way off."""
    anchor, radius = label.anchor, label.radius
    centre = anchor + offset
    nearest = np.clip(anchor, centre - size / 2, centre + size / 2)
    distance = float(np.hypot(*(nearest - anchor)))
    if distance > radius + _FAR:
        start = anchor + (nearest - anchor) * (radius / distance)
        ends = chart_axes.from_paper(axes, np.array([start, nearest]))
        add_lines(axes, [ends], colors=INK, linewidths=0.6, zorder=2.8)
    side = np.sign(round(offset[0] / size[0], 1))
    align: Align = "left" if side > 0 else "right" if side < 0 else "center"
    x = centre[0] - side * (size[0] / 2 - 2)
    add_text(axes, np.array([x, centre[1] + size[1] / 4]), label.name, align, fontweight=label.weight)
    add_text(axes, np.array([x, centre[1] - size[1] / 4]), label.number, align)


def _obstacles(drawing: Drawing) -> Floats:
    """Boxes of what names had better not cover: (m, 4) printer's points."""
    points, paper = drawing.points, drawing.paper
    radii = {**dict.fromkeys(points.unlisted, HALF_LINE), **{i: drawing.radius(i) for i in points.listed}}
    boxes = [around(paper[[i]], radius) for i, radius in radii.items()]
    boxes += [around(place[None], beside.MARK["markersize"] / 2) for place in paper[len(points.rows) :]]
    lines = [drawing.bar(i, points.y, 1) for i in points.listed if points.y.estimates[i].interval is not None]
    left, right = drawing.axes.get_xlim()
    levels = [points.y.values[best] for best in points.references.values()]
    lines += [np.array([(left, level), (right, level)]) for level in levels]
    if points.on_front:
        lines += [np.array(pair) for pair in itertools.pairwise(drawing.staircase())]
    boxes += [around(chart_axes.on_paper(drawing.axes, line), HALF_LINE) for line in lines]
    for pair in points.gains:  # which are oblique
        start, end = paper[list(pair)]
        steps = start + (end - start) * np.linspace(0, 1, 9)[:, None]
        boxes += [around(np.array(two), HALF_LINE) for two in itertools.pairwise(steps)]
    return np.array(boxes)


def around(paper: Floats, margin: float) -> Floats:
    """The box of some places with a margin, (4,) printer's points."""
    return np.concatenate([paper.min(axis=0) - margin, paper.max(axis=0) + margin])
