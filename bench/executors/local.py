"""Run stages in this process, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bench.executors.making import make, name
from bench.executors.outcomes import Cause, CellOutcome, StageFailed, logged
from bench.plan import Cell
from bench.progress import ProgressReport
from bench.stage import Stage
from bench.stages.context import Context


class LocalExecutor:
    """Makes artifacts that are not there, inputs first, and remembers what failed.

    Args:
        fresh: make every artifact anew once, even if it is there.
    """

    def __init__(self, context: Context, progress: ProgressReport, *, fresh: bool = False) -> None:
        self.context = dataclasses.replace(context, advance=self._advance)
        self.progress, self.fresh = progress, fresh
        self.made: set[str] = set()
        self._failed: dict[str, Cause] = {}
        self._running = ""

    def run(self, cells: Sequence[Cell]) -> Iterator[CellOutcome]:
        """The outcome of every cell, in order."""
        for cell in cells:
            made_before, outcome = set(self.made), CellOutcome(cell)
            with logged() as outcome.lines:
                try:
                    outcome.indices = {role: self._ensure(leaf) for role, leaf in cell.stages.items()}
                except StageFailed as failure:
                    outcome.failure = failure
                    self._drop_users(cell, failure.stage)
            outcome.made = self.made - made_before
            yield outcome

    def _ensure(self, stage: Stage) -> dict[str, Any]:
        """The artifact index of ``stage``, made now if need be."""
        if not self.fresh or stage.key in self.made:
            store = self.context.store
            index = store.verify(store.path(*stage.place))
            if index is not None:
                self.progress.drop(stage.key)
                return index
        if stage.key in self._failed:
            raise StageFailed(stage, self._failed[stage.key], first=False)
        for needed in stage.inputs.values():
            self._ensure(needed)
        self._running = stage.key
        self.progress.start(stage.key, name(stage), stage.images)
        end = make(stage, self.context, fresh=self.fresh)
        if end.cause:
            self._failed[stage.key] = end.cause
            self.progress.drop(stage.key)
            raise StageFailed(stage, end.cause, first=True)
        if end.made:
            self.made.add(stage.key)
            self.progress.finish(stage.key)
        else:
            self.progress.drop(stage.key)
        assert end.index is not None
        return end.index

    def _drop_users(self, cell: Cell, failed: Stage) -> None:
        """Expect no stage of ``cell`` any more that needs the one that has failed."""
        for leaf in cell.stages.values():
            for stage in leaf.lineage():
                if any(needed.key == failed.key for needed in stage.lineage()):
                    self.progress.drop(stage.key)

    def _advance(self, images: int) -> None:
        self.progress.advance(self._running, images)
