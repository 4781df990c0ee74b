"""Curves: an accuracy along a number that differs between cells, a line for what differs in nothing else.

Cells of different tables may stand on one line, as another number of labels is another split. Their
accuracies compare where ranking rule and precision agree, and queries and database are the same images;
which machine found them does not matter.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.results import along, comparable
from bench.results.curves_asked import distinct, refusal
from bench.results.folder import Results
from bench.results.names import Configuration, Names, Teacher, teachers_of
from bench.results.records import UNREADABLE, Record, parse
from bench.results.summary import Estimate, Role, Row, interval_words, placed, readable_slugs, row_of
from bench.results.wording import brief, one_line
from bench.storage.keys import canonical_json

#: What must be equal -> what to say where it is not; of anything else, both values.
_OTHERS = {
    "images": "other images",
    "queries": "other queries",
    "database": "another database",
    "split": "another split",
    "manifest": "another split",
    "lost": "their splits are not kept here, so nobody can tell whether queries and database are the same",
}


@dataclass(frozen=True)
class Line:
    """What differs in nothing but the number along which it is drawn.

    Attributes:
        configuration: as the curve calls it: without that number, codes of any length have 0 bits.
        role: of all its rows.
        rows: by value, ascending; at least two.
        companions: paths of the numbers that go along, see ``along.companions`` -> value -> what they are.
    """

    configuration: Configuration
    role: Role
    rows: dict[float, Row]
    companions: dict[str, dict[float, float]] = field(default_factory=dict)

    def estimates(self, accuracy: str) -> dict[float, Estimate]:
        """Its points: value -> accuracy (full name)."""
        return {value: row.estimates[accuracy] for value, row in self.rows.items()}


@dataclass(frozen=True)
class Gain:
    """What distillation adds to an accuracy at one value, paired over seeds and queries.

    Attributes:
        difference: mean, with less without.
        beside: what else differs between the two, ``parameters differ: loss.epochs 3 -> 30``; nothing is
            shown by such a difference.
        mark: of a doubt about either side, see ``wording.doubts``.
        interval: 95 % interval of this difference alone; None where nothing varies that could be sampled.
        p: two-sided, adjusted for all that were asked together; None where nothing can be tested.
        shown: whether test and interval agree that there is one.
        over: seeds and queries that it is paired over, ``3 seeds and 1,000 queries``.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    shown: bool
    over: str
    beside: str = ""
    mark: str = ""


#: Position of a line, and a value -> what distillation adds there.
Gains = Mapping[tuple[int, float], Gain]


@dataclass(frozen=True)
class Curve:
    """One chart: lines whose accuracies compare.

    Attributes:
        asked: accuracy and path, as the grid has them.
        accuracy: full name.
        dataset: name, with the settings that tell it from others.
        shared: what all cells have in common: settings of the data set, ranking rule, precision.
        slug: names it among all curves of the same pair; empty where it is the only one.
        lines: teachers last.
        short: configurations that have one value alone, and are left out.
        lacking: those that have no number there, a method that has no such parameter say, and are left out.
        apart: why other values are not on it, a sentence each.
        judged_alike: whether the split differs between its values, and queries and database do not.
        notes: what else a reader must know.
        repeats: what a point is the mean over.
    """

    asked: tuple[str, str]
    accuracy: str
    dataset: str
    shared: dict[str, Any]
    slug: str
    lines: list[Line]
    short: int
    lacking: int = 0
    apart: list[str] = field(default_factory=list)
    judged_alike: bool = False
    notes: list[str] = field(default_factory=list)
    repeats: Literal["seeds", "studies"] = "seeds"

    @property
    def path(self) -> str:
        """Of the number along which it is drawn."""
        return self.asked[1]

    @property
    def stem(self) -> str:
        """Names its files."""
        return "_".join(filter(None, ["curve", *self.asked, self.slug]))

    @property
    def values(self) -> list[float]:
        """Where any line has a point, ascending."""
        return sorted({value for line in self.lines for value in line.rows})

    @property
    def companions(self) -> dict[str, list[float] | None]:
        """Numbers that go along, by path: one for each of ``values``; None where lines have others."""
        found: dict[str, dict[float, set[float]]] = defaultdict(lambda: defaultdict(set))
        for line in self.lines:
            for path, numbers in line.companions.items():
                for value, number in numbers.items():
                    found[path][value].add(number)
        return {
            path: [min(numbers[value]) for value in self.values]
            if all(len(numbers[value]) == 1 for value in self.values)
            else None
            for path, numbers in found.items()
        }

    @property
    def limited(self) -> bool:
        """Whether the cells saw only a part of the data."""
        return comparable.limited(self.shared)

    @property
    def spread(self) -> str:
        """What intervals are, in words; empty where there are none."""
        return interval_words(self.estimates).replace("seeds", self.repeats)

    @property
    def estimates(self) -> list[Estimate]:
        """All points."""
        return [one for line in self.lines for one in line.estimates(self.accuracy).values()]


def curves_of(results: Results) -> tuple[list[Curve], list[str]]:
    """What the grid wants drawn along a number, and why some of it cannot be, a sentence each."""
    finished = [record for record in results.records if record.finished]
    drawn, refused = list[Curve](), []
    for asked in distinct(results.curves, finished) if finished else ():
        why = refusal(asked, finished)
        found, apart = ([], []) if why else _drawn(asked, finished, results)
        drawn += found
        if not found:
            where = f"report: curves: [{', '.join(map(one_line, asked))}]"
            refused.append(f"{where}: {why or ' '.join(apart) or along.alone(asked[1])}")
    return drawn, refused


# -- Which cells stand on one line ---------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """A cell that may stand on a line.

    Attributes:
        path: of the number along which that is.
        accuracy: full name.
        numbers: see ``along.numbers``.
        facts: what may not differ on one curve.
        companions: paths of the numbers that go along.
    """

    record: Record
    path: str
    accuracy: str
    numbers: dict[str, float]
    facts: dict[str, Any]
    companions: list[str] = field(default_factory=list)

    @property
    def value(self) -> float:
        """Where it stands on its line."""
        return self.numbers[self.path]

    @property
    def conditions(self) -> str:
        """``facts`` as a key."""
        return canonical_json(self.facts)

    @property
    def identity(self) -> str:
        """Equal for the cells of one line."""
        return along.identity(self.record.cell, self.record.params, [self.path, *self.companions])

    @functools.cached_property
    def plain(self) -> Record:
        """Its record as if it had no number of these paths."""
        cell, params = self.record.cell, self.record.params
        for path in (self.path, *self.companions):
            cell, params = along.without(cell, params, path)
        return self.record.model_copy(update={"cell": cell, "params": params})


@dataclass(frozen=True)
class _Part:
    """Cells whose accuracies compare.

    Attributes:
        accuracy: full name.
        facts: what is equal among them and not between parts.
        lines: ``along.identity`` -> value -> cells.
    """

    dataset: str
    accuracy: str
    facts: dict[str, Any]
    digest: str
    lines: dict[str, dict[float, list[_Cell]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    @property
    def whole(self) -> list[dict[float, list[_Cell]]]:
        """The lines of two values and more."""
        return [found for found in self.lines.values() if len(found) > 1]


def _drawn(asked: tuple[str, str], finished: list[Record], results: Results) -> tuple[list[Curve], list[str]]:
    """The curves of one pair, and why what differs in nothing else is on no common one."""
    cells = list(_cells(asked, finished, results))
    parts = _parts(cells)
    apart = {
        (i, j): why
        for i, j in itertools.combinations(range(len(parts)), 2)
        if (why := _apart(asked[1], parts[i], parts[j]))
    }
    lines_of = _Lines(cells, teachers_of(results.records))
    lacking = _lacking(asked, finished)
    curves = []
    for i, part in enumerate(parts):
        if not (lines := lines_of(part)):
            continue
        ends = [found[0] for found in part.whole[0].values()]
        curves.append(
            Curve(
                asked=asked,
                accuracy=part.accuracy,
                dataset=lines[0].configuration.dataset,
                shared=_shared(ends[0]),
                slug=part.digest,
                lines=lines,
                short=len(part.lines) - len(lines),
                lacking=lacking[part.dataset],
                apart=[why for both, why in apart.items() if i in both],
                judged_alike=len({one.record.cell.protocol.get("manifest") for one in ends}) > 1,
            )
        )
    curves.sort(key=lambda curve: (curve.dataset, curve.limited, curve.slug))
    slugs = readable_slugs([(curve.dataset, curve.slug) for curve in curves]) if len(curves) > 1 else [""]
    return [replace(curve, slug=slug) for curve, slug in zip(curves, slugs, strict=False)], [*apart.values()]


def _lacking(asked: tuple[str, str], finished: list[Record]) -> dict[str, int]:
    """Data set -> configurations that have the accuracy and no such number."""
    accuracy, path = asked
    found: dict[str, set[str]] = defaultdict(set)
    for record in finished:
        if record.metric(accuracy) and path not in along.numbers(record.cell, record.params):
            found[record.cell.dataset].add(along.identity(record.cell, record.params, []))
    return defaultdict(int, {dataset: len(some) for dataset, some in found.items()})


class _Lines:
    """Makes the lines of a part, named as if their cells had no such number."""

    def __init__(self, cells: list[_Cell], teachers: set[Teacher]) -> None:
        self._names, self._teachers = Names([cell.plain for cell in cells]), teachers

    def __call__(self, part: _Part) -> list[Line]:
        """Those of two values and more, teachers last."""
        lines = []
        for found in part.whole:
            ordered = {value: found[value] for value in sorted(found)}
            role, configuration = placed(next(iter(ordered.values()))[0].plain, self._names, self._teachers)
            rows = {
                value: row_of(role, configuration, [cell.record for cell in cells])
                for value, cells in ordered.items()
            }
            others = {
                path: {value: cells[0].numbers[path] for value, cells in ordered.items()}
                for path in next(iter(ordered.values()))[0].companions
            }
            lines.append(Line(configuration, role, rows, others))
        return sorted(lines, key=lambda line: (line.role == "teacher", line.configuration))


def _cells(asked: tuple[str, str], finished: list[Record], results: Results) -> Iterable[_Cell]:
    """All that have both, with what may not differ between them."""
    accuracy, path = asked
    manifests: dict[tuple[str, str, str], dict[str, str]] = {}
    found = []
    for record in finished:
        numbers, measured = along.numbers(record.cell, record.params), record.metric(accuracy)
        if path not in numbers or measured is None:
            continue
        facts = comparable.accuracy_conditions(record)
        if _is_of_data(path):
            split, manifest = str(facts.pop("split", "")), str(facts.pop("manifest", ""))
            place = str(results.home(record).path), split, manifest
            if place not in manifests:
                manifests[place] = _judged(results.noted(results.split, record, b""))
            facts |= manifests[place] or {"lost": manifest}
        found.append(_Cell(record, path, measured[0], numbers, facts))
    others = along.companions(path, [(one.record.cell, one.numbers, one.conditions) for one in found])
    for one in found:
        yield replace(one, companions=others[along.kind(one.record.cell, path), one.conditions])


def _parts(cells: list[_Cell]) -> list[_Part]:
    """The cells, sorted into what compares."""
    parts: dict[str, _Part] = {}
    for one in cells:
        key = canonical_json(
            [one.plain.cell.dataset, one.plain.params.get("dataset"), one.accuracy, one.facts]
        )
        if key not in parts:
            digest = hashlib.sha256(key.encode()).hexdigest()[:6]
            parts[key] = _Part(one.record.cell.dataset, one.accuracy, one.facts, digest)
        parts[key].lines[one.identity][one.value].append(one)
    return [*parts.values()]


def _is_of_data(path: str) -> bool:
    """Whether cells of other values have other splits by their nature."""
    return path.startswith("dataset.")


def _judged(manifest: bytes) -> dict[str, str]:
    """See ``along.judged_on``; empty where there is no manifest."""
    try:
        found = parse(manifest) if manifest else None
    except UNREADABLE:
        return {}
    return along.judged_on(found) if isinstance(found, dict) else {}


def _apart(path: str, part: _Part, other: _Part) -> str:
    """Why cells that differ in nothing else are on no common curve; empty: no others are."""
    shared = part.lines.keys() & other.lines.keys()
    ends = [sorted({value for one in shared for value in side.lines[one]}) for side in (part, other)]
    if not shared:
        return ""
    differing = [name for name in part.facts | other.facts if part.facts.get(name) != other.facts.get(name)]
    said = dict.fromkeys(
        _OTHERS.get(name)
        or f"{one_line(name)} {brief(part.facts.get(name))} against {brief(other.facts.get(name))}"
        for name in differing
    )
    values = " and ".join(", ".join(map(along.in_words, one)) for one in ends)
    why = " and ".join(said) or f"{part.accuracy} against {other.accuracy}"
    if ends[0] == ends[1]:
        return f"{one_line(part.dataset)}: there are two curves along {one_line(path)}: {why}."
    return f"{one_line(part.dataset)}: {one_line(path)} {values} are on no common curve: {why}."


def _shared(cell: _Cell) -> dict[str, Any]:
    """What ``Curve.shared`` holds."""
    conditions = comparable.accuracy_conditions(cell.record)
    own = {"split", "manifest"} if _is_of_data(cell.path) else {"manifest"}
    return {
        **cell.plain.params.get("dataset", {}),
        **{name: value for name, value in conditions.items() if name not in own},
    }
