"""The words of a curve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from bench.errors import escaped
from bench.report.tables.curves import ONE, companion_notes, curve_title, without_lines
from bench.results import along, catalogue, wording
from bench.results.curves import Curve, Line
from bench.results.records import Measured

#: What tells lines apart, in the order in which it is said.
PARTS: dict[str, Callable[[Line], str]] = {
    "student": lambda line: line.configuration.student.removesuffix(" (teacher)"),
    "bits": lambda line: line.configuration.parts[3],
    "loss": lambda line: line.configuration.loss,
    "method": lambda line: "no distillation" if line.role == "undistilled" else line.configuration.method,
}


def title(curve: Curve) -> str:
    """What is drawn, and of which data."""
    return f"{curve_title(curve)} · {curve.dataset}"


def subtitle(report: str, curve: Curve) -> list[str]:
    """One line each: what all lines share, and what was measured on."""
    students = [line for line in curve.lines if line.role != "teacher"] or curve.lines
    facts = [f"Grid {report}"]
    for part in ("student", "loss", "bits"):
        said = {PARTS[part](line) for line in (students if part == "student" else curve.lines)}
        # Without its length, a code cannot be told from an embedding.
        if len(said) == 1 and part != curve.path:
            facts.append(f"loss {said.pop()}" if part == "loss" else said.pop())
    if curve.path != "image_size":
        sizes = {row.image_size for line in students for row in line.rows.values() if row.image_size}
        facts += [f"images of {wording.pixels(sizes)}"] * (len(sizes) == 1)
    seeds = sorted({one.n for one in curve.estimates})
    repeats = curve.repeats if seeds[-1] > 1 else ONE[curve.repeats]
    facts.append(f"{'–'.join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))} {repeats}")
    # How ties are ranked is part of what the accuracy is, and the settings of the data make the split.
    told = {"split", *(("ties", "normalizer") if wording.ranking_rule(curve.accuracy) else ())}
    shared = {name: value for name, value in curve.shared.items() if name not in told}
    lines = [" · ".join(facts), wording.assignments(shared)]
    return [*(["LIMITED RUN, NOT COMPARABLE"] * curve.limited), *lines]


def parts(curve: Curve, told: Sequence[Collection[str]] = ()) -> list[tuple[str, ...]]:
    """Of every line what tells it from the others beside the method, and no more.

    Args:
        told: of each line, what the chart tells already; of others it says what other panels differ in.
    """
    teachers = [line for line in curve.lines if line.role == "teacher"]
    others = [line for line in curve.lines if line.role != "teacher"]
    facets: set[str] = set().union(*told)

    def wanted(line: Line) -> set[str]:
        if line.role != "teacher":
            return _differing(others)
        # Its settings are taken for those of the students, unless it says other ones.
        strange = {part for part, say in PARTS.items() if others and say(line) not in map(say, others)}
        return _differing(teachers) | strange | {"student"}

    def said(line: Line, known: Collection[str]) -> tuple[str, ...]:
        found = (wanted(line) | facets) - {*known, "method"}
        texts = (say(line) for part, say in PARTS.items() if part in found)
        return tuple(text for text in texts if text != wording.UNKNOWN)

    known = told or [()] * len(curve.lines)
    return [said(line, some) for line, some in zip(curve.lines, known, strict=True)]


def _differing(lines: Sequence[Line]) -> set[str]:
    return {part for part, say in PARTS.items() if len(set(map(say, lines))) > 1}


def name(line: Line, parts: tuple[str, ...]) -> str:
    """What a line is called."""
    if line.role == "teacher":
        return " · ".join(["teacher", *parts])
    return " · ".join([*parts, PARTS["method"](line)])


def across(curve: Curve, scale: str) -> str:
    """The title of the horizontal axis, see ``curve_axis``."""
    return f"{along.label(curve.path)}{', not to scale' * (scale == 'even')}"


def up(curve: Curve, metric: Measured) -> tuple[str, str]:
    """The title of the vertical axis, and a shorter one; ``metric`` is the accuracy of any point."""
    unit = f" ({wording.one_line(metric.unit)})" if metric.unit else ""
    title, better = f"{escaped(catalogue.title(curve.accuracy))}{unit}", metric.higher_is_better
    return f"{title}, {'more' if better else 'less'} is better", title


def tip(curve: Curve, line: Line, name: str, value: float) -> str:
    """What is said of a point when somebody asks for it."""
    one = line.rows[value].estimates[curve.accuracy]
    where = f"{along.words(curve.path)} {along.in_words(value)}"
    return f"{name}, {where}: {catalogue.title(curve.accuracy)} {one.value:.3f}{one.spread()}"


def notes(curve: Curve, *, cut: bool) -> list[str]:
    """What a reader must know to read the chart, the most important first; the page says more.

    Args:
        curve: what is drawn.
        cut: whether bars go on behind the frame.
    """
    said = []
    if spread := curve.spread:
        said.append(f"Bars{', some cut by the frame' * cut}: {spread}; points of one value side by side.")
    elif len(curve.lines) > 1:
        said.append("Points of one value stand side by side.")
    said += [*companion_notes(curve), *curve.notes, *curve.apart]
    if curve.judged_alike:
        said.append("Queries and database are the same images at every value.")
    said += without_lines(curve)
    return [*said, *filter(None, [wording.short_definition(curve.accuracy)])]
