"""A worker as a process of its own whose stages sleep: ``python -m tests.sleepers FOLDER --lease 1``.

All is real but the work: claims, artifacts, failures and the scheduler. What a stage makes follows from its
inputs alone. ``began`` and ``ended`` in FOLDER say who was at what, and when.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import signal
import sys
import time
import types
from pathlib import Path

from bench.execution.failure_notes import FailureNotes
from bench.execution.making import make_if_free
from bench.execution.pools.pool import Ended, logged
from bench.execution.sharing import SharedScheduler
from bench.planning.stage import Stage
from bench.stages.context import Context
from bench.storage import atomic
from bench.storage.store import Store
from tests import simulated
from tests.simulated_workers import Silent

FILE = "content.txt"


def cells():
    """Those of the grid that is shared."""
    return simulated.grid(seeds=2, bits=1)


class Sleeping:
    """Stages that sleep in small steps and write what they are made from."""

    def __init__(self, folder: Path, asked: argparse.Namespace) -> None:
        self._folder, self._seconds, self._slow = folder, asked.seconds, asked.slow
        self._wrong, self._deadly, self._lasting = asked.wrong, asked.deadly, asked.lasting
        for kind in simulated.SECONDS:
            sys.modules[f"bench.stages.{kind}"] = types.SimpleNamespace(run=self.run)  # type: ignore[assignment]

    def run(self, stage: Stage, context: Context, folder: Path) -> dict[str, int]:
        """Of any kind."""
        self._say("began", stage)
        slow = stage.kind == self._slow
        for _ in range(20):
            time.sleep(10 * self._seconds / 20 if slow else self._seconds / 20)
            context.advance(1)
        if stage.kind == self._wrong:
            raise ValueError("it had to fail")
        if stage.kind == self._deadly:
            if self._lasting:
                (context.store.partial(context.store.path(*stage.place)) / FILE).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        made = hashlib.sha256(stage.key.encode())
        for needed in stage.inputs.values():
            made.update((context.store.path(*needed.place) / FILE).read_bytes())
        (folder / FILE).write_text(made.hexdigest())
        self._say("ended", stage)
        return {"images": stage.images}

    def _say(self, what: str, stage: Stage) -> None:
        line = [stage.key, os.getpid(), time.monotonic(), stage.timed, stage.kind]
        with (self._folder / what).open("a") as file:
            file.write(json.dumps(line) + "\n")


class Pool:
    """One stage at a time."""

    def __init__(self, context: Context, notes: FailureNotes) -> None:
        self._context, self._notes = context, notes
        self._stage: Stage | None = None

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Put it down."""
        self._stage = stage

    def listen(self, advance: object, patience: float | None = None) -> list[Ended]:
        """Make it, if nobody else does."""
        assert self._stage is not None
        with logged() as lines:
            end = make_if_free(self._stage, self._context, self._notes)
        return [Ended(self._stage, end, lines)]

    def close(self) -> None:
        """Nothing is at work."""


def record(cell, store: Store, outcome) -> str:
    """What is the same whoever writes it."""
    leaves = cell.leaves.items()
    found = {} if outcome.failure else {r: (store.path(*s.place) / FILE).read_text() for r, s in leaves}
    return json.dumps({"cell": cell.key, "ok": outcome.failure is None, "leaves": found}) + "\n"


def main() -> None:
    """Make a share of the grid."""
    # Stages that sleep need no torch, which takes seconds to import.
    sys.modules["torch"] = types.SimpleNamespace(get_num_threads=lambda: 1)  # type: ignore[assignment]
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lease", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--slow", default="")
    parser.add_argument("--wrong", default="")
    parser.add_argument("--deadly", default="", help="kind of stage that has its process killed")
    parser.add_argument("--lasting", default="", help="anything, if it leaves unfinished work then")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = asked.folder
    store, notes = Store(folder / "cache", asked.lease), FailureNotes(folder / "failures")
    Sleeping(folder, asked)
    context = Context(store, folder, None, {}, "x")  # type: ignore[arg-type]
    outcomes = []
    for outcome in SharedScheduler(cells(), store, notes).run(Pool(context, notes), Silent()):  # type: ignore[arg-type]
        outcomes.append(outcome)
        if outcome.here:
            atomic.write_new(
                folder / "records" / outcome.cell.key.replace("/", "-"), record(outcome.cell, store, outcome)
            )
    for outcome in outcomes:  # what those who are no more have left
        atomic.write_new(
            folder / "records" / outcome.cell.key.replace("/", "-"), record(outcome.cell, store, outcome)
        )


if __name__ == "__main__":
    main()
