"""What is left of a plan, how many workers of a cluster can be of use for it, and how long they should take.

What is left is what the store, the records and the notes of failures say at one moment, and nobody else.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from bench.execution.cluster import ClusterFile, Worker
from bench.execution.failure_notes import FailureNotes
from bench.execution.recorded import Recorded
from bench.execution.schedule import Schedule
from bench.planning.estimate import estimate
from bench.planning.plan import Cell, Plan
from bench.planning.stage import TIMINGS, Stage
from bench.results.folder import ResultsFolder
from bench.storage.store import Store


@dataclass(frozen=True)
class Left:
    """What is left.

    Attributes:
        cells: those without a record.
        schedule: of the stages that they still need, timings as if on this hardware.
        unwritten: those of them that nothing is missing from, or that will never be made: but for records.
    """

    cells: list[Cell]
    schedule: Schedule
    unwritten: list[Cell]

    def stages(self, shares: Collection[str]) -> list[Stage]:
        """Those to come of some shares of the work."""
        return [stage for stage in self.schedule.waiting.values() if stage.share in shares]

    def ready(self, shares: Collection[str]) -> bool:
        """Whether a worker that takes ``shares`` has something to do at once."""
        return self._writes(shares) or any(map(self.schedule.is_ready, self.stages(shares)))

    def workers(self, worker: Worker, shares: Collection[str], threads: int) -> int:
        """How many of a kind of workers can be of use."""
        if not self.stages(shares):
            return int(self._writes(shares))
        if TIMINGS in shares:
            return 1
        useful = self.schedule.useful_jobs(lambda stage: stage.share in shares)
        return min(worker.count, math.ceil(useful / worker.jobs_of(threads)))

    def _writes(self, shares: Collection[str]) -> bool:
        """Whether a worker that takes ``shares`` writes a record of what is there already."""
        leaves = ([leaf.share for leaf in cell.leaves.values()] for cell in self.unwritten)
        return any((TIMINGS if TIMINGS in of_cell else of_cell[-1]) in shares for of_cell in leaves)


def left_of(cells: Sequence[Cell], store: Store, out: Path) -> Left:
    """What is left of ``cells``, by a look at each folder."""
    recorded, noted = Recorded(out, anywhere=True), FailureNotes(ResultsFolder(out).failures).names()
    cells = [cell for cell in cells if not recorded.has(cell)]
    names: dict[str, set[str]] = {}

    def there(stage: Stage) -> bool:
        if stage.kind not in names:
            names[stage.kind] = store.names(stage.kind)
        return stage.name in names[stage.kind]

    schedule = Schedule.of(cells, there)
    unwritten = schedule.done()
    for stage in list(schedule.waiting.values()):
        if (stage.kind, stage.name) in noted and stage.key in schedule.waiting:
            lost, _ = schedule.failed(stage)
            unwritten += lost
    return Left(cells, schedule, unwritten)


@dataclass(frozen=True)
class Expected:
    """What one kind of workers should have to do.

    Attributes:
        count: how many would be asked for.
        stages, unknown: how many are to be made, and of how many nobody knows how long they take.
        seconds: of work.
        until: seconds from the start to the end of its last stage, if nobody waits in a queue.
    """

    name: str
    worker: Worker
    shares: frozenset[str]
    count: int
    stages: int
    unknown: int
    seconds: float
    until: float

    @property
    def hours(self) -> float:
        """That workers are there, also while they wait for others; the one for timings begins last."""
        held = self.seconds if TIMINGS in self.shares else self.until
        return self.count * held / 3600

    @property
    def gpu_hours(self) -> float:
        """The same, of GPUs."""
        return self.worker.gpus * self.hours


def expected(plan: Plan, file: ClusterFile, store: Store, out: Path, threads: int) -> list[Expected]:
    """What every kind of workers should have to do, by what stages of their class have taken wherever it was.

    Raises:
        ConfigError: nobody takes a kind of stages.
    """
    left, workers = left_of(plan.selected, store, out), file.cluster.workers
    shared = file.shared_out(stage.share for stage in plan.stages())
    costs = estimate(left.schedule.waiting.values(), store, None)
    counts = {name: left.workers(workers[name], shares, threads) for name, shares in shared.items()}
    at_once = {
        name: 1 if TIMINGS in shares else workers[name].jobs_of(threads) for name, shares in shared.items()
    }
    slots = {name: counts[name] * at_once[name] for name in shared}
    taker = {share: name for name, shares in shared.items() for share in shares}
    until = _until(left.schedule.waiting, lambda stage: costs[stage.key].seconds or 0.0, slots, taker)
    found = []
    for name, shares in shared.items():
        seconds = [costs[stage.key].seconds for stage in left.stages(shares)]
        work = sum(filter(None, seconds))
        found.append(Expected(name, workers[name], shares, counts[name], len(seconds), seconds.count(None),
                              work, until[name]))  # fmt: skip
    return found


def _until(
    stages: Mapping[str, Stage], seconds: Callable[[Stage], float], slots: Mapping[str, int],
    taker: Mapping[str, str],
) -> dict[str, float]:  # fmt: skip
    """Kind of workers -> when its last stage has ended: each takes the first that is ready, timings last.

    Args:
        stages: to come, in order.
        slots: stages at once of each kind of workers.
        taker: share of the work -> kind of workers.
    """
    inputs: TopologicalSorter[str] = TopologicalSorter()
    for key, stage in stages.items():
        inputs.add(key, *(one.key for one in stage.inputs.values() if one.key in stages))
    inputs.prepare()
    order = {key: place for place, key in enumerate(stages)}
    ready: dict[str, list[tuple[int, str]]] = defaultdict(list)
    free, ended, now = dict(slots), dict.fromkeys(slots, 0.0), 0.0
    running: list[tuple[float, str]] = []
    untimed = sum(not stage.timed for stage in stages.values())
    while inputs.is_active():
        for key in inputs.get_ready():
            heapq.heappush(ready[taker[stages[key].share]], (order[key], key))
        for name, waiting in ready.items():
            while waiting and free[name] and not (untimed and name == taker.get(TIMINGS)):
                _, key = heapq.heappop(waiting)
                free[name] -= 1
                heapq.heappush(running, (now + seconds(stages[key]), key))
        now, key = heapq.heappop(running)
        name = taker[stages[key].share]
        free[name] += 1
        untimed -= not stages[key].timed
        ended[name] = now
        inputs.done(key)
    return ended
