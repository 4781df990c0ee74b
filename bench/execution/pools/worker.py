"""A process that makes the stages it is sent, and says how they go."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from bench.execution.outcomes import Cause, logged
from bench.storage.store import Store

SECONDS_BETWEEN_COUNTS = 0.2


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know once.

    Attributes:
        plugins: files of the command line's ``--include``.
        devices: of this machine, of which job i takes number i modulo their number; 0 = the CPU.
        threads, timing_threads: of what computes, and of what is timed, alone on the machine.
        readers: processes that may decode image files for a job.
    """

    store_root: Path
    data_root: Path
    device: str
    devices: int
    threads: int
    timing_threads: int
    readers: int
    hardware: str
    weights: Mapping[tuple[str, str], str | None]
    plugins: Sequence[Path]


@dataclass(frozen=True)
class Message:
    """From worker to parent: ``images`` done, a ``log`` record (level, text), the ``end`` of a stage with the
    lines it logged, or why it ``refused`` to work, which ends the run.
    """

    kind: Literal["images", "log", "end", "refused"]
    value: Any


def work(connection: Connection, setup: Setup, job: int) -> None:
    """Make stages until told to stop with None; each comes as (stage, whether to make it anew)."""
    # The parent decides what an interruption means; it ends this process with SIGTERM, tidily.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    bench = logging.getLogger("bench")
    bench.setLevel(logging.DEBUG)
    bench.propagate = False
    bench.addHandler(_Sender(connection))
    try:
        context = _context(connection, setup, job)
        from bench.execution.making import make, prepare_process

        while (task := connection.recv()) is not None:
            stage, fresh = task
            prepare_process(setup.timing_threads if stage.timed else setup.threads)
            with logged() as lines:
                end = make(stage, context, fresh=fresh)
            context.advance.tell()
            connection.send(Message("end", (end, lines)))
    except (EOFError, BrokenPipeError):
        return  # there is no parent any more
    except Exception as error:
        connection.send(Message("refused", Cause.of(error)))


def _context(connection: Connection, setup: Setup, job: int) -> Any:
    import torch

    from bench.execution.making import prepare_process
    from bench.registry import include
    from bench.stages.context import Context

    prepare_process(setup.threads)
    for plugin in setup.plugins:
        include(plugin)
    device = torch.device(setup.device, job % setup.devices) if setup.devices else torch.device(setup.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return Context(
        store=Store(setup.store_root),
        data_root=setup.data_root,
        device=device,
        weights=setup.weights,
        hardware=setup.hardware,
        advance=_Counter(connection),
        workers=setup.readers,
    )


class _Counter:
    """Tells how many images are done, a few times a second: the parent has other things to do."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._images, self._told = connection, 0, 0.0

    def __call__(self, images: int) -> None:
        self._images += images
        if time.perf_counter() - self._told >= SECONDS_BETWEEN_COUNTS:
            self.tell()

    def tell(self) -> None:
        """What has not been told yet; at the end of a stage, so that the next one does not get it."""
        if self._images:
            self._connection.send(Message("images", self._images))
        self._images, self._told = 0, time.perf_counter()


class _Sender(logging.Handler):
    """Sends what is logged to the parent, tracebacks written out."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send(Message("log", (record.levelno, self.format(record))))
