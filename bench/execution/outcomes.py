"""How the work on stages and cells ended; what executors hand to whoever writes records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.planning.plan import Cell
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


@dataclass(frozen=True)
class Ended:
    """A stage that is no longer at work, how that ended, and what was logged meanwhile."""

    stage: Stage
    end: End
    lines: list[str]


class StageFailed(Exception):  # noqa: N818  (an outcome that becomes a record, not an error to show)
    """A stage failed; ``first`` says whether it did so for this cell or for an earlier one."""

    def __init__(self, stage: Stage, cause: Cause, *, first: bool) -> None:
        super().__init__(cause.message)
        self.stage, self.cause, self.first = stage, cause, first


@dataclass
class CellOutcome:
    """What became of a cell.

    Attributes:
        indices: role of each of its leaves -> index of the artifact; empty if it failed.
        made: keys of the stages that were made for it, not for an earlier cell or run.
        lines: what was logged meanwhile.
    """

    cell: Cell
    indices: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: StageFailed | None = None
    made: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)


class _Collector(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def logged() -> Iterator[list[str]]:
    """Lines, with tracebacks, of everything that is logged inside."""
    lines: list[str] = []
    handler, root = _Collector(lines), logging.getLogger("bench")
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
