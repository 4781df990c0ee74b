"""Stages in this process, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bench.execution.making import make, prepare_process
from bench.execution.outcomes import Ended, logged
from bench.planning.stage import Stage
from bench.stages.context import Context


class InlinePool:
    """Makes one stage at a time.

    Args:
        threads, timing_threads: of what computes, and of what is timed.
    """

    def __init__(self, context: Context, threads: int, timing_threads: int) -> None:
        self._context, self._threads, self._timing_threads = context, threads, timing_threads
        self._next: tuple[Stage, bool] | None = None

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Make a stage when somebody listens."""
        self._next = stage, fresh

    def listen(self, advance: Callable[[str, int], None]) -> list[Ended]:
        """Make it."""
        assert self._next is not None
        stage, fresh = self._next
        context = dataclasses.replace(self._context, advance=lambda images: advance(stage.key, images))
        prepare_process(self._timing_threads if stage.timed else self._threads)
        with logged() as lines:
            end = make(stage, context, fresh=fresh)
        return [Ended(stage, end, lines)]

    def close(self) -> None:
        """Nothing is left."""
