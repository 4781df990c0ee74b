"""What became of cells; handed to whoever writes records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.execution.pools.pool import Cause
from bench.planning.plan import Cell
from bench.planning.stage import Stage


@dataclass(frozen=True)
class StageFailed:
    """Why a cell has no numbers; ``first`` says whether it is the first of those that the stage has cost."""

    stage: Stage
    cause: Cause
    first: bool


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
