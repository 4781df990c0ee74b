"""Make everything that cells need together with other workers, who see the same folders and nothing else.

There is nobody who gives work out. Each worker has the same plan, looks at which artifacts, failures and
claims there are, and makes the first stage that nobody else does. Whatever it has found out it could find out
again: a worker may end at any moment, and another may begin.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from bench.execution import quiet
from bench.execution.failure_notes import FailureNotes
from bench.execution.outcomes import CellOutcome
from bench.execution.pools.pool import End, Ended, Pool
from bench.execution.progress import ProgressReport
from bench.execution.schedule import any_stage
from bench.execution.scheduler import Scheduler
from bench.planning.plan import Cell
from bench.planning.stage import Stage
from bench.storage.store import Store

#: Seconds between two looks of a worker that has nothing to do: more and more, up to a share of a lease.
PAUSE, LONGEST = 0.2, 1 / 6
#: Looking takes at most one of so many parts of the time of a worker that has something to do.
PARTS = 20
#: Of so many stages at most, a worker that others were faster than takes any.
WIDEST = 1024


class SharedScheduler(Scheduler):
    """Has a pool make what no other worker makes, and tells what becomes of cells, whoever made them.

    Args:
        notes: of what has failed, which no other worker tries.
        takes: whether a stage is one that this worker makes; it ends when none of those is to come.
        patience: seconds that it waits for something to do.
        clock, sleep: seconds since whenever, and how to let some pass.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        store: Store,
        notes: FailureNotes,
        takes: Callable[[Stage], bool] = any_stage,
        patience: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._notes, self._clock, self._sleep = notes, clock, sleep
        self._takes, self._patience = takes, patience
        self._quiet = quiet.Quiet(store.claims)
        self._there: dict[str, set[str]] = {}  # kind -> names of artifacts, at the beginning
        super().__init__(cells, store)
        self._stages: dict[str, dict[str, Stage]] = defaultdict(dict)  # kind -> name -> to come
        for stage in self.schedule.waiting.values():
            self._stages[stage.kind][stage.name] = stage
        self._seen: dict[str, set[str]] = defaultdict(set)  # kind -> names of artifacts
        self._seen_failed: set[tuple[str, str]] = set()
        self._news: dict[str, Ended] = {}  # what others have ended, and the schedule has not been told of
        self._claimed: set[str] = set()
        self._next_look = self._next_doubt = -math.inf
        self._among = 1  # any of so many stages is taken

    def run(self, pool: Pool, progress: ProgressReport) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they end here or elsewhere."""
        schedule, pause, busy = self.schedule, PAUSE, self._clock()
        try:
            yield from _elsewhere(map(self._outcome, schedule.done()))
            while schedule.running or any(map(self._takes, schedule.waiting.values())):
                left = len(schedule.waiting)
                if self._clock() >= self._next_look:
                    yield from _elsewhere(self._look(progress))
                self._start(pool, progress)
                patience = pause * random.uniform(0.75, 1.25)  # noqa: S311
                if schedule.running:
                    idle = len(schedule.running) < schedule.jobs and schedule.waiting
                    for ended in pool.listen(progress.advance, patience if idle else None):
                        yield from self._end(ended, progress)
                    busy = self._clock()
                elif self._clock() - busy >= self._patience:
                    break
                else:
                    self._quiet.end()
                    self._sleep(patience)
                    self._next_look = -math.inf
                longest = LONGEST * self._store.claims.lease
                pause = PAUSE if len(schedule.waiting) < left else min(longest, 1.5 * pause)
            if schedule.waiting:
                # Whoever ends the last stage of a cell sees that it is, as everybody looks after their own.
                yield from _elsewhere(self._look(progress))
        finally:
            self._quiet.end()
            pool.close()

    def _look(self, progress: ProgressReport) -> Iterator[CellOutcome]:
        """See what others are at, and take note of what they have made and failed at."""
        began = self._clock()
        # Claims first: what was claimed no more by then has been made, or has failed, and is seen below.
        self._claimed = self._store.claims.names()
        for kind in [kind for kind, stages in self._stages.items() if stages]:
            names = self._store.names(kind)
            for name in names - self._seen[kind]:
                self._hear(kind, name)
            self._seen[kind] = names
        failed = self._notes.names()
        for kind, name in failed - self._seen_failed:
            self._hear(kind, name, failed=True)
        self._seen_failed = failed
        yield from self._tell(progress)
        now = self._clock()
        self._next_look = now + PARTS * (now - began)

    def _hear(self, kind: str, name: str, *, failed: bool = False) -> None:
        """An artifact is there, or a stage has failed: perhaps one that this worker knows."""
        stage = self._stages.get(kind, {}).get(name)
        if stage is not None and stage.key in self.schedule.waiting and stage.key not in self._news:
            end = End(cause=self._notes.load(stage)) if failed else End(index={})
            self._news[stage.key] = Ended(stage, end, [])

    def _tell(self, progress: ProgressReport) -> Iterator[CellOutcome]:
        """Have the schedule know what others have ended, inputs before what needs them."""
        for ended in sorted(self._news.values(), key=lambda ended: self.schedule.place(ended.stage)):
            stage = ended.stage
            if not self.schedule.is_ready(stage):
                continue
            del self._news[stage.key], self._stages[stage.kind][stage.name]
            if ended.end.cause is None:
                self.schedule.ended(stage)
                progress.drop(stage.key)
            else:
                yield from self._take(ended, progress)
        yield from map(self._outcome, self.schedule.done())

    def _start(self, pool: Pool, progress: ProgressReport) -> None:
        """Begin as many stages as may be made here now."""
        if self._silenced():
            return
        while (stage := self._next()) is not None:
            if stage.timed:
                self._quiet.begin()
            else:
                self._quiet.end()
            progress.start(stage)
            pool.start(stage, fresh=False)

    def _next(self) -> Stage | None:
        """Start a stage of the schedule that nobody has claimed, or whose claim nobody holds any more."""
        skipped = random.randrange(self._among)  # noqa: S311

        def free(stage: Stage) -> bool:
            unclaimed = stage.name not in self._claimed and stage.key not in self._news
            return unclaimed and self._takes(stage)

        def any_of_several(stage: Stage) -> bool:
            nonlocal skipped
            skipped -= free(stage)
            return skipped < 0 and free(stage)

        def given_up(stage: Stage) -> bool:
            theirs = stage.key in self._news or not self._takes(stage)
            return not theirs and not self._store.claims.alive(stage.name)

        stage, now = self.schedule.next(any_of_several) or self.schedule.next(free), self._clock()
        if stage is None and now >= self._next_doubt:
            self._next_doubt = now + LONGEST * self._store.claims.lease
            stage = self.schedule.next(given_up)
        return stage

    def _end(self, ended: Ended, progress: ProgressReport) -> Iterator[CellOutcome]:
        """Take note of how a stage has ended here."""
        stage, end = ended.stage, ended.end
        self._among = max(1, self._among // 2) if end.made else min(WIDEST, 2 * self._among)
        if end.elsewhere:
            self.schedule.put_back(stage)
            progress.stop(stage.key)
            self._claimed.add(stage.name)
            return
        del self._stages[stage.kind][stage.name]
        if end.cause is not None:
            self._notes.save(stage, end.cause)  # the process that made it may be no more
        yield from self._take(ended, progress)
        yield from map(self._outcome, self.schedule.done())

    def _silenced(self) -> bool:
        """Whether another worker of this machine takes timings."""
        name = quiet.name()
        return not self._quiet.kept and name in self._claimed and self._store.claims.alive(name)

    def _is_there(self, stage: Stage) -> bool:
        if stage.kind not in self._there:
            self._there[stage.kind] = self._store.names(stage.kind)
        return stage.name in self._there[stage.kind] and super()._is_there(stage)


def _elsewhere(outcomes: Iterator[CellOutcome]) -> Iterator[CellOutcome]:
    for outcome in outcomes:
        outcome.here = False
        yield outcome
