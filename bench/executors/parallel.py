"""Run stages in several processes of this machine, each with its share of the threads and a device.

A stage starts when its inputs are there, earlier cells first. Timings run alone, when nothing else can be
started: beside other work they would measure that.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait

from bench.errors import BenchError, UsageError
from bench.executors.making import name
from bench.executors.outcomes import Cause, CellOutcome, End, StageFailed, logged
from bench.executors.worker import Message, Setup, work
from bench.plan import Cell, leaves
from bench.progress import ProgressReport
from bench.stage import Stage, absent
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
        self._setup, self._jobs = setup, jobs
        self.store, self.progress, self.fresh = store, progress, fresh
        self.made: set[str] = set()
        self._ends: dict[str, End] = {}
        self._lines: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self._workers: list[_Worker] = []

    def run(self, cells: Sequence[Cell]) -> Iterator[CellOutcome]:
        """The outcome of every cell, as they are done."""
        lineages = {cell.key: _lineage(cell) for cell in cells}
        open_cells, waiting = list(cells), absent(leaves(cells), self._is_there)
        try:
            self._workers = [_Worker(self._setup, job) for job in range(min(self._jobs, len(waiting)))]
            while open_cells:
                done = [cell for cell in open_cells if self._is_done(cell, lineages[cell.key])]
                for cell in done:
                    open_cells.remove(cell)
                    yield self._outcome(cell, lineages[cell.key])
                if done:
                    # What only a failed cell needed is not made.
                    wanted = {stage.key for cell in open_cells for stage in lineages[cell.key]}
                    for key in [key for key in waiting if key not in wanted]:
                        del waiting[key]
                        self.progress.drop(key)
                elif self._start(waiting):
                    self._listen()
        finally:
            for worker in self._workers:
                worker.dismiss()
            for worker in self._workers:
                worker.join()

    def _is_there(self, stage: Stage) -> bool:
        """Whether nobody has to make it."""
        index = None if self.fresh else self.store.verify(self.store.path(*stage.place))
        if index is None:
            return False
        self._ends[stage.key] = End(index)
        self.progress.drop(stage.key)
        return True

    def _start(self, waiting: dict[str, Stage]) -> bool:
        """Give idle workers what is ready; whether there is anybody to listen to."""
        for worker in self._workers:
            if worker.stage is None and (stage := self._next(waiting)) is not None:
                del waiting[stage.key]
                self.progress.start(stage.key, name(stage), stage.images)
                worker.start(stage, fresh=self.fresh)
        return any(worker.stage for worker in self._workers)

    def _next(self, waiting: dict[str, Stage]) -> Stage | None:
        """The first stage whose inputs are there and that may run beside what is running."""
        busy = [worker.stage for worker in self._workers if worker.stage]
        if any(stage.timed for stage in busy):
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
                if not stage.timed:
                    return stage
                timed = timed or stage
        return timed if not busy else None

    def _listen(self) -> None:
        """Take note of what workers say, until one has ended a stage."""
        while True:
            talking = [worker for worker in self._workers if worker.stage]
            wait([end for worker in talking for end in (worker.connection, worker.sentinel)])
            ended = [self._hear(worker) for worker in talking]
            if any(ended):
                return

    def _hear(self, worker: _Worker) -> bool:
        """Everything that a worker has said; whether it has ended its stage."""
        assert worker.stage is not None
        alive = worker.alive()  # before reading, so that nothing it said is lost
        try:
            while worker.connection.poll():
                message: Message = worker.connection.recv()
                if message.kind == "images":
                    self.progress.advance(worker.stage.key, message.value)
                elif message.kind == "log":
                    log.log(*message.value)
                elif message.kind == "refused":
                    raise _refusal(message.value)
                else:
                    self._ended(worker, *message.value)
                    return True
        except (EOFError, OSError):  # ended in the middle of a sentence
            alive = False
        if alive:
            return False
        self._ended(worker, End(cause=worker.died()), [])
        worker.restart()
        return True

    def _ended(self, worker: _Worker, end: End, lines: list[str]) -> None:
        stage = worker.stage
        assert stage is not None
        worker.stage = None
        with logged() as said:
            if end.made:
                self.progress.finish(stage.key)
                self.made.add(stage.key)
            else:
                self.progress.drop(stage.key)
        self._ends[stage.key], self._lines[stage.key] = end, lines + said

    def _is_done(self, cell: Cell, lineage: list[Stage]) -> bool:
        """Whether all its leaves are there, or one of its stages has failed."""
        if any(end.cause for stage in lineage if (end := self._ends.get(stage.key))):
            return True
        return all(leaf.key in self._ends for leaf in cell.stages.values())

    def _outcome(self, cell: Cell, lineage: list[Stage]) -> CellOutcome:
        """The first cell that is told of has made what it shares with others."""
        outcome = CellOutcome(cell)
        for stage in lineage:
            end = self._ends.get(stage.key)
            if end is None:
                continue
            first = stage.key not in self._told
            self._told.add(stage.key)
            if first:
                outcome.lines += self._lines.get(stage.key, [])
            if first and end.made:
                outcome.made.add(stage.key)
            if end.cause and outcome.failure is None:
                outcome.failure = StageFailed(stage, end.cause, first=first)
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
        """A new process in place of one that is no more."""
        spawning = multiprocessing.get_context("spawn")
        self.connection, theirs = spawning.Pipe()
        arguments = theirs, self._setup, self._job
        self._process = spawning.Process(target=work, args=arguments, name=f"job {self._job}")
        self._process.start()
        theirs.close()

    @property
    def sentinel(self) -> int:
        """Ready when the process has ended."""
        return self._process.sentinel

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Have a stage made; by a new process if this one has ended while it had nothing to do."""
        if not self.alive():
            self.restart()
        self.stage = stage
        # If it ends right now, listening finds that out.
        with contextlib.suppress(OSError):
            self.connection.send((stage, fresh))

    def died(self) -> Cause:
        """Why the process is no more."""
        self._process.join()
        code = self._process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        hint = (
            "; the machine may be out of memory: lower --jobs or batch_size"
            if code == -signal.SIGKILL
            else ""
        )
        return Cause("WorkerDied", f"the process that made it was ended {how}{hint}", known=True)

    def dismiss(self) -> None:
        """Have it end: by itself if it is idle, else in the middle of what it does."""
        with contextlib.suppress(OSError):
            if self.stage is None:
                self.connection.send(None)
            else:
                self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended, and make sure that it does."""
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


def _refusal(cause: Cause) -> BenchError:
    text = cause.message if cause.known else f"a job could not work: {cause.type}: {cause.message}"
    return UsageError(text)


def _lineage(cell: Cell) -> list[Stage]:
    """Every stage of a cell once, inputs before users."""
    return list({stage.key: stage for leaf in cell.stages.values() for stage in leaf.lineage()}.values())
