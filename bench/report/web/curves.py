"""What the web report shows of a curve: its drawing, and its tables."""

from __future__ import annotations

import re

from markupsafe import Markup

from bench.report.tables.curves import curve_columns, curve_notes, curve_title, gain_columns, gain_notes
from bench.results.curves import Curve, Gains

#: Before a drawing, and its settings for all lines, which would be those of all others on the page.
_OUTSIDE = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
#: Sides in points, which the page gives it itself.
_SIDES = re.compile(r'(?<=<svg )width="[^"]*" height="[^"]*"')


class CurveView:
    """One curve as the page shows it.

    Attributes:
        title: what is drawn, and of which data.
        drawing: an element with titles at its points.
        columns: of the table of its lines, and of that of ``gained``, which may be empty.
        notes: below the first table, and ``gain_notes`` below the second one.
    """

    def __init__(self, curve: Curve, gains: Gains, svg: bytes) -> None:
        self.title = f"{curve_title(curve)} · {curve.dataset}"
        # Drawn by this suite, which escapes every text that it writes.
        self.drawing = Markup(_inline(svg.decode()))  # noqa: S704
        self.columns, self.notes = curve_columns(curve), curve_notes(curve)
        self.gained = gain_columns(curve, gains)
        self.gain_notes = gain_notes(curve, gains) if self.gained else []


def _inline(svg: str) -> str:
    svg = _OUTSIDE.sub("", svg)
    return _SIDES.sub("", svg, count=1).strip()
