"""Stages in this process, one after the other."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque

from bench.execution.machine import Machine, Weights
from bench.execution.making import work_on
from bench.execution.pools.pool import Ended, Told
from bench.planning.stage import Stage


class InlinePool:
    """Makes stages when somebody listens, in the order in which they were started."""

    def __init__(self, machine: Machine, weights: Weights) -> None:
        self._machine, self._context = machine, machine.context(weights)
        self._begun: deque[tuple[Stage, bool]] = deque()

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Put a stage behind those that are to be made."""
        self._begun.append((stage, fresh))

    def listen(self, advance: Told, patience: float | None = None) -> list[Ended]:
        """Make the next one."""
        stage, fresh = self._begun.popleft()
        context = dataclasses.replace(self._context, advance=functools.partial(advance, stage.key))
        return [work_on(stage, self._machine, context, fresh=fresh)]

    def close(self) -> None:
        """Forget what has not been made."""
        self._begun.clear()
