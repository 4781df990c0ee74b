"""Make everything that cells need, in the order of a schedule, by a pool: in this process or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.execution.outcomes import CellOutcome, StageFailed
from bench.execution.pools.pool import Ended, Pool, logged
from bench.execution.progress import ProgressReport
from bench.execution.schedule import Schedule
from bench.planning.plan import Cell
from bench.planning.stage import Stage, walk
from bench.storage.store import Store


class Scheduler:
    """Has a pool make what the schedule says, and tells what becomes of cells.

    Args:
        fresh: which artifacts are made anew once, even if they are there.

    Attributes:
        schedule: of what has to be made.
        made: how many stages were made.
    """

    def __init__(
        self, cells: Sequence[Cell], store: Store, *, fresh: Callable[[Stage], bool] = lambda _: False
    ) -> None:
        self._store, self._fresh = store, fresh
        self._untold: dict[str, Ended] = {}  # what has ended and is in the outcome of no cell yet
        self.made = 0
        self.schedule = Schedule.of(cells, self._is_there)

    def run(self, pool: Pool, progress: ProgressReport) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they end."""
        schedule = self.schedule
        try:
            yield from map(self._outcome, schedule.done())
            while schedule.waiting or schedule.running:
                while (stage := schedule.next()) is not None:
                    progress.start(stage)
                    pool.start(stage, fresh=self._fresh(stage))
                for ended in pool.listen(progress.advance):
                    yield from self._take(ended, progress)
                    yield from map(self._outcome, schedule.done())
        finally:
            pool.close()

    def _is_there(self, stage: Stage) -> bool:
        """Whether nobody has to make it."""
        return not self._fresh(stage) and self._store.verify(self._store.path(*stage.place)) is not None

    def _take(self, ended: Ended, progress: ProgressReport) -> list[CellOutcome]:
        """Note how a stage has ended; the outcome of cells that cannot be made any more."""
        stage, end = ended.stage, ended.end
        lost: list[tuple[Cell, StageFailed]] = []
        with logged() as said:
            if end.cause is None:
                self.schedule.ended(stage)
            else:
                cells, dropped = self.schedule.failed(stage)
                lost = [(cell, StageFailed(stage, end.cause, first=cell is cells[0])) for cell in cells]
                for one in dropped:
                    progress.drop(one.key)
            if end.index is not None and end.made:
                self.made += 1
                progress.finish(stage.key, end.index["seconds"])
            else:
                progress.drop(stage.key)
        self._untold[stage.key] = Ended(stage, end, ended.lines + said)
        return [self._outcome(*cell) for cell in lost]

    def _outcome(self, cell: Cell, failure: StageFailed | None = None) -> CellOutcome:
        """The first cell that is told of has made what it shares with others."""
        outcome = CellOutcome(cell, failure=failure)
        for key in walk(cell.leaves.values()):
            if (ended := self._untold.pop(key, None)) is not None:
                outcome.lines += ended.lines
                if ended.end.made:
                    outcome.made.add(key)
        return outcome
