"""What a pool is, and how it says what became of a stage."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from bench.errors import BenchError
from bench.planning.stage import Stage


@dataclass(frozen=True)
class Cause:
    """An exception as plain values, which go from one process to another.

    Attributes:
        known: whether its message was written for people (``BenchError``).
    """

    type: str
    message: str
    known: bool

    @classmethod
    def of(cls, error: BaseException) -> Cause:
        """What a record needs to know of ``error``."""
        return cls(type(error).__name__, str(error), isinstance(error, BenchError))


@dataclass(frozen=True)
class End:
    """How the work on one stage ended.

    Attributes:
        index: of its artifact; None if there is none.
        made: whether it was made now, not found.
        cause: why there is none.
    """

    index: dict[str, Any] | None = None
    made: bool = False
    cause: Cause | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether nothing came of it here, as another worker is at it."""
        return self.index is None and self.cause is None


@dataclass(frozen=True)
class Ended:
    """A stage that is no longer at work, how that ended, and what was logged meanwhile."""

    stage: Stage
    end: End
    lines: list[str]


class Told(Protocol):
    """Called with the key of a stage and what it tells ``Advance``."""

    def __call__(self, key: str, images: int, seconds: float = 0.0) -> None: ...  # noqa: D102


class Pool(Protocol):
    """Makes stages whose inputs are there."""

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Begin with one; there are never more at work than the machine has jobs.

        Args:
            fresh: make its artifact even if it is there.
        """

    def listen(self, advance: Told, patience: float | None = None) -> list[Ended]:
        """Wait until at least one has ended; ``advance`` is told the images that each is done with.

        Args:
            patience: seconds after which it may be none, where others make stages as well.

        Raises:
            BenchError: no stage can be made at all, which ends the run.
        """

    def close(self) -> None:
        """End what is still at work."""


class _Collector(logging.Handler):
    """Keeps what one thread logs: others may be making other stages."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._lines, self._thread = lines, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(self.format(record))


@contextmanager
def logged() -> Iterator[list[str]]:
    """Lines, with tracebacks, of everything that this thread logs inside."""
    lines: list[str] = []
    handler, root = _Collector(lines), logging.getLogger("bench")
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
