"""What is wrong with the numbers that charts of a grid are to show: those that no record of it will have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bench.errors import did_you_mean
from bench.planning.given import given, measured_by
from bench.planning.grid_faults import Fault
from bench.planning.plan import Cell
from bench.planning.schema import Grid
from bench.results import catalogue
from bench.results.entries import DEFAULT_CHARTS, DEFAULT_METRICS
from bench.results.sides import SIDES, apart

#: Names that a message lists.
LISTED = 12


def axis_faults(grid: Grid, cells: Sequence[Cell], elsewhere: Collection[str]) -> Iterator[Fault]:
    """Place and plain words of each, where all metrics say what they give.

    Args:
        grid: where charts are asked for.
        cells: all of the grid.
        elsewhere: short names of what metrics that are not the suite's give in some cell.
    """
    axes = _Axes(grid, cells, elsewhere)
    for i, (accuracy, cost) in enumerate(grid.report.pareto):
        faults = [(j, fault) for j, name in enumerate((accuracy, cost)) if (fault := axes.fault(name))]
        if (accuracy, cost) in DEFAULT_CHARTS and [j for j, _ in faults] == [1]:
            continue  # the grid has switched its cost off, and reports leave it out
        yield from ((("report", "pareto", i, j), fault) for j, fault in faults)
        if not faults and (fault := axes.pair_fault(accuracy, cost)):
            yield ("report", "pareto", i), fault
    for i, (accuracy, _) in enumerate(grid.report.curves):
        if fault := axes.fault(accuracy):
            yield ("report", "curves", i, 0), fault


class _Axes:
    """What the records of a grid will have."""

    def __init__(self, grid: Grid, cells: Sequence[Cell], elsewhere: Collection[str]) -> None:
        self._measure, self._elsewhere = grid.measure, elsewhere
        self._sided = any(cell.params["dataset"].get("unseen_classes") for cell in cells)
        # Cells that are measured alike have numbers alike, and there may be thousands.
        alike = {
            repr([cell.info.dataset, cell.params["dataset"], cell.params["measure"]]): cell for cell in cells
        }
        self._records = [given(cell.params, cell.info.protocol) for cell in alike.values()]

    def fault(self, name: str) -> str:
        """Why no record will have a number called ``name``; empty where some will, as far as is known."""
        known = [entry.name for entry in catalogue.entries()]
        base, side = catalogue.base_name(name), apart(name)[1]
        if base not in known:
            hint = did_you_mean(base, known) or f" (known: {', '.join(known)})"
            return f"no metric gives '{name}'{hint}"
        if side and side not in SIDES:
            hint = did_you_mean(side, SIDES) or f" (known: {', '.join(SIDES)})"
            return f"'{name}': there is no side '{side}'{hint}"
        if side and not self._sided:
            cure = "set unseen_classes in the params of a data set"
            return f"no cell has '{name}', as no class is unseen; {cure}"
        if base in self._elsewhere or any(catalogue.full_name(name, names) for names in self._records):
            return ""
        there = dict.fromkeys(
            full for names in self._records for full in names if catalogue.base_name(full) == base
        )
        alike = [full for full in there if apart(full)[1] == side]
        if alike:
            more = f" and {len(alike) - LISTED} more" if len(alike) > LISTED else ""
            return (
                f"no cell has '{name}' (there are: {', '.join(alike[:LISTED])}{more}); correct or measure it"
            )
        if there:
            return f"no cell has '{name}': {base} is not told of classes apart; write {base}"
        return f"no cell has '{name}': {self._unmeasured(base)}"

    def pair_fault(self, accuracy: str, cost: str) -> str:
        """Why two numbers that some records have make no chart; empty where they do."""
        known = catalogue.entry(accuracy)
        if known and known.noise != "seeded":
            return f"'{accuracy}' is no accuracy; write the accuracy first, then the cost"
        if {catalogue.base_name(name) for name in (accuracy, cost)} & set(self._elsewhere):
            return ""
        both = [[catalogue.full_name(name, names) for name in (accuracy, cost)] for names in self._records]
        met = [pair for pair in both if all(pair)]
        if not met:
            return f"no cell has both '{accuracy}' and '{cost}'; set what some have against each other"
        if all(one == other for one, other in met):
            return f"both axes are '{accuracy}'; name a cost to set against it"
        return ""

    def _unmeasured(self, base: str) -> str:
        """Which metric is to blame, and the cure."""
        for metric in measured_by(base):
            if self._measure.get(metric) is False:
                return f"measure: {{{metric}: false}} leaves it out; drop one of the two"
            if metric not in self._measure and metric not in DEFAULT_METRICS:
                return f"metric '{metric}' is not measured; add measure: {{{metric}: {{}}}} or drop the chart"
        return "what gives it applies to no cell of this grid; drop the chart"
