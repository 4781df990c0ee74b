"""How sure the places on fronts are: the chances of every row, from draws of seeds, queries and timings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.comparison import front_chances
from bench.comparison.front_draws import accuracy_draws, cost_draws
from bench.comparison.statistics import RESAMPLES, Floats
from bench.results import catalogue, wording
from bench.results.chances import Attained, Chances
from bench.results.folder import Results
from bench.results.fronts import Front, candidates
from bench.results.seedless import seedless
from bench.results.summary import Row

#: Pairs are told of so many rows at most, those that are likeliest to be on the front.
MOST_PAIRED = 100
#: Shares of draws that reach the accuracies of ``Attained``.
_REACHED = (0.95, 0.5, 0.05)
#: Share of draws in which a row costs no more than the second of its budgets.
_SELDOM_DEARER = 0.975
#: Decimal places of shares; the draws are too few for more.
_PLACES = 3

ONE_SEED = "one seed each, and how sure a place is takes two or more"


@dataclass(frozen=True)
class _Drawn:
    """Draws of one accuracy for the rows of a group that have several seeds."""

    position: dict[int, int]
    values: Floats
    queries: int | None
    fewest: int


def with_chances(fronts: Sequence[Front], results: Results) -> list[Front]:
    """The fronts of one group, each with the chances of its rows; as they are where nothing is ranked.

    Rows of one seed are left out of all draws, as nobody knows what another seed would have done to them.
    """
    drawn: dict[str, _Drawn | None] = {}
    found = []
    for front in fronts:
        if front.group.limited:
            found.append(front)
            continue
        if front.accuracy not in drawn:
            drawn[front.accuracy] = _draw(front, results)
        found.append(replace(front, chances=_chances(front, drawn[front.accuracy])))
    return found


def _draw(front: Front, results: Results) -> _Drawn | None:
    """Of all rows of the group, whatever they cost; None where none has two seeds."""
    rows = [row for row in front.group.rows_with(front.accuracy) if _repeated(row, front.accuracy)]
    if not rows:
        return None
    values, queries = accuracy_draws(rows, front.accuracy, results)
    fewest = min(_counts(rows, front.accuracy))
    return _Drawn({id(row): i for i, row in enumerate(rows)}, values, queries, fewest)


def _counts(rows: Sequence[Row], accuracy: str) -> list[int]:
    """How many seeds the rows have that seeds change; 0 alone where they change none."""
    return [row.estimates[accuracy].n for row in rows if not seedless(row.records[0])] or [0]


def _repeated(row: Row, accuracy: str) -> bool:
    return len(row.estimates[accuracy].by_seed) > 1 or seedless(row.records[0])


def _chances(front: Front, drawn: _Drawn | None) -> Chances:
    if front.group.metrics[front.accuracy].noise != "seeded":
        return Chances.none(len(front.rows), f"{catalogue.title(front.accuracy)} is the same with any seed")
    judged = [i for i, row in enumerate(front.rows) if drawn and id(row) in drawn.position]
    if drawn is None or not judged:
        return Chances.none(len(front.rows), ONE_SEED)
    rows = [front.rows[i] for i in judged]
    columns = [drawn.position[id(row)] for row in rows]
    metrics = front.group.metrics
    accuracy = drawn.values[:, columns] * (1 if metrics[front.accuracy].higher_is_better else -1)
    prices, unknown = cost_draws(rows, front.cost)
    cost = prices * (-1 if metrics[front.cost].higher_is_better else 1)
    shares = front_chances.on_front(accuracy, cost).mean(axis=0)
    likeliest = sorted(np.argsort(-shares, kind="stable")[:MOST_PAIRED].tolist())
    students = candidates(rows, front.accuracy, front.cost)
    picked = np.zeros(len(rows))
    if students:
        picked[students] = front_chances.chosen(accuracy[:, students], cost[:, students], front.within)
    counts = _counts(rows, front.accuracy)
    return Chances(
        on_front=_spread(shares, judged, len(front.rows)),
        recommended=_spread(picked, judged, len(front.rows)),
        dominates=_rounded(front_chances.dominance(accuracy[:, likeliest], cost[:, likeliest])),
        paired=[judged[n] for n in likeliest],
        attained=_attained(front, judged, (accuracy, cost), shares),
        draws=RESAMPLES,
        seeds=(min(counts), max(counts)),
        queries=drawn.queries,
        notes=tuple(_notes(front, rows, drawn, unknown)),
    )


def _notes(front: Front, rows: Sequence[Row], drawn: _Drawn, unknown: bool) -> list[str]:
    notes = []
    if alike := sum(seedless(row.records[0]) for row in rows):
        what = "1 row is" if alike == 1 else f"{alike} rows are"
        notes.append(f"{what} the same with every seed, so that queries alone stray")
    if left_out := len(front.rows) - len(rows):
        what = "1 row of one seed is" if left_out == 1 else f"{left_out} rows of one seed are"
        notes.append(
            f"{what} left out, as rivals of others, too: nobody knows what another seed would have done"
        )
    if drawn.queries is None:
        notes.append("scores by query are not kept of all rows, so that seeds alone are drawn")
    if drawn.fewest == 2:
        notes.append(wording.TWO_SEEDS)
    if unknown:
        notes.append("timings that kept no samples count as exact")
    return notes


def _attained(front: Front, judged: list[int], draws: tuple[Floats, Floats], shares: Floats) -> Attained:
    """Of the rows that are ever on the front, of which one has the best accuracy at any budget."""
    metrics = front.group.metrics
    sign = 1 if metrics[front.accuracy].higher_is_better else -1
    down = -1 if metrics[front.cost].higher_is_better else 1
    ever = np.flatnonzero(shares > 0).tolist()
    accuracy, cost = (one[:, ever] for one in draws)
    budgets: dict[float, int] = {}
    # Of rows that cost the same the first stands for the budget; what strays has one that it seldom exceeds.
    for n, i in enumerate(ever):
        seldom = float(np.quantile(cost[:, n], _SELDOM_DEARER, method="inverted_cdf"))
        for budget in (down * front.rows[judged[i]].estimates[front.cost].value, seldom):
            budgets.setdefault(budget, judged[i])
    steps = sorted(budgets)
    best = front_chances.attained(accuracy, cost, np.array(steps))
    metric = metrics[front.accuracy]
    least, most = catalogue.bounds(front.accuracy, metric.unit) or (-np.inf, np.inf)
    lines = [
        [float(np.clip(sign * value, least, most)) if np.isfinite(value) else None for value in line]
        for line in front_chances.reached(best, _REACHED)
    ]
    return Attained([budgets[one] for one in steps], [down * one for one in steps], *lines)


def _spread(shares: Floats, judged: list[int], rows: int) -> list[float | None]:
    found: list[float | None] = [None] * rows
    for i, share in zip(judged, shares.tolist(), strict=True):
        found[i] = round(share, _PLACES)
    return found


def _rounded(matrix: Floats) -> list[list[float]]:
    return [[round(share, _PLACES) for share in line] for line in matrix.tolist()]
