"""A plan in words and in JSON: cells, stages, what is cached, what the rest will cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tabulate import tabulate

from bench.estimate import estimate
from bench.plan import Plan
from bench.progress import human_seconds
from bench.store import Store


def plan_summary(plan: Plan, store: Store) -> dict[str, Any]:
    """Plain JSON values; seconds and bytes of work that is not cached, ``null`` where nothing is known."""
    stages = plan.stages()
    cached = {stage.key for stage in stages if store.index(store.path(stage.kind, stage.slug, stage.key))}
    todo = [stage for stage in stages if stage.key not in cached]
    costs = estimate(todo, store)
    rows = []
    for kind, total in Counter(stage.kind for stage in stages).items():
        kind_todo = [stage for stage in todo if stage.kind == kind]
        known = [costs[stage.key] for stage in kind_todo if costs[stage.key].seconds is not None]
        rows.append(
            {
                "stage": kind,
                "total": total,
                "cached": total - len(kind_todo),
                "seconds": round(sum(cost.seconds or 0 for cost in known), 1),
                "bytes": round(sum(cost.bytes or 0 for cost in known)),
                "unknown": len(kind_todo) - len(known),
            }
        )
    cells = [
        {"slug": cell.slug, "key": cell.key, **cell.info.model_dump(exclude={"protocol"})}
        for cell in plan.selected
    ]
    return {"grid": plan.name, "cells": cells, "stages": rows, "missing": plan.missing}


def plan_text(summary: dict[str, Any]) -> str:
    """The same for people."""
    cells = [
        [
            cell["dataset"],
            "+".join(cell["teachers"]) or "-",
            cell["student"],
            cell["method"],
            cell["loss"],
            cell["bits"] or "float",
            cell["seed"],
        ]
        for cell in summary["cells"]
    ]
    stages = [
        [
            row["stage"],
            row["total"],
            row["cached"],
            human_seconds(row["seconds"]) + (f" + {row['unknown']} not known" if row["unknown"] else ""),
            f"{row['bytes'] / 1e6:.1f} MB",
        ]
        for row in summary["stages"]
    ]
    total = human_seconds(sum(row["seconds"] for row in summary["stages"]))
    unknown = sum(row["unknown"] for row in summary["stages"])
    closing = f"Expected time for what is not cached: {total}"
    if unknown:
        closing += f", and {unknown} stages of kinds that have not run on this machine yet"
    parts = [
        f"Grid {summary['grid']}: {len(cells)} cells",
        tabulate(cells, ["dataset", "teacher", "student", "method", "loss", "bits", "seed"]),
        tabulate(stages, ["stage", "total", "cached", "time to come", "disk to come"]),
        closing,
    ]
    parts += [f"Missing: {line}" for line in summary["missing"]]
    return "\n\n".join(parts)
