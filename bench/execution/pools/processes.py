"""Stages in several processes of this machine, each with its threads and a device."""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import signal
import sys
import time
import types
from collections.abc import Iterator
from multiprocessing.connection import wait

from bench.errors import BenchError, UsageError
from bench.execution.machine import Machine, Weights
from bench.execution.pools.pool import Cause, End, Ended, Told
from bench.execution.pools.worker import PATIENCE, Message, work
from bench.planning.stage import Stage
from bench.training import signals

log = logging.getLogger(__name__)


class ProcessPool:
    """Makes stages in processes, which start when there is something to do for them."""

    def __init__(self, machine: Machine, weights: Weights) -> None:
        self._machine, self._weights = machine, weights
        self._workers: list[_Worker] = []

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Have a stage made by a process that has nothing to do, or by a new one."""
        idle = next((worker for worker in self._workers if worker.stage is None), None)
        if idle is None:
            idle = _Worker(self._machine, self._weights, len(self._workers))
            self._workers.append(idle)
        idle.start(stage, fresh=fresh)

    def listen(self, advance: Told, patience: float | None = None) -> list[Ended]:
        """Take note of what workers say, until one has ended a stage, or several."""
        until = math.inf if patience is None else time.monotonic() + patience
        while True:
            talking = [worker for worker in self._workers if worker.stage]
            left = None if patience is None else max(0.0, until - time.monotonic())
            wait([end for worker in talking for end in (worker.connection, worker.sentinel)], left)
            ended = [self._hear(worker, advance) for worker in talking]
            if any(ended) or time.monotonic() >= until:
                return [one for one in ended if one]

    def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.join()

    def _hear(self, worker: _Worker, advance: Told) -> Ended | None:
        """Everything that a worker has said; how its stage has ended, if it has."""
        stage = worker.stage
        assert stage is not None
        alive = worker.alive()  # before reading, so that nothing it said is lost
        while (message := worker.said()) is not None:
            if message.kind == "images":
                advance(stage.key, *message.value)
            elif message.kind == "log":
                log.log(*message.value)
            elif message.kind == "refused":
                raise _refusal(message.value)
            else:
                worker.stage = None
                return Ended(stage, *message.value)
        if alive and not worker.broken:
            return None
        worker.stage = None
        return Ended(stage, End(cause=worker.died()), [])


class _Worker:
    """One process and what it is doing."""

    def __init__(self, machine: Machine, weights: Weights, job: int) -> None:
        self._machine, self._weights, self._job = machine, weights, job
        self.stage: Stage | None = None
        self.broken = False
        self.restart()

    def restart(self) -> None:
        """A new process in place of one that is no more."""
        spawning = multiprocessing.get_context("spawn")
        self.connection, theirs = spawning.Pipe()
        arguments = theirs, self._machine, self._weights, self._job
        self._process = spawning.Process(target=work, args=arguments, name=f"job {self._job}")
        with _without_script(), signals.born_deaf():
            self._process.start()
        theirs.close()
        self.broken = False

    @property
    def sentinel(self) -> int:
        """Ready when the process has ended."""
        return self._process.sentinel

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def said(self) -> Message | None:
        """What it has said and nobody has heard yet; ``broken`` if it ended in the middle of a sentence."""
        message: Message | None = None
        try:
            if self.connection.poll():
                message = self.connection.recv()
        except (EOFError, OSError):
            self.broken = True
        return message

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
        self._process.join(PATIENCE)
        if self._process.is_alive():  # its end of the connection is closed all the same
            self._process.kill()
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


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Start processes that do not import the script that runs.

    They need nothing of it, and where it calls ``bench.run`` unguarded each would begin a run of its own.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _refusal(cause: Cause) -> BenchError:
    text = cause.message if cause.known else f"a job could not work: {cause.type}: {cause.message}"
    return UsageError(text)
