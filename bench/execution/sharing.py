"""Make everything that cells need together with other workers, who see the same folders and nothing else.

There is nobody who gives work out. Each worker has the same plan, looks at which artifacts, failures and
claims there are, and makes the first stage that nobody else does. Whatever it finds out it could find out
again: a worker may end at any moment, and another may begin.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from bench.execution.failure_notes import FailureNotes
from bench.execution.outcomes import CellOutcome
from bench.execution.pools.pool import End, Ended, Pool
from bench.execution.progress import ProgressReport
from bench.execution.quiet import Quiet
from bench.execution.quiet import name as quiet_name
from bench.execution.scheduler import Scheduler
from bench.planning.plan import Cell
from bench.planning.stage import Stage
from bench.storage.store import Store

#: Seconds between two looks of a worker that has nothing to do: more and more, up to a share of a lease.
PAUSE, LONGEST = 0.2, 1 / 6
#: Of so many stages that could be made, a worker that others were faster than takes any.
WIDEST = 1024


class SharedScheduler(Scheduler):
    """Has a pool make what no other worker makes, and tells what becomes of cells, whoever made them.

    Args:
        notes: of what has failed, which is tried by no other worker.
        sleep: seconds to wait where there is nothing to do.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        store: Store,
        notes: FailureNotes,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._notes, self._sleep, self._quiet = notes, sleep, Quiet(store.claims)
        self._there: dict[str, set[str]] = {}  # kind -> artifacts, by the last look
        self._claimed: set[str] = set()
        self._among = 1  # any of so many stages is taken
        super().__init__(cells, store)

    def run(self, pool: Pool, progress: ProgressReport) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they end here or elsewhere."""
        schedule, pause = self.schedule, PAUSE
        try:
            yield from self._elsewhere(map(self._outcome, schedule.done()))
            while schedule.waiting or schedule.running:
                before = len(schedule.waiting)
                yield from self._elsewhere(self._look(progress))
                self._start(pool, progress)
                wait = pause * random.uniform(0.75, 1.25)  # noqa: S311
                if schedule.running:
                    idle = len(schedule.running) < schedule.jobs and schedule.waiting
                    for ended in pool.listen(progress.advance, wait if idle else None):
                        yield from self._end(ended, progress)
                elif schedule.waiting:
                    self._quiet.end()
                    self._sleep(wait)
                quiet = len(schedule.waiting) == before
                pause = min(LONGEST * self._store.claims.lease, 1.5 * pause) if quiet else PAUSE
        finally:
            self._quiet.end()
            pool.close()

    def _look(self, progress: ProgressReport) -> Iterator[CellOutcome]:
        """See what others make, and take note of what they have made or failed at."""
        # Claims first: what was released before that has been made by now, or has failed.
        self._claimed = self._store.claims.names()
        self._there.clear()
        failed = self._notes.names()
        news = True
        while news:  # what is there may be all that something else needed
            news = False
            for stage in self.schedule.ready():
                if stage.key not in self.schedule.waiting:  # an earlier one has cost its cells
                    continue
                if self._name(stage) in self._listed(stage.kind):
                    end = End(index={})  # whose cell it is reads it
                elif self._notes.name(stage) in failed and (cause := self._notes.load(stage)):
                    end = End(cause=cause)
                else:
                    continue
                news = True
                yield from self._take(Ended(stage, end, []), progress)
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
            nonlocal skipped
            if self._name(stage) in self._claimed:
                return False
            skipped -= 1
            return skipped < 0

        def given_up(stage: Stage) -> bool:
            return self._name(stage) not in self._claimed or not self._store.claims.alive(self._name(stage))

        return self.schedule.next(free) or self.schedule.next(given_up)

    def _end(self, ended: Ended, progress: ProgressReport) -> Iterator[CellOutcome]:
        """Take note of how a stage has ended here."""
        if ended.end.elsewhere:
            self.schedule.put_back(ended.stage)
            progress.stop(ended.stage.key)
            self._claimed.add(self._name(ended.stage))
            self._among = min(WIDEST, 2 * self._among)
            return
        self._among = max(1, self._among // 2)
        if ended.end.cause is not None:
            self._notes.save(ended.stage, ended.end.cause)  # the process that made it may be no more
        yield from self._take(ended, progress)
        yield from map(self._outcome, self.schedule.done())

    def _elsewhere(self, outcomes: Iterator[CellOutcome]) -> Iterator[CellOutcome]:
        for outcome in outcomes:
            outcome.here = False
            yield outcome

    def _silenced(self) -> bool:
        """Whether another worker of this machine takes timings."""
        name = quiet_name()
        return not self._quiet.kept and name in self._claimed and self._store.claims.alive(name)

    def _is_there(self, stage: Stage) -> bool:
        return self._name(stage) in self._listed(stage.kind) and super()._is_there(stage)

    def _listed(self, kind: str) -> set[str]:
        if kind not in self._there:
            self._there[kind] = self._store.names(kind)
        return self._there[kind]

    def _name(self, stage: Stage) -> str:
        return self._store.path(*stage.place).name
