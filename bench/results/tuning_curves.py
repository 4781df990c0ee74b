"""Accuracy against the cost of tuning: what a smaller budget would have found, a line a configuration."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.results import comparable, tuning, wording
from bench.results.curves import Curve, Line
from bench.results.records import Measured
from bench.results.summary import Group, Row, Summary, estimate
from bench.results.tuning import Study, studies_of

#: What is drawn, and along what; no metric of cells, so that the catalogue has neither.
ACCURACY, TRIALS = "expected best validation mAP", "trials"
_EXPECTED = (
    "The best validation mAP of n trials drawn with replacement from those of a study, expected over all "
    "ways to draw; points are means over studies. No query was looked at."
)
_SO_FAR = (
    "Where {name} draws each trial from what those before it have found: the best validation mAP of the "
    "first n, which are what a study of n trials is; points are means over studies. No query was looked at."
)


def tuning_curves(summary: Summary) -> list[Curve]:
    """One for each group of comparable rows in which something was tuned."""
    found = [(group, lines) for group in summary.groups if (lines := [*_lines(group)])]
    return [
        Curve(
            asked=("tuning", TRIALS),
            accuracy=ACCURACY,
            dataset=group.dataset,
            shared=comparable.accuracy_conditions(lines[0][0].records[0]),
            slug=group.slug if len(found) > 1 else "",
            lines=[line for _, _, line in lines],
            short=0,
            notes=[*_meaning(lines), *_cost(lines)],
            repeats="studies",
        )
        for group, lines in found
    ]


def note(group: Group) -> str:
    """With which budgets the rows of a table were tuned; empty where none was."""
    return tuning.note([record for row in group.rows for record in row.records])


def _lines(group: Group) -> Iterator[tuple[Row, list[Study], Line]]:
    """Of each row that was tuned its studies, which all of its seeds share, and its line."""
    for row in group.rows:
        studies = studies_of(row.records[0]) if row.records else []
        trials = min((len(one.expected_best) for one in studies), default=0)
        if trials > 1:
            rows = {float(n): _point(row, studies, n) for n in _numbers(trials)}
            yield row, studies, Line(row.configuration, row.role, rows)


def _meaning(lines: list[tuple[Row, list[Study], Line]]) -> Iterator[str]:
    """What points are, by the samplers of the rows."""
    samplers = {tuning.drawn_by(tuning.budget_of(row.records[0]) or {}): None for row, _, _ in lines}
    yield from (_SO_FAR.format(name=wording.one_line(name)) if name else _EXPECTED for name in samplers)
    if "" in samplers and len(samplers) > 1:
        yield "Lines of one kind do not compare with those of the other."


def _numbers(trials: int) -> list[int]:
    """Powers of two, and all trials."""
    return [*(2**i for i in range(trials.bit_length()) if 2**i < trials), trials]


def _point(row: Row, studies: list[Study], trials: int) -> Row:
    """A row that has nothing but this number."""
    found = [
        Measured(value=one.expected_best[trials - 1], unit="", higher_is_better=True, noise="seeded")
        for one in studies
    ]
    return Row(
        row.configuration,
        row.role,
        [],
        {ACCURACY: estimate(ACCURACY, found)},
        {ACCURACY: found[0]},
        row.image_size,
    )


def _cost(lines: list[tuple[Row, list[Study], Line]]) -> Iterator[str]:
    """What a trial takes, by loss, and method where it has a step 1 of its own: the median of the known."""
    seconds: dict[str, list[float]] = {}
    for row, studies, _ in lines:
        known = [one.seconds for study in studies for one in study.trials if one.seconds is not None]
        one = row.configuration
        both = tuning.as_named(row.records[0], "method")
        seconds.setdefault(f"{one.method} and {one.loss}" if both else one.loss, []).extend(known)
    said = [
        f"{statistics.median(some):.2g} s ({wording.one_line(name)})"
        for name, some in seconds.items()
        if some
    ]
    if said:
        yield f"A trial took {', '.join(said)} of training, median."
