"""Make everything that cells need, in the order of a schedule, by a pool: in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bench.execution.outcomes import CellOutcome, End, Ended, StageFailed, logged
from bench.execution.progress import ProgressReport
from bench.execution.schedule import Schedule
from bench.planning.plan import Cell
from bench.planning.stage import Stage
from bench.storage.store import Store


class Pool(Protocol):
    """Makes stages whose inputs are there."""

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Begin with one; there are never more at work than the schedule has jobs."""

    def listen(self, advance: Callable[[str, int], None]) -> list[Ended]:
        """Wait until at least one has ended; ``advance`` is told the images that each is done with."""

    def close(self) -> None:
        """End what is still at work."""


class Executor:
    """Remembers which artifacts are there, which stages have failed, and what became of cells.

    Args:
        fresh: make every artifact anew once, even if it is there.

    Attributes:
        schedule: of what has to be made.
        made: keys of the stages that were made.
    """

    def __init__(self, cells: Sequence[Cell], store: Store, *, fresh: bool = False) -> None:
        self._store, self._fresh = store, fresh
        self._ends: dict[str, End] = {}
        self._lines: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self.made: set[str] = set()
        self.schedule = Schedule.of(cells, self._is_there)

    def run(self, pool: Pool, progress: ProgressReport) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they end."""
        schedule = self.schedule
        try:
            yield from map(self._outcome, schedule.done())
            while schedule.waiting or schedule.running:
                while (stage := schedule.next()) is not None:
                    progress.start(stage)
                    pool.start(stage, fresh=self._fresh)
                for ended in pool.listen(progress.advance):
                    lost = self._take(ended, progress)
                    yield from map(self._outcome, [*lost, *schedule.done()])
        finally:
            pool.close()

    def _is_there(self, stage: Stage) -> bool:
        """Whether nobody has to make it."""
        index = None if self._fresh else self._store.verify(self._store.path(*stage.place))
        if index is None:
            return False
        self._ends[stage.key] = End(index)
        return True

    def _take(self, ended: Ended, progress: ProgressReport) -> list[Cell]:
        """Note how a stage has ended; the cells that cannot be made any more."""
        stage, end = ended.stage, ended.end
        lost: list[Cell] = []
        self._ends[stage.key] = end
        with logged() as said:
            if end.cause is None:
                self.schedule.ended(stage)
            else:
                lost, dropped = self.schedule.failed(stage)
                for one in dropped:
                    progress.drop(one.key)
            if end.made:
                self.made.add(stage.key)
                progress.finish(stage.key, end.index["seconds"] if end.index else None)
            else:
                progress.drop(stage.key)
        self._lines[stage.key] = ended.lines + said
        return lost

    def _outcome(self, cell: Cell) -> CellOutcome:
        """The first cell that is told of has made what it shares with others."""
        outcome = CellOutcome(cell)
        complete = all((end := self._ends.get(leaf.key)) and end.index for leaf in cell.stages.values())
        lineage = {stage.key: stage for leaf in cell.stages.values() for stage in leaf.lineage()}
        for key, stage in lineage.items():
            end = self._ends.get(key)
            if end is None:
                continue
            first = key not in self._told
            self._told.add(key)
            if first:
                outcome.lines += self._lines.get(key, [])
            if first and end.made:
                outcome.made.add(key)
            if end.cause and outcome.failure is None and not complete:
                outcome.failure = StageFailed(stage, end.cause, first=first)
        if complete:
            indices = {role: self._ends[leaf.key].index for role, leaf in cell.stages.items()}
            outcome.indices = {role: index for role, index in indices.items() if index is not None}
        return outcome
