"""Which lines of a curve share axes: small multiples by loss, code length or student where there are many."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from bench.report.charts.curve_words import PARTS
from bench.report.charts.forms import Values, nearest
from bench.results.curves import Curve, Line

#: Lines that one pair of axes has room for.
MOST_LINES = 8
#: As many kinds of lines are told apart with ease, by dashes, beside what colours tell.
MOST_KINDS = 5
#: What small multiples may be made by, the first choice first.
_FACETS = ("loss", "bits", "student")


def facets_of(curve: Curve) -> tuple[str, ...]:
    """What small multiples are made by, in the order of ``PARTS``; nothing for few lines.

    As few parts as leave each panel few lines, and the key they share few kinds of them.
    """
    choices = (some for size in range(len(_FACETS) + 1) for some in itertools.combinations(_FACETS, size))

    def crowded(some: tuple[str, ...]) -> tuple[int, int, int]:
        most = max(map(len, panels_of(curve, some).values()))
        rest = [part for part in _FACETS if part not in some]
        kinds = {values_of(line, rest) for line in _makers(curve)}
        # Lines in one pair of axes are named at their ends.
        return max(most, MOST_LINES), max(len(kinds), MOST_KINDS) if some else MOST_KINDS, len(some)

    best = min(choices, key=crowded)
    return tuple(part for part in PARTS if part in best)


def panels_of(curve: Curve, facets: Sequence[str]) -> dict[Values, list[int]]:
    """Values of each panel's facets -> its lines, ascending.

    Students make the panels; teachers and what was measured elsewhere stand in those that agree most, as in
    ``forms.panels_of``.
    """
    panels: dict[Values, list[int]] = {values_of(line, facets): [] for line in _makers(curve)}
    for i, line in enumerate(curve.lines):
        for values in nearest(values_of(line, facets), panels):
            panels[values].append(i)
    return panels


def values_of(line: Line, facets: Sequence[str]) -> Values:
    """What a line has; what is no student's belongs to no student, whatever it is called."""
    return tuple("" if part == "student" and not _is_student(line) else PARTS[part](line) for part in facets)


def title(values: Values, facets: Sequence[str]) -> str:
    """What a panel shows; empty where there is only one."""
    said = zip(facets, map(str, values), strict=True)
    return " · ".join(f"loss {text}" if part == "loss" else text for part, text in said if text)


def told(curve: Curve, facets: Sequence[str], panels: Mapping[Values, Sequence[int]]) -> list[set[str]]:
    """Of each line, which facets are what the titles of all its panels say."""
    found = [set(facets) for _ in curve.lines]
    for values, some in panels.items():
        for i in some:
            own = values_of(curve.lines[i], facets)
            found[i] -= {part for part, one, other in zip(facets, own, values, strict=True) if one != other}
    return found


def _is_student(line: Line) -> bool:
    return line.role in {"undistilled", "distilled"}


def _makers(curve: Curve) -> list[Line]:
    """The lines that there are panels for: those of students, or else all."""
    return [line for line in curve.lines if _is_student(line)] or curve.lines
