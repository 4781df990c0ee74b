"""The key below a Pareto chart: what colours, shapes, fillings, sizes and lines mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.charts import attained, beside, words
from bench.report.charts.points import Points
from bench.report.charts.styles import Styles
from bench.report.charts.text import INK, SMALL, Pen, height
from bench.results import wording
from bench.results.fronts import Front

#: Inches: a sample and the gap behind it; between entries; between kinds of entries.
_SAMPLE, _GAP, _BETWEEN = 0.2, 0.07, 0.2
_KINDS_APART = 0.2
#: The longest name, inches, and how many of one kind are spelt out.
_LONGEST, _MOST = 2.6, 12
#: Of a line of text, so that the key is not cramped.
_LEADING = 1.15


@dataclass(frozen=True)
class Entry:
    """Words behind a sample: markers on top of each other, a line, or both; or behind nothing but a sign."""

    words: str
    markers: tuple[dict[str, Any], ...] = ()
    line: dict[str, Any] | None = None

    @property
    def sample(self) -> float:
        """How long the sample is, inches; dashes show on both sides of a marker."""
        if self.line:
            return (2.5 if self.markers else 1.5) * _SAMPLE
        return _SAMPLE if self.markers else 0.0

    @property
    def indent(self) -> float:
        """Where the words begin, inches."""
        return self.sample + _GAP if self.sample else 0.0


class Key:
    """The entries of a chart, laid out in lines.

    Args:
        kinds: of entries, those of a kind side by side.
        width: of the lines, inches.
    """

    def __init__(self, kinds: Iterable[list[Entry]], pen: Pen, *, width: float) -> None:
        self._pen = pen
        self._lines: list[list[tuple[float, Entry]]] = [[]]
        x = 0.0
        for kind in kinds:
            for i, entry in enumerate(kind):
                x += _KINDS_APART if i == 0 and self._lines[-1] else 0.0
                room = entry.indent + pen.width(entry.words)
                if self._lines[-1] and x + room > width:
                    self._lines.append([])
                    x = 0.0
                self._lines[-1].append((x, entry))
                x += room + _BETWEEN

    @property
    def height(self) -> float:
        """Of all lines, inches."""
        return len(self._lines) * height(SMALL) * _LEADING

    def draw(self, figure: Figure, left: float, top: float) -> None:
        """Draw below and to the right of a place given in inches."""
        for number, line in enumerate(self._lines):
            y = top - (number + 0.5) * height(SMALL) * _LEADING
            for x, entry in line:
                if entry.line:
                    _add(figure, [left + x, left + x + entry.sample], y, entry.line)
                for marker in entry.markers:
                    _add(figure, [left + x + entry.sample / 2], y, marker)
                self._pen.write(left + x + entry.indent, y, entry.words)


def entries(front: Front, points: Points, styles: Styles, pen: Pen, *, banded: bool) -> Iterator[list[Entry]]:
    """What there is to say below a scatter: colours, fillings, sizes, then standings, then doubts.

    Args:
        banded: whether points of one cost stand in bands.
    """
    yield from looks(points, styles, pen)
    yield _standings(front, points, banded)
    yield doubts(points)


def looks(points: Points, styles: Styles, pen: Pen) -> Iterator[list[Entry]]:
    """What the markers of the rows mean."""
    for kind in styles.legend(points.rows):
        entries = [Entry(pen.fit(name, _LONGEST), (marker,)) for name, marker in kind[:_MOST]]
        more = [Entry(f"and {len(kind) - _MOST} more")] if len(kind) > _MOST else []
        yield [*entries, *more]


def _standings(front: Front, points: Points, banded: bool) -> list[Entry]:
    standing = []
    if points.on_front:
        standing.append(Entry("Pareto front", line=FRONT))
    standing += sureness(points)
    if points.close:
        standing.append(close())
    if points.recommended is not None:
        standing.append(recommended(front))
    if any(points.y.estimates[i].by_seed for i in points.listed):
        standing.append(Entry("single seeds", (seed_tick(9.0), _bar())))
    if banded:
        standing.append(Entry("about the same cost, side by side", line=BAND))
    if points.published:
        standing.append(Entry("published by others, not ranked", (beside.MARK,)))
    if points.unlisted:
        standing.append(Entry(words.others(points), (PALE,)))
    return standing


def sureness(points: Points, *, banded: bool = True) -> list[Entry]:
    """What faint markers mean and, with ``banded``, what is behind the front."""
    found = []
    if points.attained is not None and banded:
        found.append(Entry(f"front with other {points.drawn}: 90 %", line=attained.BAND))
        found.append(Entry("50 %", line=attained.HALF))
    if points.shares:
        seldom = {**dot(), "markeredgecolor": INK, "markerfacecolor": INK}
        found.append(Entry("faint: seldom on it", (faint(seldom, 0.0),)))
    return found


def close() -> Entry:
    """What the ring around a point means."""
    return Entry("not distinguishable from the front", (ring(6.0), dot()))


def recommended(front: Front) -> Entry:
    """What the heavy ring means."""
    return Entry(words.recommended(front), (chosen(4.5), dot()))


def doubts(points: Points) -> list[Entry]:
    """What the signs beside points mean."""
    return [Entry(f"{mark} {wording.said(mark)}") for mark in points.doubted]


# -- What stands at a point -----------------------------------------------------------------------

FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.4}
#: Behind points of one cost.
BAND: dict[str, Any] = {"color": "#E8EEF5", "linewidth": 10.0, "solid_capstyle": "butt"}
#: How much of its colour a marker keeps at least.
_FAINTEST = 0.4
PALE: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.0, "color": INK, "alpha": 0.4}


def faint(own: dict[str, Any], share: float) -> dict[str, Any]:
    """A marker whose colours are mixed with white, the more the smaller ``share`` of 1 is.

    It stays opaque, so that neither bars nor other markers show through.
    """
    kept = _FAINTEST + (1 - _FAINTEST) * share
    colours = (name for name in own if name.startswith(("markeredgec", "markerfacec")))
    return {**own, **{name: _with_white(own[name], kept) for name in colours}}


def _with_white(colour: str, kept: float) -> str:
    red, green, blue = (kept * part + 1 - kept for part in to_rgb(colour))
    return to_hex((red, green, blue))


def marker(points: Points, position: int, styles: Styles) -> dict[str, Any]:
    """The marker of a row, the fainter the less likely it is on the front."""
    own = styles.marker(points.rows[position])
    share = points.shares[position] if points.shares else None
    return own if share is None else faint(own, share)


def marks(points: Points, position: int, styles: Styles) -> list[dict[str, Any]]:
    """The marker of a row and what is around it, as keywords of ``plot``."""
    own = marker(points, position, styles)
    size = own["markersize"]
    if position == points.recommended:
        return [chosen(size), own]
    return [ring(size), own] if position in points.close else [own]


def ring(size: float) -> dict[str, Any]:
    """Around a marker that is not distinguishable from the front."""
    return _circle(size + 5, 0.7)


def chosen(size: float) -> dict[str, Any]:
    """Around the marker of the recommended row: apart from it, and heavier than the ring."""
    return _circle(size + 8.5, 2.0)


def seed_tick(width: float, colour: str = INK) -> dict[str, Any]:
    """Across a bar, at what one seed had."""
    look = {"linestyle": "none", "marker": "_", "markersize": width}
    return {**look, "color": colour, "markeredgewidth": 0.9, "alpha": 0.55}


def _circle(size: float, weight: float) -> dict[str, Any]:
    look = {"linestyle": "none", "marker": "o", "markerfacecolor": "none", "markeredgecolor": INK}
    return {**look, "markersize": size, "markeredgewidth": weight}


def dot() -> dict[str, Any]:
    """In place of any marker."""
    return {"linestyle": "none", "marker": "o", "markersize": 4.0, "color": INK}


def _bar() -> dict[str, Any]:
    return {"linestyle": "none", "marker": "|", "markersize": 11.0, "color": INK, "markeredgewidth": 0.9}


def _add(figure: Figure, xs: list[float], y: float, look: dict[str, Any]) -> None:
    line = Line2D(xs, [y] * len(xs), transform=figure.dpi_scale_trans, **look)
    figure.add_artist(line)
