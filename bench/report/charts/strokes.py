"""Lines, words and signs inside axes, at places given in printer's points where data would not do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from bench.report.charts import axes as chart_axes
from bench.report.charts.axes import Floats
from bench.report.charts.text import SMALL

Align = Literal["left", "center", "right"]

#: From a marker's middle to a sign that its number is in doubt, printer's points.
_SIGN = np.array([7.0, -6.0])


def add_lines(axes: Axes, lines: Sequence[Floats], **look: Any) -> None:
    """Add lines through places in data, each (n, 2)."""
    axes.add_collection(LineCollection(list(lines), **look), autolim=False)


def add_text(axes: Axes, place: Floats, text: str, align: Align, **look: Any) -> None:
    """Write around a place given in printer's points, (2,)."""
    across, up = chart_axes.from_paper(axes, place)
    look = {"fontsize": SMALL, "va": "center_baseline", "zorder": 4, **look}
    axes.text(across, up, text, ha=align, **look)


def add_sign(axes: Axes, place: Floats, text: str) -> None:
    """Set a sign of doubt beside a point given in printer's points, (2,)."""
    at = chart_axes.from_paper(axes, place + _SIGN)
    axes.plot(*at, marker=_sign(text), markersize=SMALL, color="black", mew=0, zorder=3.5)


def _sign(text: str) -> Path:
    """A word as a marker, around its middle."""
    path = TextPath((0, 0), text, size=SMALL)
    box = path.get_extents()
    return Path(path.vertices - np.mean([box.min, box.max], axis=0), path.codes)
