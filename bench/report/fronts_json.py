"""The fronts of a report for programs: how sure every place is, and of pairs of rows which one is better."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bench.results.fronts import STANDINGS, Front

SCHEMA_VERSION = 2


def fronts_json(fronts: Iterable[Front]) -> str:
    """All fronts that were judged, as JSON; empty where none was.

    ``rows`` have means in the units of records and the standing of tables; ``p_front`` and ``p_recommended``
    are shares of draws, null where there is no number. ``seeds`` are those of the row with fewest and of the
    row with most. ``dominates.p[i][j]`` is the share in which ``dominates.rows[i]`` dominates
    ``dominates.rows[j]``, both positions in ``rows``. ``attained`` says for a cost which accuracy 95, 50 and
    5 of 100 draws reach there, so the first is the least; null where fewer have a row that cheap.
    """
    found = [_front(front) for front in fronts if front.chances is not None]
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in found)
    return f'{{"schema_version":{SCHEMA_VERSION},"fronts":[\n{lines}\n]}}\n' if found else ""


def cell_chances(fronts: Iterable[Front]) -> dict[int, dict[str, float]]:
    """Identity of a record -> P(front) of its row, a column for each front."""
    found: dict[int, dict[str, float]] = {}
    for front in fronts:
        for row, share in zip(front.rows, front.chances.on_front if front.chances else (), strict=False):
            if share is not None:
                for record in row.records:
                    found.setdefault(id(record), {})[f"P(front) {front.accuracy} {front.cost}"] = share
    return found


def _front(front: Front) -> Mapping[str, Any]:
    chances, names = front.chances, (front.accuracy, front.cost)
    assert chances is not None
    accuracy, cost = ([row.estimates[name].value for row in front.rows] for name in names)
    told: dict[str, Any] = {
        "group": front.group.slug,
        "dataset": front.group.dataset,
        "accuracy": front.accuracy,
        "cost": front.cost,
        "within": front.within,
        "draws": chances.draws,
        "seeds": dict(zip(("fewest", "most"), chances.seeds, strict=True)),
        "queries": chances.queries,
        "missing": chances.missing,
        "notes": chances.notes,
        "rows": [
            {
                "configuration": str(row.configuration),
                "role": row.role,
                "accuracy": accuracy[i],
                "cost": cost[i],
                "standing": STANDINGS[front.standings[i]],
                "p_front": chances.on_front[i],
                "recommended": row is front.recommended,
                "p_recommended": chances.recommended[i],
            }
            for i, row in enumerate(front.rows)
        ],
        "dominates": {"rows": chances.paired, "p": chances.dominates},
    }
    if band := chances.attained:
        lines = zip(band.budgets, band.low, band.middle, band.high, strict=True)
        told["attained"] = [
            {"cost": budget, "reached_by_95": low, "reached_by_50": middle, "reached_by_5": high}
            for budget, low, middle, high in lines
        ]
    return told
