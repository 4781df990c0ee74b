"""Run stages in this process, one after the other."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from bench.errors import BenchError
from bench.progress import ProgressReport
from bench.stage import Stage
from bench.stages.context import Context

log = logging.getLogger(__name__)


class StageFailed(Exception):  # noqa: N818  (an outcome that the caller records, not an error to show)
    """A stage raised ``cause``; ``first`` says whether it did so now or in an earlier cell."""

    def __init__(self, stage: Stage, cause: Exception, *, first: bool) -> None:
        super().__init__(str(cause))
        self.stage, self.cause, self.first = stage, cause, first


class LocalExecutor:
    """Makes artifacts that are not there, inputs first, and remembers what failed.

    Args:
        fresh: make every artifact anew once, even if it is there.
    """

    def __init__(self, context: Context, progress: ProgressReport, *, fresh: bool = False) -> None:
        self.context, self.progress, self.fresh = context, progress, fresh
        self.made: set[str] = set()
        self._failed: dict[str, Exception] = {}

    def ensure(self, stage: Stage) -> dict[str, Any]:
        """The artifact index of ``stage``, made now if need be.

        Raises:
            StageFailed: the stage, or one that it needs, raised an error.
        """
        store = self.context.store
        folder = store.path(stage.kind, stage.slug, stage.key)
        index = self._present(stage)
        if index is not None:
            self.progress.drop(stage.key)
            return index
        if stage.key in self._failed:
            raise StageFailed(stage, self._failed[stage.key], first=False)
        for needed in stage.inputs.values():
            self.ensure(needed)
        with store.lock(folder):
            index = self._present(stage)
            if index is None:
                index = self._make(stage)
        return index

    def _present(self, stage: Stage) -> dict[str, Any] | None:
        if self.fresh and stage.key not in self.made:
            return None
        store = self.context.store
        return store.verify(store.path(stage.kind, stage.slug, stage.key))

    def _make(self, stage: Stage) -> dict[str, Any]:
        run = importlib.import_module(f"bench.stages.{stage.kind}").run
        about = {
            "kind": stage.kind,
            "key": stage.key,
            "cost_class": stage.cost_class,
            "images": stage.images,
            "spec": stage.spec,
            "inputs": {role: needed.key for role, needed in stage.inputs.items()},
        }
        store = self.context.store
        folder = store.path(stage.kind, stage.slug, stage.key)
        self.progress.start(stage.key, f"{stage.kind} {stage.slug}", stage.images)
        try:
            with store.write(folder, about) as (temporary, summary):
                summary.update(run(stage, self.context, temporary))
        except Exception as error:
            self._failed[stage.key] = error
            self.progress.drop(stage.key)
            log.debug("%s %s failed", stage.kind, stage.slug, exc_info=not isinstance(error, BenchError))
            raise StageFailed(stage, error, first=True) from error
        self.made.add(stage.key)
        self.progress.finish()
        index = store.verify(folder)
        assert index is not None
        return index
