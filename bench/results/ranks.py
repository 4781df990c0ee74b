"""Mean ranks of configurations over data sets, for a diagram of which differ."""

from __future__ import annotations

from dataclasses import dataclass

from bench.results.summary import Group, Summary

#: Fewer data sets rank nothing; fewer configurations need no diagram, and more cannot be read in one.
LEAST_BLOCKS, LEAST, MOST = 5, 3, 24
#: Of the tests.
LEVEL = 0.05


@dataclass(frozen=True)
class Ranks:
    """What was compared over all data sets, the best first.

    Attributes:
        names: of the configurations, without what all of them share.
        means: their mean ranks; 1 is the best of all.
        blocks: the data sets, with their protocol where they have several.
        p: of the hypothesis that all are equally good (Friedman).
        critical: mean ranks that differ by more are told apart (Nemenyi).
        shared: what all configurations have in common.
    """

    names: list[str]
    means: list[float]
    blocks: list[str]
    p: float
    critical: float
    shared: str = ""

    @property
    def alike(self) -> list[tuple[int, int]]:
        """First and last position of every longest run that is not told apart; none within another."""
        if self.p >= LEVEL:
            return [(0, len(self.means) - 1)]
        runs: list[tuple[int, int]] = []
        for i, mean in enumerate(self.means):
            last = max(j for j, other in enumerate(self.means) if other - mean <= self.critical)
            if last > i and (not runs or last > runs[-1][1]):
                runs.append((i, last))
        return runs


@dataclass(frozen=True)
class Table:
    """Accuracies to be ranked within each data set: ``values[block][name]``, more is better."""

    blocks: list[str]
    names: list[str]
    values: list[list[float]]
    shared: str


def table_of(summary: Summary) -> Table | None:
    """What can be ranked: the configurations that all data sets have.

    A data set counts once, or once for each of its protocols: budgets of its labels are not independent. Of
    several groups the first counts. Nothing is said of limited runs, rows that carry a warning are left out.

    Returns:
        None where there are too few data sets or configurations, or too many to be read.
    """
    groups: dict[str, Group] = {}
    for group in summary.groups:
        if group.accuracy and not group.limited:
            groups.setdefault(_block(group), group)
    if len(groups) < LEAST_BLOCKS:
        return None
    found = [_accuracies(group) for group in groups.values()]
    common = [parts for parts in found[0] if all(parts in others for others in found)]
    if not LEAST <= len(common) <= MOST:
        return None
    varying = [i for i in range(len(common[0])) if len({parts[i] for parts in common}) > 1]
    return Table(
        blocks=[*groups],
        names=[" · ".join(parts[i] for i in varying) for parts in common],
        values=[[values[parts] for parts in common] for values in found],
        shared=" · ".join(part for i, part in enumerate(common[0]) if i not in varying),
    )


def _block(group: Group) -> str:
    record = group.rows[0].records[0]
    protocol = record.params.get("dataset", {}).get("protocol")
    return f"{record.cell.dataset} ({protocol})" if protocol else record.cell.dataset


def _accuracies(group: Group) -> dict[tuple[str, ...], float]:
    name = group.accuracy or ""
    sign = 1.0 if group.metrics[name].higher_is_better else -1.0
    return {
        row.configuration.parts: sign * row.estimates[name].value
        for row in group.rows_with(name)
        if row.role != "external" and not row.warned
    }
