"""The trainings of a small grid, made one by one, broken off where a test says, and gone on with."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.execution.machine import Machine
from bench.execution.making import make
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.plan import Plan
from bench.planning.points import Choice
from bench.planning.stage import Stage, walk
from bench.stages.context import Context
from bench.storage.store import Store
from bench.training import checkpoints
from bench.training.micro_batches import Passes
from tests.conftest import PLUGINS

GRID = """\
schema: 1
name: trainings
defaults:
  image_size: 16
  distill: {epochs: 3, batch_size: 32, lr: 1.0e-2}
  finetune: {epochs: 3, batch_size: 24, lr: 1.0e-2}
axes:
  dataset: [{name: synthetic, params: {per_class: 30}}]
  teacher: [TEACHER]
  student: [STUDENT]
  method: [METHOD]
  loss: [LOSSES]
  bits: [16]
  seed: [3]
"""


class Trainings:
    """Those of a grid, in a store below ``folder``.

    Attributes:
        plan: of the grid.
        steps: that have been begun since ``make`` was called.
    """

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, device: str = "cpu", **words: str
    ) -> None:
        registry.include(PLUGINS / "tiny.py")
        text = GRID
        for word, value in words.items():
            text = text.replace(word, value)
        (folder / "trainings.yaml").write_text(text)
        self._machine = Machine(Store(folder / "cache"), folder, device, threads=2, precision="fp32")
        file = load_grid(folder / "trainings.yaml")
        self.plan: Plan = build_plan(file, folder, self._machine.hardware, Choice((), (), None))
        self.steps, self._last = 0, 0
        right = Passes.__call__

        def counted(passes: Passes, *arguments: Any) -> Any:
            found = right(passes, *arguments)
            self.steps += 1
            if self.steps == self._last:
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(Passes, "__call__", counted)
        # A checkpoint after every step, whatever it costs.
        monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
        monkeypatch.setattr(checkpoints, "MOST_SHARE", float("inf"))

    def __iter__(self) -> Iterator[Stage]:
        """What trains, inputs first; other inputs are made."""
        for stage in walk(leaf for cell in self.plan.cells for leaf in cell.leaves.values()).values():
            if stage.kind in ("features", "trunk"):
                self.make(stage)
            elif stage.kind in ("distill", "finetune"):
                yield stage

    def context(self) -> Context:
        """What its stages work in."""
        return self._machine.context(self.plan.weights)

    def folder(self, stage: Stage) -> Path:
        return self._machine.store.path(*stage.place)

    def checkpoint(self, stage: Stage) -> Path:
        return self._machine.store.partial(self.folder(stage)) / checkpoints.FILE

    def make(self, stage: Stage, last: int = 0, *, resumable: bool = True) -> dict[str, Any]:
        """The index of its artifact, made by objects that know of no other training.

        Args:
            last: the step in the middle of which it is interrupted; 0 = it is not.
        """
        self.steps, self._last = 0, last
        machine = dataclasses.replace(self._machine, resumable=resumable)
        end = make(stage, machine.context(self.plan.weights), fresh=False)
        assert end.cause is None, end.cause
        assert end.index is not None
        return end.index

    def forget(self, stage: Stage) -> None:
        """Remove the artifact."""
        shutil.rmtree(self.folder(stage))


def made(index: dict[str, Any]) -> str:
    """What must not depend on interruptions: checksums of all files, and the summary."""
    return json.dumps({name: index[name] for name in ("files", "summary", "images")}, sort_keys=True)
