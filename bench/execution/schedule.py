"""Which stage is made next, of those whose inputs are there: decides and executes nothing.

Earlier cells go first, so that records come early. A stage starts beside others if its memory is free beside
theirs. Timings run alone: what needs no training comes first of all, when nothing has to end for it. For the
others, which cells wait for when all else is done, nothing new begins at a moment when those at work will
soon have ended: so soon that the idle time is a small share of the time that has passed.
"""

from __future__ import annotations

import copy
import dataclasses
import heapq
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from bench.planning.plan import Cell
from bench.planning.stage import Stage, walk

#: So many stages of other kinds are worth as much as one that looks at images.
SHORT = 8
#: What letting the others end for timings may cost, as a share of the time since the last ones.
IDLE = 0.03


def any_stage(stage: Stage) -> bool:
    """Every stage may be started."""
    return True


@dataclass
class _Open:
    """A cell that is not done: what it needs of the stages to come, and how many of them are left."""

    cell: Cell
    needed: frozenset[str]
    untimed: int = 0
    timed: int = 0

    @property
    def due(self) -> bool:
        """Whether it waits for nothing but timings."""
        return bool(self.timed and not self.untimed)


@dataclass
class Schedule:
    """Stages to come and at work.

    Attributes:
        jobs: stages at work at once.
        needs: key -> bytes of memory of a stage; 0 where nobody knows.
        room: bytes for all stages at work; None = enough.
        waiting: key -> stage that has not been started, in order.
        running: key -> stage at work.
        clock: seconds since whenever.
        left: key -> seconds that a stage at work should still take.
    """

    jobs: int = 1
    needs: Mapping[str, int] = field(default_factory=dict)
    room: int | None = None
    waiting: dict[str, Stage] = field(default_factory=dict)
    running: dict[str, Stage] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter
    left: Callable[[str], float] = lambda key: math.inf
    _cells: dict[str, _Open] = field(default_factory=dict)
    _owners: dict[str, list[str]] = field(default_factory=dict)
    _since: float | None = None
    _due: int = 0  # cells that wait for nothing but timings

    def __post_init__(self) -> None:
        """What is ready follows from what waits and what is at work."""
        self._order = {key: place for place, key in enumerate(self.waiting)}
        self._ready: list[tuple[int, str]] = []
        self._timings: list[tuple[int, str]] = []
        self._complete: list[str] = []  # cells that have not been told of
        # Inputs that are there already make nothing wait.
        to_come = self.running | self.waiting
        self._inputs: TopologicalSorter[str] = TopologicalSorter()
        for key, stage in to_come.items():
            self._inputs.add(key, *(one.key for one in stage.inputs.values() if one.key in to_come))
        self._inputs.prepare()
        self._push_ready()

    @classmethod
    def of(cls, cells: Sequence[Cell], there: Callable[[Stage], bool]) -> Schedule:
        """Everything that ``cells`` need.

        Args:
            there: whether nobody has to make a stage; asked once of each.
        """
        made = cls(waiting=walk((leaf for cell in cells for leaf in cell.leaves.values()), there))
        for cell in cells:
            wanted = walk(cell.leaves.values(), lambda stage: stage.key not in made.waiting)
            opened = made._cells[cell.key] = _Open(cell, frozenset(wanted))
            for key, stage in wanted.items():
                made._owners.setdefault(key, []).append(cell.key)
                opened.timed += stage.timed
                opened.untimed += not stage.timed
        made._count_due()
        made._complete = [key for key, opened in made._cells.items() if not opened.untimed + opened.timed]
        return made

    def copy(self) -> Schedule:
        """One that can be played through."""
        return dataclasses.replace(
            self,
            waiting=dict(self.waiting),
            running=dict(self.running),
            _cells={key: copy.copy(opened) for key, opened in self._cells.items()},
        )

    def useful_jobs(self, counts: Callable[[Stage], bool] = any_stage) -> int:
        """How many stages can be at work at once, about: the most that are as far from the start.

        Args:
            counts: whether a stage is one of those that are asked for.
        """
        depth: dict[str, int] = {}
        found: dict[tuple[int, bool], int] = {}
        for key, stage in self.waiting.items():  # inputs first
            needed = [depth[one.key] for one in stage.inputs.values() if one.key in depth]
            depth[key] = level = max(needed, default=-1) + 1
            if not stage.timed and counts(stage):
                at = level, stage.images > 0
                found[at] = found.get(at, 0) + 1
        return max((n if long else -(-n // SHORT) for (_, long), n in found.items()), default=1)

    def done(self) -> list[Cell]:
        """Cells that nothing is missing from any more, each told once."""
        found = [self._cells.pop(key).cell for key in self._complete]
        self._complete.clear()
        return found

    def next(self, free: Callable[[Stage], bool] = any_stage) -> Stage | None:
        """Start a stage; None if there is none, or none that may run beside those at work.

        Args:
            free: whether a stage may be started from here.
        """
        if self._since is None:
            self._since = self.clock()
        if len(self.running) >= self.jobs or any(stage.timed for stage in self.running.values()):
            return None
        if self.running:
            key = None
            if not self._stopping():
                key = self._first(self._ready, lambda stage: self._fits(stage) and free(stage))
        else:
            timings, ready = map(self._head, (self._timings, self._ready))
            queues = [self._ready, self._timings]
            if timings and (self.jobs > 1 or not ready or timings < ready):
                queues.reverse()
            key = self._first(queues[0], free) or self._first(queues[1], free)
        if key is None:
            return None
        stage = self.running[key] = self.waiting.pop(key)
        return stage

    def place(self, stage: Stage) -> int:
        """Where in the order of the plan it is, inputs before what needs them."""
        return self._order[stage.key]

    def is_ready(self, stage: Stage) -> bool:
        """Whether a stage waits, and for nothing."""
        if stage.key not in self.waiting:
            return False
        return not any(one.key in self.waiting or one.key in self.running for one in stage.inputs.values())

    def put_back(self, stage: Stage) -> None:
        """A stage at work is not made here after all; it is as if it had not been started."""
        self.waiting[stage.key] = self.running.pop(stage.key)
        self._push(stage.key)

    def ended(self, stage: Stage) -> None:
        """A stage at work is there now, or one that was ready and is made elsewhere."""
        self._remove(stage)
        if stage.timed:
            self._since = self.clock()
        self._inputs.done(stage.key)
        self._push_ready()
        self._count_down(stage)

    def failed(self, stage: Stage) -> tuple[list[Cell], list[Stage]]:
        """A stage will never be there: the cells that need it, and stages that only they wanted."""
        self._remove(stage)
        lost = [opened.cell for opened in self._cells.values() if stage.key in opened.needed]
        for cell in lost:
            del self._cells[cell.key]
        self._count_due()
        dropped = [one for key, one in self.waiting.items() if not self._wanted(key)]
        for one in dropped:
            del self.waiting[one.key]
        gone = {one.key for one in dropped}
        for heap in (self._ready, self._timings):
            heap[:] = [entry for entry in heap if entry[1] not in gone]
            heapq.heapify(heap)
        return lost, dropped

    def _push_ready(self) -> None:
        """Queue what has all its inputs now, unless it was dropped meanwhile."""
        for key in self._inputs.get_ready():
            if key in self.waiting:
                self._push(key)

    def _push(self, key: str) -> None:
        queue = self._timings if self.waiting[key].timed else self._ready
        heapq.heappush(queue, (self._order[key], key))

    def _remove(self, stage: Stage) -> None:
        """Its place in a queue is passed over when it comes up."""
        (self.running if stage.key in self.running else self.waiting).pop(stage.key)

    def _wanted(self, key: str) -> bool:
        return any(cell in self._cells for cell in self._owners.get(key, ()))

    def _count_down(self, stage: Stage) -> None:
        for cell in self._owners.get(stage.key, ()):
            if cell in self._cells:
                opened = self._cells[cell]
                before = opened.due
                opened.timed -= stage.timed
                opened.untimed -= not stage.timed
                self._due += opened.due - before
                if not opened.untimed + opened.timed:
                    self._complete.append(cell)

    def _count_due(self) -> None:
        self._due = sum(opened.due for opened in self._cells.values())

    def _stopping(self) -> bool:
        """Whether those at work had better end, for timings that are all that some cell waits for."""
        if not self._timings or not self._due:
            return False
        idle = max(map(self.left, self.running)) * (self.jobs - 1) / self.jobs
        assert self._since is not None
        return idle <= IDLE * (self.clock() - self._since)

    def _head(self, queue: list[tuple[int, str]]) -> tuple[int, str] | None:
        """The first entry of a queue whose stage still waits."""
        while queue and queue[0][1] not in self.waiting:
            heapq.heappop(queue)
        return queue[0] if queue else None

    def _first(self, queue: list[tuple[int, str]], fits: Callable[[Stage], bool]) -> str | None:
        """Take the first stage that fits out of a queue."""
        passed: list[tuple[int, str]] = []
        found = None
        while found is None and self._head(queue):
            entry = heapq.heappop(queue)
            if fits(self.waiting[entry[1]]):
                found = entry[1]
            else:
                passed.append(entry)
        for entry in passed:
            heapq.heappush(queue, entry)
        return found

    def _fits(self, stage: Stage) -> bool:
        """Whether its memory is free."""
        taken = sum(map(self._need, self.running))
        return self.room is None or self._need(stage.key) <= self.room - taken

    def _need(self, key: str) -> int:
        return self.needs.get(key, 0)
