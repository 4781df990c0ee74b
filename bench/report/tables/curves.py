"""The tables of a curve: its lines by value, and what distillation adds at each."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.tables.columns import EXTERNAL_NOTE, Column
from bench.results import along, catalogue, wording
from bench.results.curves import Curve, Gain, Gains, Line

#: Decimal places of accuracies.
_PLACES = 3
#: One of what points are means over.
ONE = {"seeds": "seed", "studies": "study"}
#: Marks a difference that has other causes, too.
_BESIDE = "*"


def curve_title(curve: Curve) -> str:
    """``mAP@all against labelled images a class``."""
    return f"{catalogue.title(curve.accuracy)} against {along.words(curve.path)}"


def curve_columns(curve: Curve) -> list[Column]:
    """A line of the table for each of the chart, and a column for each value."""
    values = [
        Column(along.in_words(value), [_accuracy(curve, line, value) for line in curve.lines])
        for value in curve.values
    ]
    return [*_names(curve, curve.lines), *values]


def gain_columns(curve: Curve, gains: Gains) -> list[Column]:
    """What each method adds, by value; none where nothing was compared."""
    told = sorted({position for position, _ in gains})
    values = sorted({value for _, value in gains})
    columns = [
        Column(
            along.in_words(value),
            [_gain(gains.get((position, value))) for position in told],
            bold=frozenset(
                i for i, position in enumerate(told) if (one := gains.get((position, value))) and one.shown
            ),
        )
        for value in values
    ]
    return [*_names(curve, [curve.lines[i] for i in told]), *columns] if told else []


def curve_notes(curve: Curve) -> list[str]:
    """What a reader must know to quote a number of the first table, the most important first."""
    notes = [f"All cells share {wording.assignments(_constants(curve) | curve.shared)}."]
    if curve.judged_alike:
        notes.append("Queries and database are the same images at every value.")
    alone = f"One {ONE[curve.repeats]} each, so no interval."
    notes.append(f"±: half of the {curve.spread}." if curve.spread else alone)
    notes += [*companion_notes(curve), *curve.notes]
    notes += without_lines(curve)
    if any(line.role == "external" for line in curve.lines):
        notes.append(EXTERNAL_NOTE)
    rows = [row for line in curve.lines for row in line.rows.values()]
    notes += wording.doubts(row.doubt(curve.accuracy) for row in rows)
    if curve.limited:
        notes.append("Limited run: these numbers compare with nothing.")
    return [*notes, *curve.apart, *filter(None, [wording.definition(curve.accuracy)])]


def without_lines(curve: Curve) -> list[str]:
    """How many configurations there are that have no line, and why."""
    reasons = (
        (curve.short, "one value alone and no line"),
        (curve.lacking, f"no number {wording.one_line(curve.path)}, and no line"),
    )
    return [
        f"{'1 configuration has' if count == 1 else f'{count} configurations have'} {why}."
        for count, why in reasons
        if count
    ]


def companion_notes(curve: Curve) -> list[str]:
    """What else differs between the values of every line."""
    said = [
        path if numbers is None else f"{path} ({', '.join(map(along.in_words, numbers))})"
        for path, numbers in curve.companions.items()
    ]
    return [f"Goes along with it: {wording.one_line(', '.join(said))}."] if said else []


def gain_notes(curve: Curve, gains: Gains) -> list[str]:
    """The same of the second table."""
    over = " or ".join(dict.fromkeys(one.over for one in gains.values()))
    tests = sum(one.p is not None for one in gains.values())
    brackets = "; in brackets the 95 % interval of this difference alone"
    notes = [
        f"{catalogue.title(curve.accuracy)} less that of the same student without distillation, paired over "
        f"{over}{brackets * any(one.interval for one in gains.values())}."
    ]
    if beside := dict.fromkeys(one.beside for one in gains.values() if one.beside):
        notes.append(f"{_BESIDE}: not distillation alone, {wording.one_line('; '.join(beside))}.")
    notes += wording.doubts(one.mark for one in gains.values())
    if tests:
        times = f" after correction for asking {tests} times (Holm)" if tests > 1 else ""
        notes.append(f"Bold: test and interval agree that there is a difference{times}.")
    elif not beside:
        notes.append("Nothing can be tested: that takes several seeds, or scores by query.")
    return notes


def _constants(curve: Curve) -> dict[str, object]:
    """What has no column, as all lines have the same."""
    configurations = [line.configuration for line in curve.lines]
    values = {name: {getattr(one, name) for one in configurations} for name in ("student", "loss", "bits")}
    return {name: one for name, (one, *others) in values.items() if one and not others}


def _names(curve: Curve, lines: Iterable[Line]) -> list[Column]:
    """The method, and whatever else tells the lines of the chart apart."""
    some, configurations = [*lines], [line.configuration for line in curve.lines]
    columns = []
    for name in ("student", "method", "loss", "bits"):
        if name == "method" or len({getattr(one, name) for one in configurations}) > 1:
            texts = [str(getattr(line.configuration, name) or wording.FLOAT) for line in some]
            columns.append(Column(name, texts, numeric=name == "bits"))
    return columns


def _accuracy(curve: Curve, line: Line, value: float) -> str:
    row = line.rows.get(value)
    if row is None:
        return "–"
    one = row.estimates[curve.accuracy]
    return f"{one.value:.{_PLACES}f}{one.spread(places=_PLACES)}{row.doubt(curve.accuracy)}"


def _gain(one: Gain | None) -> str:
    if one is None:
        return "–"
    mean = f"{one.difference + 0.0:+.{_PLACES}f}".replace(f"-{0:.{_PLACES}f}", f"+{0:.{_PLACES}f}")
    ends = ", ".join(f"{end:+.{_PLACES}f}" for end in one.interval or ())
    return (f"{mean} [{ends}]" if ends else mean) + _BESIDE * bool(one.beside) + one.mark
