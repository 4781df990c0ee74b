"""Text on a chart: one small set of sizes, measured, so that it fits where it is put."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from bench.errors import escaped

#: Inches. A README shows a picture some 830 pixels wide, so that a printer's point becomes 1.4 of them.
WIDTH = 8.3
#: Printer's points; nothing is smaller than ``SMALL``.
SMALL, TEXT, TITLE = 9.0, 10.0, 13.5
INK = "#404040"

_POINTS_PER_INCH = 72
_CUT = "…"


class Pen:
    """Measures and writes text on one figure; places and lengths are inches from its lower left corner."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    def width(self, text: str, size: float = SMALL, weight: str = "normal") -> float:
        """How wide the longest line of ``text`` is."""
        text = escaped(text, but="\n")
        font = FontProperties(size=size, weight=weight)
        measure = text_to_path.get_text_width_height_descent
        return max(measure(line, font, False)[0] for line in text.split("\n")) / _POINTS_PER_INCH

    def fit(self, text: str, room: float, size: float = SMALL, weight: str = "normal") -> str:
        """``text``, or as much of its two ends as is no wider than ``room``."""
        if self.width(text, size, weight) <= room:
            return text
        kept, lost = 0, len(text)
        while lost - kept > 1:
            middle = (kept + lost) // 2
            fits = self.width(_shortened(text, middle), size, weight) <= room
            kept, lost = (middle, lost) if fits else (kept, middle)
        return _shortened(text, kept)

    def fit_one(self, texts: Sequence[str], room: float, size: float = SMALL) -> str:
        """The first of ``texts`` that is no wider than ``room``, or as much of the last one as is."""
        fitting = (text for text in texts if self.width(text, size) <= room)
        return next(fitting, self.fit(texts[-1], room, size))

    def fill(
        self, sentences: Iterable[str], room: float, lines: int, size: float = SMALL, weight: str = "normal"
    ) -> list[str]:
        """Lines of at most ``room``: as many of the sentences, in order, as ``lines`` of them hold."""
        filled: list[str] = []
        for sentence in sentences:
            longer = self._wrapped([*filled, sentence], room, size, weight)
            if len(longer) <= lines:
                filled = longer
        return filled

    def write(self, x: float, y: float, text: str, **look: Any) -> None:
        """Write with the left end of the line's middle at a place; no picture may hold what XML cannot."""
        look = {"fontsize": SMALL, "va": "center_baseline", "color": "black", **look}
        self._figure.text(x, y, escaped(text, but="\n"), transform=self._figure.dpi_scale_trans, **look)

    def _wrapped(self, parts: list[str], room: float, size: float, weight: str) -> list[str]:
        lines = [""]
        for word in " ".join(parts).split():
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and self.width(longer, size, weight) > room:
                lines.append("")
                longer = word
            lines[-1] = self.fit(longer, room, size, weight)
        return lines


def height(size: float = SMALL) -> float:
    """From one line of text to the next."""
    return 1.4 * size / _POINTS_PER_INCH


def _shortened(text: str, kept: int) -> str:
    """The first and the last characters: names differ in their first word and in their last setting."""
    head = (kept + 1) // 2
    return f"{text[:head]}{_CUT}{text[len(text) - (kept - head) :]}"
