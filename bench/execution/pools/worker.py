"""A process that makes the stages it is sent, and says how they go."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

from bench import registry
from bench.errors import UsageError
from bench.execution.machine import Machine, Weights
from bench.execution.making import prepare_process, work_on
from bench.execution.pools.pool import Cause
from bench.training import signals

SECONDS_BETWEEN_COUNTS = 0.2
#: Seconds that a worker has to end a step and tidy up; Slurm's own are 30.
PATIENCE = 25.0


@dataclass(frozen=True)
class Message:
    """From worker to parent: that a stage has ``began`` on a node of a cluster, ``images`` (how many are
    done, seconds of earlier runs), a ``log`` record (level, text), the ``end`` of a stage and the lines it
    logged, or why it ``refused`` to work, which ends the run.
    """

    kind: Literal["began", "images", "log", "end", "refused"]
    value: Any


class Line(Protocol):
    """What a worker says things into."""

    def send(self, message: Message, /) -> None: ...  # noqa: D102


def work(connection: Connection, machine: Machine, weights: Weights, job: int) -> None:
    """Make stages until told to stop with None; each comes as (stage, whether to make it anew)."""
    signals.leave_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    bench = logging.getLogger("bench")
    bench.setLevel(logging.DEBUG)
    bench.propagate = False
    bench.addHandler(Sender(connection))
    # Tidily, and a training not before it has written how far it is.
    try:
        with signals.interrupting([signal.SIGTERM]):
            _work(connection, machine, weights, job)
            # Nothing is left to tidy up: who is ended while it goes need not say so.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)


def _work(connection: Connection, machine: Machine, weights: Weights, job: int) -> None:
    try:
        context = context_of(connection, machine, weights, job)
        while (task := connection.recv()) is not None:
            stage, fresh = task
            ended = work_on(stage, machine, context, fresh=fresh)
            context.advance.tell()
            connection.send(Message("end", (ended.end, ended.lines)))
    except (EOFError, ConnectionError):
        return  # there is no parent any more
    except Exception as error:
        with contextlib.suppress(ConnectionError):  # the parent may end at the same time
            connection.send(Message("refused", Cause.of(error)))


def _end_with_parent() -> None:
    """End this process when the run is gone, of which a stage that has nothing to say would not hear."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(128 + signal.SIGTERM)


def context_of(line: Line, machine: Machine, weights: Weights, job: int, otherwise: str = "jobs=1") -> Any:
    """What stages see of this process, which has its threads, the user's plug-ins and its device then.

    Args:
        line: told of images that are done.
        job: number of the job; GPUs are given to jobs in turn.
        otherwise: how to do without other processes.

    Raises:
        UsageError: a plug-in of the run is not known in this process.
    """
    prepare_process(machine.job_threads)
    registry.include_all(machine.plugins)
    _look_for_plugins(machine.named, otherwise)
    context = machine.context(weights, _Counter(line), job)
    if context.device.type == "cuda":
        import torch

        torch.cuda.set_device(context.device)
    return context


def _look_for_plugins(named: Iterable[tuple[str, str]], otherwise: str) -> None:
    """Refuse to begin what must fail in the end: the calling program may know more plug-ins than its files.

    Raises:
        UsageError: a plug-in of the run is not known in this process.
    """
    for kind, name in named:
        known = registry.REGISTRIES[kind]
        if name not in known:
            raise UsageError(
                f"{known.kind} '{name}' is known to the calling program alone, not to jobs in other "
                f"processes; name the file that registers it in plugins=[...], or run with {otherwise}"
            )


class _Counter:
    """Tells how many images are done, a few times a second: the parent has other things to do."""

    def __init__(self, line: Line) -> None:
        self._line, self._images, self._seconds, self._told = line, 0, 0.0, 0.0

    def __call__(self, images: int, seconds: float = 0.0) -> None:
        self._images += images
        self._seconds += seconds
        if time.perf_counter() - self._told >= SECONDS_BETWEEN_COUNTS:
            self.tell()

    def tell(self) -> None:
        """What has not been told yet; at the end of a stage, so that the next one does not get it."""
        if self._images:
            self._line.send(Message("images", (self._images, self._seconds)))
        self._images, self._seconds, self._told = 0, 0.0, time.perf_counter()


class Sender(logging.Handler):
    """Sends what is logged to the parent, tracebacks written out."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        self._line.send(Message("log", (record.levelno, self.format(record))))
