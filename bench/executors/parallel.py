"""Run stages in several processes of this machine, each with its share of the threads and a device.

A stage starts when its inputs are there, earlier cells first. Timings run alone, when nothing else can be
started: beside other work they would measure that.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

from bench.errors import UsageError
from bench.executors.making import name
from bench.executors.outcomes import Cause, CellOutcome, End, StageFailed, logged
from bench.executors.worker import Message, Setup, work
from bench.plan import Cell
from bench.progress import ProgressReport
from bench.stage import Stage
from bench.store import Store

log = logging.getLogger(__name__)

#: Seconds that a worker has to tidy up when the run is interrupted.
PATIENCE = 10.0


class ParallelExecutor:
    """Makes artifacts that are not there, in ``jobs`` processes.

    Args:
        fresh: make every artifact anew once, even if it is there.
    """

    def __init__(
        self, setup: Setup, store: Store, progress: ProgressReport, jobs: int, *, fresh: bool = False
    ) -> None:
        self.setup, self.store, self.progress, self.fresh = setup, store, progress, fresh
        self.made: set[str] = set()
        self._ends: dict[str, End] = {}
        self._lines: dict[str, list[str]] = {}
        self._workers = [_Worker(setup, job) for job in range(jobs)]

    def run(self, cells: Sequence[Cell]) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they are done."""
        waiting = {stage.key: stage for cell in cells for stage in _lineage(cell)}
        if not self.fresh:
            waiting = {key: stage for key, stage in waiting.items() if not self._present(stage)}
        open_cells, owner = list(cells), _owners(cells)
        try:
            while open_cells:
                for cell in [cell for cell in open_cells if self._is_done(cell)]:
                    open_cells.remove(cell)
                    yield self._outcome(cell, owner)
                self._start(waiting)
                if any(worker.stage for worker in self._workers):
                    self._listen()
        finally:
            for worker in self._workers:
                worker.stop()

    def _start(self, waiting: dict[str, Stage]) -> None:
        """Give idle workers what is ready; drop what cannot be made any more."""
        for worker in self._workers:
            if worker.stage is None and (stage := self._next(waiting)) is not None:
                del waiting[stage.key]
                self.progress.start(stage.key, name(stage), stage.images)
                worker.start(stage, fresh=self.fresh)

    def _next(self, waiting: dict[str, Stage]) -> Stage | None:
        busy = [worker.stage for worker in self._workers if worker.stage]
        if any(_is_timed(stage) for stage in busy):
            return None
        timed = None
        for stage in list(waiting.values()):
            needed = [self._ends.get(one.key) for one in stage.inputs.values()]
            failed = [end for end in needed if end and end.cause]
            if failed:
                # Its cells tell of the stage that failed; this one is never made.
                del waiting[stage.key]
                self._ends[stage.key] = failed[0]
                self.progress.drop(stage.key)
            elif all(needed):
                if not _is_timed(stage):
                    return stage
                timed = timed or stage
        return timed if not busy else None

    def _listen(self) -> None:
        """Wait until a worker says something, and take note of it."""
        talking = {worker.connection: worker for worker in self._workers if worker.stage}
        for connection in wait(list(talking)):
            assert isinstance(connection, Connection)
            worker = talking[connection]
            assert worker.stage is not None
            try:
                message: Message = connection.recv()
            except (EOFError, ConnectionResetError):
                self._ended(worker, End(cause=worker.died()), [])
                worker.restart()
                continue
            if message.kind == "images":
                self.progress.advance(worker.stage.key, message.value)
            elif message.kind == "log":
                log.log(*message.value)
            elif message.kind == "refused":
                raise UsageError(message.value)
            else:
                self._ended(worker, *message.value)

    def _ended(self, worker: _Worker, end: End, lines: list[str]) -> None:
        stage = worker.stage
        assert stage is not None
        worker.stage = None
        with logged() as said:
            if end.cause:
                self.progress.drop(stage.key)
            else:
                self.progress.finish(stage.key)
        self._ends[stage.key], self._lines[stage.key] = end, lines + said
        if end.made:
            self.made.add(stage.key)

    def _present(self, stage: Stage) -> bool:
        index = self.store.verify(self.store.path(stage.kind, stage.slug, stage.key))
        if index is not None:
            self._ends[stage.key] = End(index)
            self.progress.drop(stage.key)
        return index is not None

    def _is_done(self, cell: Cell) -> bool:
        """Whether all its leaves are there, or one of its stages has failed."""
        if any(end.cause for stage in _lineage(cell) if (end := self._ends.get(stage.key))):
            return True
        return all(leaf.key in self._ends for leaf in cell.stages.values())

    def _outcome(self, cell: Cell, owner: dict[str, str]) -> CellOutcome:
        outcome = CellOutcome(cell)
        for stage in _lineage(cell):
            end = self._ends.get(stage.key)
            if end is None:
                continue
            mine = owner[stage.key] == cell.key
            if mine:
                outcome.lines += self._lines.get(stage.key, [])
            if mine and end.made:
                outcome.made.add(stage.key)
            if end.cause and outcome.failure is None:
                outcome.failure = StageFailed(stage, end.cause, first=mine)
        if outcome.failure is None:
            ends = {role: self._ends[leaf.key] for role, leaf in cell.stages.items()}
            outcome.indices = {role: end.index for role, end in ends.items() if end.index is not None}
        return outcome


class _Worker:
    """One process and what it is doing."""

    def __init__(self, setup: Setup, job: int) -> None:
        self._setup, self._job = setup, job
        self.stage: Stage | None = None
        self.restart()

    def restart(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self.connection, theirs = spawning.Pipe()
        arguments = theirs, self._setup, self._job
        self._process = spawning.Process(target=work, args=arguments, name=f"job {self._job}", daemon=False)
        self._process.start()
        theirs.close()

    def start(self, stage: Stage, *, fresh: bool) -> None:
        self.stage = stage
        self.connection.send((stage, fresh))

    def died(self) -> Cause:
        """Why the process is no more."""
        self._process.join()
        code = self._process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        hint = "; the machine may be out of memory: lower --jobs or batch_size" if code == -9 else ""
        return Cause("WorkerDied", f"the process that made it was ended {how}{hint}", known=True)

    def stop(self) -> None:
        """Let it end by itself if it is idle, else make it stop what it does."""
        try:
            if self.stage is None:
                self.connection.send(None)
            else:
                self._process.terminate()
        except OSError:
            pass
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


def _is_timed(stage: Stage) -> bool:
    return "hardware" in stage.spec


def _lineage(cell: Cell) -> list[Stage]:
    """Every stage of a cell once, inputs before users."""
    return list({stage.key: stage for leaf in cell.stages.values() for stage in leaf.lineage()}.values())


def _owners(cells: Sequence[Cell]) -> dict[str, str]:
    """Stage key -> key of the first cell that needs it."""
    owner: dict[str, str] = {}
    for cell in cells:
        for stage in _lineage(cell):
            owner.setdefault(stage.key, cell.key)
    return owner
