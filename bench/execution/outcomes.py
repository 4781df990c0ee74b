"""What became of cells; handed to whoever writes records."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        made: keys of the stages that were made for it, not for an earlier cell or run.
        lines: what was logged meanwhile.
        here: whether it ended by what this run did, not by what another worker has.
    """

    cell: Cell
    failure: StageFailed | None = None
    made: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    here: bool = True
