"""The paper of a chart: titles above, notes at its foot; laid out in inches, from the top down."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.charts.text import INK, SMALL, TITLE, WIDTH, Pen, height

#: Inches at both sides of all texts, and the width between.
EDGE = 0.12
ROOM = WIDTH - 2 * EDGE
#: Inches from the lower edge of axes to the key: ticks, their numbers and the title of the axis.
BELOW_AXES = 0.62
#: Above the title, below the subtitle, above the notes, below them.
_ABOVE, _UNDER, _NOTES_APART, _FOOT = 0.1, 0.1, 0.08, 0.06
_NOTE_LINES = 2


class Sheet:
    """A figure as wide as a README shows it, whose height is known last.

    Attributes:
        top: what title and subtitle take, inches.
    """

    def __init__(self, title: str, subtitle: Sequence[str]) -> None:
        self.figure = Figure(figsize=(WIDTH, WIDTH))
        FigureCanvasAgg(self.figure)
        self.pen = Pen(self.figure)
        # Lines are not filled to their end, so a little less than two of them.
        fitted = self.pen.fit(title, 1.7 * ROOM, TITLE, "bold")
        self._titles = self.pen.fill([fitted], ROOM, 3, TITLE, "bold")
        self._subtitle = [self.pen.fit(line, ROOM) for line in subtitle]
        self.top = _ABOVE + len(self._titles) * height(TITLE) + len(self._subtitle) * height(SMALL) + _UNDER

    def below(self, keys: float) -> float:
        """What is below the lowest axes takes, inches; ``keys`` is the height of what is above the notes."""
        return BELOW_AXES + keys + _NOTES_APART + _NOTE_LINES * height(SMALL) + _FOOT

    def cut_to(self, total: float) -> None:
        """Give the paper its height, and write title and subtitle."""
        self.figure.set_size_inches(WIDTH, total)
        y = total - _ABOVE
        for line in self._titles:
            self.pen.write(EDGE, y - height(TITLE) / 2, line, fontsize=TITLE, fontweight="bold")
            y -= height(TITLE)
        for line in self._subtitle:
            self.pen.write(EDGE, y - height(SMALL) / 2, line, color=INK)
            y -= height(SMALL)

    def write_notes(self, sentences: Sequence[str]) -> None:
        """As many sentences as there is room for, in the order given."""
        y = _NOTE_LINES * height(SMALL) + _FOOT
        for line in self.pen.fill(sentences, ROOM, _NOTE_LINES):
            self.pen.write(EDGE, y - height(SMALL) / 2, line, color=INK)
            y -= height(SMALL)

    def set_letter_by_letter(self) -> None:
        """Take out the ligatures that matplotlib 3.11 brought: they embed every font of a PDF twice."""
        texts = [*self.figure.texts]
        for axes in self.figure.axes:
            texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        for text in texts:
            if hasattr(text, "set_fontfeatures"):
                text.set_fontfeatures(["-liga"])
