"""A grid whose stages take as long as the test says, run in no time: cells, and a machine of given jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from bench.execution.schedule import Schedule
from bench.planning.plan import Cell
from bench.planning.stage import Stage

#: Seconds per image, or per stage of kinds that look at none.
SECONDS = {
    "features": 0.02,
    "distill": 0.004,
    "finetune": 0.005,
    "encode": 0.0015,
    "measure": 0.05,
    "examples": 0.1,
}
#: Seconds of timings.
TIMED = {"latency": 6.0, "search": 1.5}


def grid(seeds: int = 3, bits: int = 2) -> list[Cell]:
    """Cells as ``bench.planning.graph`` makes them: shared teacher features, one distillation a seed."""
    views = {
        f"t/view{i}": Stage("features", f"view{i}", {"view": i}, images=1000, cost_class="t") for i in (0, 1)
    }
    cells = []
    for method in ("none", "cukd"):
        for seed in range(seeds):
            for code in range(bits):
                spec = {"method": method, "seed": seed}
                before = {}
                if method == "cukd":
                    distill = Stage("distill", f"s{seed}", spec, views, images=8000, cost_class="net/cukd")
                    before = {"distill": distill}
                spec = {**spec, "bits": code}
                finetune = Stage(
                    "finetune", f"{method}{seed}{code}", spec, before, images=4000, cost_class="net"
                )
                encode = Stage(
                    "encode",
                    f"{method}{seed}{code}",
                    spec,
                    {"finetune": finetune},
                    images=3000,
                    cost_class="net",
                )
                read = {"encode": encode}
                leaves = {
                    **{
                        f"measure/{name}": _measure(name, {}, read) for name in ("map", "precision", "recall")
                    },
                    "measure/latency": _measure("latency", {"bits": code, "hardware": "x"}, {}),
                    "measure/search": _measure("search", {"hardware": "x"}, read),
                    "examples": Stage("examples", "e", {}, read, cost_class="data"),
                }
                key = f"{method}/{seed}/{code}"
                cells.append(Cell(Any, {}, leaves, key, key))  # type: ignore[arg-type]
    return cells


def _measure(name: str, spec: dict[str, Any], read: dict[str, Stage]) -> Stage:
    return Stage("measure", name, {"metric": name, **spec}, read, cost_class=name)


def seconds(stage: Stage) -> float:
    """What a stage takes: no two quite the same."""
    luck = 0.8 + 0.4 * (int(stage.key[:4], 16) / 0xFFFF)
    if stage.timed:
        return luck * TIMED[stage.slug]
    return luck * SECONDS[stage.kind] * max(stage.images, 1)


@dataclasses.dataclass(frozen=True)
class Moment:
    """Something that happens: a stage begins, goes on or has ended."""

    now: float
    what: str
    stage: Stage
    images: int = 0


def run(
    schedule: Schedule, clock: list[float], seconds: Callable[[Stage], float] = seconds, step: float = 1.0
) -> Iterator[Moment]:
    """Moments of a run by the virtual ``clock``; stages tell of their images every ``step`` seconds."""
    begun: dict[str, tuple[float, int]] = {}
    while schedule.waiting or schedule.running:
        while (stage := schedule.next()) is not None:
            begun[stage.key] = clock[0], 0
            yield Moment(clock[0], "start", stage)
        ends = {key: begun[key][0] + seconds(stage) for key, stage in schedule.running.items()}
        first = min(ends, key=ends.__getitem__)
        clock[0] = min(ends[first], clock[0] + step)
        for key, stage in list(schedule.running.items()):
            since, told = begun[key]
            done = round(stage.images * min(1.0, (clock[0] - since) / seconds(stage)))
            begun[key] = since, done
            if done > told:
                yield Moment(clock[0], "images", stage, done - told)
        if clock[0] >= ends[first]:
            stage = schedule.running[first]
            schedule.ended(stage)
            yield Moment(clock[0], "end", stage)
