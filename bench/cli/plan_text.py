"""A plan in words and in JSON: cells, stages, what is cached, what the rest will cost."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import tabulate

from bench.execution.forecast import expected_seconds
from bench.execution.progress import human_seconds
from bench.execution.schedule import Schedule
from bench.planning import advice
from bench.planning.estimate import estimate, room
from bench.planning.plan import Cell, Plan
from bench.results.published import Published
from bench.storage.store import Store

#: Columns of the list of cells, in which a row has all lengths and seeds that one configuration is asked for.
HEADS = ("dataset", "teacher", "student", "pixels", "method", "loss", "bits", "seeds")
#: Seeds in a row that are named by the first and the last of them.
RANGE = 3
#: Columns of the list of trainings.
TRAINING = ("step", "name", "epochs", "batch_size", "optimizer", "lr", "schedule")


def plan_summary(
    plan: Plan, store: Store, hardware: str, jobs: int = 1, published: Published | None = None
) -> dict[str, Any]:
    """Plain JSON values; images, seconds and bytes of work that is not cached, as far as they are known.

    Args:
        hardware: fingerprint of the machine whose seconds count.
        jobs: stages that would be at work at once at most; memory may allow fewer.
        published: what others published, of which the cells' own figures are named.
    """
    stages = plan.stages()
    schedule = Schedule.of(plan.selected, lambda stage: store.index(store.path(*stage.place)) is not None)
    schedule.jobs = jobs = min(jobs, schedule.useful_jobs())
    todo = list(schedule.waiting.values())
    costs = estimate(todo, store, hardware)
    rows = []
    for kind, total in Counter(stage.kind for stage in stages).items():
        kind_todo = [stage for stage in todo if stage.kind == kind]
        seconds = [costs[stage.key].seconds for stage in kind_todo]
        sizes = [costs[stage.key].bytes for stage in kind_todo]
        rows.append(
            {
                "stage": kind,
                "total": total,
                "cached": total - len(kind_todo),
                "images": sum(stage.images for stage in kind_todo),
                "seconds": round(sum(filter(None, seconds)), 1),
                "bytes": round(sum(filter(None, sizes))),
                "unknown": seconds.count(None),
                "unknown_bytes": sizes.count(None),
            }
        )
    variants, copied, few_seeds = _variants(plan.selected), list(_copies(plan)), advice.few_seeds(plan)
    tuned = advice.tuning(plan)
    narrow = list(filter(None, [room(costs.values(), store)]))
    cells = [
        {
            "slug": cell.slug,
            "key": cell.key,
            **cell.info.model_dump(exclude={"protocol"}),
            "variant": variants[cell.key],
        }
        for cell in plan.selected
    ]
    return {
        "grid": plan.name,
        "cells": cells,
        "stages": rows,
        "jobs": jobs,
        "seconds": round(expected_seconds(schedule, costs), 1),
        "training": advice.training(plan),
        "tuning": tuned,
        "published": list(_published(plan.selected, published or Published())),
        "missing": plan.missing,
        "copies": {name: found.counts for name, found in plan.copies.items()},
        "unseen": plan.unseen,
        "unseen_classes": plan.unseen_classes,
        "warnings": [*advice.warnings(plan), *narrow, *plan.unseen, *copied, *few_seeds],
        "notes": [
            *(f"Unseen: {split}: {words}" for split, words in plan.unseen_classes.items()),
            *(f"Tuning: {line}" for line in tuned),
            *(f"Disk: {line}" for line in narrow),
            *(f"Contents: {line}" for line in plan.unseen),
            *(f"Copies: {line}" for line in copied),
            *(f"Seeds: {line}" for line in few_seeds),
        ],
    }


def _published(cells: list[Cell], published: Published) -> Iterator[dict[str, Any]]:
    """The published figures of configurations that are planned, each once for all seeds."""
    found: dict[int, list[str]] = defaultdict(list)
    figures = {}
    for cell in cells:
        for figure in published.of(cell.info, cell.params["dataset"]):
            figures[id(figure)] = figure
            found[id(figure)].append(cell.slug)
    for key, figure in figures.items():
        yield {
            "configuration": f"{figure.data} · {figure.name}",
            "figure": ", ".join(map(figure.words, figure.values)),
            "values": dict(figure.values),
            "selection": figure.selected,
            "source": figure.source,
            "note": figure.notes,
            "cells": found[key],
        }


def _copies(plan: Plan) -> Iterator[str]:
    """What is known of copies across splits, data set by data set."""
    for name, copies in plan.copies.items():
        yield from (f"{name}: {sentence}" for sentence in copies.sentences())


def _expected(row: dict[str, Any], known: str, unknown: int) -> str:
    """What is known of a kind of stages, and of how many nothing is."""
    if not unknown:
        return known
    to_come = row["total"] - row["cached"]
    return "not known" if unknown == to_come else f"{known} + {unknown} not known"


def _variants(cells: list[Cell]) -> dict[str, str]:
    """Cell key -> what tells it from cells of the same names, ``pool_fraction=0.1`` or ``nested=16+32``."""
    named: dict[str, list[tuple[str, dict[tuple[str, str], str]]]] = defaultdict(list)
    for cell in cells:
        flat = {
            (part, name): json.dumps(value)
            for part in ("dataset", "student", "method", "loss", "encode")
            for name, value in cell.params.get(part, {}).items()
        }
        if nested := cell.params.get("nested"):
            flat["", "nested"] = "+".join(map(str, nested))
        named[f"{cell.slug}/{cell.info.image_size}"].append((cell.key, flat))
    found = {}
    for variants in named.values():
        places = {at for _, flat in variants for at in flat}
        values = {at: {flat.get(at) for _, flat in variants} for at in places}
        for key, flat in variants:
            differing = [at for at in flat if len(values[at]) > 1]
            found[key] = ", ".join(f"{at[1]}={flat[at]}" for at in differing)
    return found


def plan_text(summary: dict[str, Any]) -> str:
    """The same for people."""
    settings = any(cell["variant"] for cell in summary["cells"])
    cells = [row if settings else row[:-1] for row in _rows(summary["cells"])]
    stages = [
        [
            row["stage"],
            row["total"],
            row["cached"],
            f"{row['images']:,}" if row["images"] else "-",
            _expected(row, human_seconds(row["seconds"]), row["unknown"]),
            _expected(row, f"{row['bytes'] / 1e6:.1f} MB", row["unknown_bytes"]),
        ]
        for row in summary["stages"]
    ]
    training = [[_flat(row[name]) for name in TRAINING] for row in summary["training"]]
    seconds, unknown = (sum(row[name] for row in summary["stages"]) for name in ("seconds", "unknown"))
    jobs = summary["jobs"]
    at_once = f" with {jobs} jobs ({human_seconds(seconds)} of work)" if jobs > 1 else ""
    whole = f"{human_seconds(summary['seconds'])}{at_once}"
    closing = f"Expected time for what is not cached: {whole}"
    if unknown:
        others = f"{unknown} stages of kinds that have not run like this on this machine yet"
        closing = f"Expected time: not known for {others}" + (f"; the rest takes {whole}" if seconds else "")
    published = [
        [
            *(row["configuration"], row["figure"], row["selection"] or "-"),
            "; ".join(filter(None, [row["source"], row["note"]])),
        ]
        for row in summary["published"]
    ]
    parts = [
        f"Grid {summary['grid']}: {len(summary['cells'])} cells",
        tabulate(cells, [*HEADS, *(["settings"] if settings else [])]),
        tabulate(published, ["published of these cells", "figure", "of which epoch", "source"])
        if published
        else "",
        tabulate(training, ["step", "trained by", *TRAINING[2:]], floatfmt="g"),
        tabulate(stages, ["stage", "total", "cached", "images to come", "time to come", "disk to come"]),
        closing,
        *summary["notes"],
        *(f"Missing: {line}" for line in summary["missing"]),
    ]
    return "\n\n".join(filter(None, parts))


def _rows(cells: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """Cells of the same names and settings, with all lengths that have the same seeds, in one row."""
    seeds: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for cell in cells:
        teachers = "+".join(cell["teachers"]) or "-"
        names = (cell["dataset"], teachers, *(cell[at] for at in ("student", "image_size", "method", "loss")))
        seeds[names, cell["variant"], cell["bits"] or 0].append(cell["seed"])
    lengths: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for (names, variant, bits), some in seeds.items():
        lengths[names, variant, tuple(sorted(some))].append(bits)
    for (names, variant, some), every in lengths.items():
        yield [*names, ", ".join(str(bits or "float") for bits in sorted(every)), _numbers(some), variant]


def _numbers(ordered: Sequence[int]) -> str:
    """``0, 1, 4``, or ``0 to 4`` of all between."""
    first, last = ordered[0], ordered[-1]
    if len(ordered) >= RANGE and last - first == len(ordered) - 1:
        return f"{first} to {last}"
    return ", ".join(map(str, ordered))


def _flat(value: Any) -> Any:
    """A value for a cell of a table: a schedule that is spelt out in one line."""
    if not isinstance(value, dict):
        return value
    shown = {name: f"{one:.3g}" if isinstance(one, float) else one for name, one in value.items()}
    return ", ".join(f"{name} {one}" for name, one in shown.items())
