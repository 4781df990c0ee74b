"""What the web report shows of one comparable group: its metrics, its rows and its table, ready to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report.charts.styles import Look, Styles
from bench.report.tables.chances import RULE, WHICH, known, of_recommended
from bench.report.tables.columns import EXTERNAL_NOTE, Scale, float_notes, further_notes
from bench.report.tables.published import published_notes
from bench.report.web import published
from bench.results import catalogue, tuning_curves, wording
from bench.results.fronts import Front
from bench.results.published import Beside
from bench.results.records import Measured, Record
from bench.results.sides import apart
from bench.results.summary import Estimate, Group, Row, interval_words
from bench.types.sizes import area

#: Matplotlib's markers by the names of plotly and of the page's own pictures.
_SHAPES = {
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "p": "pentagon",
    "*": "star",
    "o": "circle",
}
#: Plotly knows no half-filled markers: a dot or a paler inside stand for them.
_FILLS = {
    "full": "solid",
    "none": "hollow",
    "left": "hollow-dot",
    "bottom": "solid-dot",
    "right": "pale",
    "top": "pale-dot",
}
_SIZE = 1.75  # pixels on the screen per printer's point of a marker
_KEY_SIZE = 12.0
_INK = "#000000"

#: What rows are filtered by, with titles.
FACETS = {
    "student": "Student",
    "method": "Method",
    "loss": "Loss",
    "bits": "Code length",
    "size": "Image size",
    "teacher": "Taught by",
}

#: By what somebody else's method cannot be filtered.
_NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Mark:
    """A marker: colour (None = the colour of text), shape and filling by name, diameter in pixels."""

    colour: str | None
    shape: str
    fill: str
    size: float

    @classmethod
    def of(cls, look: Look) -> Mark:
        """The marker for the screen."""
        size = round(look.size * _SIZE, 1)
        colour = None if look.colour == _INK else look.colour
        return cls(colour, _SHAPES[look.shape], _FILLS[look.fill], size)


#: The marker of what others published.
PUBLISHED = Mark(None, "diamond", "hollow", _KEY_SIZE)


@dataclass(frozen=True)
class Head:
    """The head of a column of the table; an ``optional`` one is shown only while it is an axis."""

    name: str
    title: str
    detail: str
    meaning: str
    optional: bool


class GroupView:
    """One group as the page shows it.

    Attributes:
        accuracies: full names that the vertical axis offers, the main one first.
        costs: the same for the horizontal axis.
        bounds: mAP in the worst and the best tie order, where the records have them.
        fronts: those that the grid asks for and that can be drawn.
        scales: by full name, in the order of the table's columns.
        marks: by row.
        facets: by row, what the filters sort it by.
        published: what others published, as lines below the table.
    """

    def __init__(
        self,
        group: Group,
        styles: Styles,
        fronts: Sequence[Front],
        pages: Mapping[str, str],
        command: Callable[[Record], str],
        own: Beside | None = None,
    ) -> None:
        self.group, self.fronts, self._pages, self._command = group, fronts, pages, command
        self._metrics, self._main = group.metrics, group.accuracy
        self.bounds = _bounds(group)
        usual = [*([self._main] if self._main else []), *group.further_accuracies]
        charted = [front.accuracy for front in fronts]
        self.accuracies = _accuracies(self._metrics, usual, charted, self.bounds)
        self.costs = _costs(self._metrics, [front.cost for front in fronts])
        names = dict.fromkeys([*self.accuracies, *self.bounds, *self.costs])
        self.scales = {name: Scale.of(group, name) for name in names}
        self.scales |= {front.cost: Scale.of_front(front) for front in fronts}
        self.heads = [
            Head(
                name=name,
                title=wording.title_beside(name, self._main),
                detail=scale.detail,
                meaning=wording.definition(name),
                optional=name in self.accuracies and name not in usual,
            )
            for name, scale in self.scales.items()
        ]
        self.marks = [Mark.of(styles.look(row)) for row in group.rows]
        self.facets = [_facets(row) for row in group.rows]
        self._own = own
        self.published = published.lines(own, self.scales) if own else []

    @property
    def covered(self) -> list[Front]:
        """The fronts that have a hypervolume."""
        return [front for front in self.fronts if front.hypervolume is not None]

    @property
    def has_chances(self) -> bool:
        """Whether it is known of any front how sure its places are."""
        return any(map(known, self.fronts))

    @property
    def notes(self) -> list[str]:
        """What a reader must know to quote a number of the table."""
        group, notes = self.group, []
        if self._main:
            notes += [wording.definition(self._main), *further_notes(group)]
            spread = interval_words(row.estimates[self._main] for row in group.rows_with(self._main))
            notes.append(f"±: half of the {spread}." if spread else "One seed each, so no interval.")
        if self.bounds:
            notes.append("Worst and best ties: relevant items last or first among equal distances.")
        notes += float_notes(group)
        if any(row.role == "external" for row in group.rows):
            notes.append(EXTERNAL_NOTE)
        notes += [wording.definition(cost) for cost in self.costs]
        notes += wording.doubts(row.doubt(name) for row in group.rows for name in self.scales)
        notes += [RULE, WHICH] if self.has_chances else []
        notes.append(tuning_curves.note(group))
        notes += [*published.saved_notes(self._own), *published_notes(self._own)] if self._own else []
        return list(dict.fromkeys(filter(None, notes)))

    def cells(self, row: Row) -> list[tuple[int, str]]:
        """Seed and page of every cell behind a row."""
        return [(record.cell.seed, self._pages[record.key]) for record in row.records]

    def data(self) -> dict[str, Any]:
        """Everything that the page's scripts need, as plain JSON."""
        return {
            "slug": self.group.slug,
            "limited": self.group.limited,
            "sizes": self.group.image_sizes,
            "accuracies": self.accuracies,
            "costs": self.costs,
            "pairs": [[front.accuracy, front.cost] for front in self.fronts],
            "names": list(self.scales),
            "metrics": {head.name: self._metric(head) for head in self.heads},
            "rows": [self._row(i, row) for i, row in enumerate(self.group.rows)],
            "chances": dict(self._chances()),
            "attained": dict(self._attained()),
            "sure": dict(self._sure()),
            "published": published.drawable(self._own, list(self.scales)) if self._own else [],
        }

    def _chances(self) -> Iterator[tuple[str, list[float | None]]]:
        """Both axes of a front -> how likely each row of the group is on it."""
        for front in self.fronts:
            if chances := known(front):
                shares = {id(row): share for row, share in zip(front.rows, chances.on_front, strict=True)}
                yield f"{front.accuracy} {front.cost}", [shares.get(id(row)) for row in self.group.rows]

    def _attained(self) -> Iterator[tuple[str, list[list[float | None]]]]:
        """Both axes of a front -> budgets, and what 95, 50 and 5 of 100 draws reach there."""
        for front in self.fronts:
            if (chances := known(front)) and (band := chances.attained):
                yield (
                    f"{front.accuracy} {front.cost}",
                    [[*band.budgets], band.low, band.middle, band.high],
                )

    def _sure(self) -> Iterator[tuple[str, tuple[float, int, str]]]:
        """Both axes of a front -> within how much of the best its student is, its row, and how sure it is."""
        for front in self.fronts:
            places = [i for i, row in enumerate(self.group.rows) if row is front.recommended]
            if places and (said := of_recommended(front)):
                yield f"{front.accuracy} {front.cost}", (front.within, places[0], said)

    def _metric(self, head: Head) -> dict[str, Any]:
        scale = self.scales[head.name]
        return {
            "title": head.title,
            "unit": scale.unit,
            "detail": scale.detail,
            "divisor": scale.divisor,
            "places": scale.places,
            "higher": self._metrics[head.name].higher_is_better,
            "note": head.meaning,
        }

    def _row(self, i: int, row: Row) -> dict[str, Any]:
        mark = self.marks[i]
        return {
            "name": str(row.configuration),
            "role": row.role,
            "facets": self.facets[i],
            "bits": row.configuration.bits,
            "binary": row.binary,
            "size": row.image_size,
            "pixels": area(row.image_size),
            "seeds": row.seeds,
            "settled": any(one.settled for one in row.estimates.values()),
            "page": self._pages[row.records[0].key],
            "command": self._command(row.records[0]),
            "mark": [mark.colour, mark.shape, mark.fill, mark.size],
            "values": [_numbers(row.estimates.get(name)) for name in self.scales],
            "doubts": {name: doubt for name in self.scales if (doubt := row.doubt(name))},
        }


def facet_choices(views: Sequence[GroupView]) -> dict[str, dict[str, Mark | None]]:
    """By filter: what it offers over all groups, in natural order, each with the marker that stands for it.

    A method has its colour and shape, a loss its filling, a code length its size.
    """
    choices: dict[str, dict[str, Mark | None]] = {facet: {} for facet in FACETS}
    for view in views:
        for facets, mark in zip(view.facets, view.marks, strict=True):
            stands = {
                "method": replace(mark, fill="solid", size=_KEY_SIZE),
                "loss": Mark(None, "square", mark.fill, _KEY_SIZE),
                "bits": Mark(None, "square", "solid", mark.size),
            }
            for facet, value in facets.items():
                choices[facet].setdefault(value, stands.get(facet))
    return {
        facet: {name: found[name] for name in sorted(found, key=wording.natural)}
        for facet, found in choices.items()
    }


def finite(value: float) -> float | None:
    """``value``, or None where JSON could not hold it."""
    return value if math.isfinite(value) else None


def _facets(row: Row) -> dict[str, str]:
    one = row.configuration
    return {
        "student": one.student,
        "method": "teacher" if row.role == "teacher" else one.method,
        "loss": _NOT_KNOWN if one.loss == wording.UNKNOWN else one.loss,
        "bits": f"{one.bits} bit" if one.bits else wording.FLOAT,
        "size": wording.pixels([row.image_size]) if row.image_size else _NOT_KNOWN,
        "teacher": wording.one_line(" + ".join(row.records[0].cell.teachers)) or _untaught(row),
    }


def _untaught(row: Row) -> str:
    return _NOT_KNOWN if row.role == "external" else "no teacher"


def _numbers(one: Estimate | None) -> list[float | None] | None:
    """Mean, and with an interval its ends, the number of seeds behind it and what each of several had."""
    if one is None or finite(one.value) is None:
        return None
    if one.interval is None:
        return [one.value]
    ends = finite(one.interval[0]), finite(one.interval[1])
    return [one.value, *ends, one.n, *map(finite, one.by_seed)]


def _bounds(group: Group) -> list[str]:
    if group.accuracy is None:
        return []
    base = group.accuracy.partition(":")[0]
    found = [group.resolve(f"{base}:{order}") for order in ("worst", "best")]
    return [name for name in found if name and name != group.accuracy]


def _accuracies(
    metrics: Mapping[str, Measured], usual: Sequence[str], charted: Sequence[str], bounds: Sequence[str]
) -> list[str]:
    """Names of accuracies, the usual ones first; no bounds, those of seen and unseen classes neither."""
    others = [
        name
        for name, metric in metrics.items()
        if _is_accuracy(name, metric) and apart(name)[0] not in bounds
    ]
    return list(dict.fromkeys([*usual, *charted, *others]))


def _is_accuracy(name: str, metric: Measured) -> bool:
    if known := catalogue.entry(name):
        return known.role == "accuracy"
    return metric.higher_is_better and metric.noise == "seeded"


def _costs(metrics: Mapping[str, Measured], charted: Sequence[str]) -> list[str]:
    """Names of costs, known ones first; what the grid charts is offered whatever its direction."""
    lower = [name for name, metric in metrics.items() if not metric.higher_is_better]
    bases = dict.fromkeys([*catalogue.SIZES, *catalogue.of_role("cost")])
    known = [
        name for base in bases for name in sorted(lower, key=_batch) if catalogue.base_name(name) == base
    ]
    others = [name for name in lower if catalogue.entry(name) is None]
    return list(dict.fromkeys([*known, *charted, *others]))


def _batch(name: str) -> tuple[str, int]:
    """Sorts variants by name, then batch 1 before batch 64."""
    batch = name.partition("@")[2].partition(":")[0]
    return name.partition(":")[2], int(batch) if batch.isdecimal() else 0
