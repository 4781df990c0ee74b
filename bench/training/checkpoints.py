"""Checkpoints: how far a training is, kept now and then, so that after an interruption it goes on from there.

It goes on bit for bit as if nothing had happened, and begins anew where that cannot be promised.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median_low
from typing import Any

import torch

from bench.errors import CellError
from bench.interfaces import Stateful
from bench.training import signals, state_file

log = logging.getLogger(__name__)

#: So far apart at least, as a training of five minutes must not lose ten seconds; farther where writing would
#: take a larger share of the time.
SECONDS_BETWEEN, MOST_SHARE = 5.0, 0.01
#: Bytes a second that one should be written at. The next one should take what is in the middle of that and of
#: what the last ones have taken: a single one that other work has held up says little.
EXPECTED_SPEED, LAST = 500e6, 4
#: Raised by one when earlier files are no longer understood.
FORMAT = 1
FILE = "checkpoint.safetensors"


class Checkpoints:
    """Those of one training; only the last is kept.

    Args:
        folder: where it lies; None = nothing is looked for or written.
        name: of the training, for people.
        origin: by name, what numbers may depend on in their last bits.

    Attributes:
        seconds_before: that earlier runs spent on what was found.
    """

    def __init__(self, folder: Path | None, name: str = "", origin: Mapping[str, Any] | None = None) -> None:
        self.name, self.seconds_before = name, 0.0
        self._path = folder / FILE if folder else None
        self._origin = {"format": FORMAT, **(origin or {})}
        self._started = self._last = time.perf_counter()
        self._expected: float | None = None  # seconds, by the size
        self._took: deque[float] = deque(maxlen=LAST)
        self._failed = False

    def found(self, device: torch.device) -> Any:
        """What an earlier run has kept, tensors of an accelerator on ``device``; None if there is nothing."""
        if self._path is None:
            return None
        for left_by_a_killed_run in self._path.parent.glob(f".{FILE}.*"):
            left_by_a_killed_run.unlink(missing_ok=True)
        try:
            content = state_file.load(self._path, device)
        except FileNotFoundError:
            return None
        except state_file.DamagedError as error:
            log.warning("%s begins anew: its checkpoint is damaged (%s)", self.name, error)
            return None
        made, here = content["origin"], self._origin
        if other := [name for name in {**made, **here} if made.get(name) != here.get(name)]:
            what = " and another ".join(other)
            log.warning("%s begins anew: its checkpoint is of another %s", self.name, what)
            return None
        self.seconds_before = content["seconds"]
        return content["state"]

    def load(self, found: Any, state: Stateful) -> None:
        """Have ``state`` be as it was ``found``.

        Raises:
            CellError: it cannot.
        """
        try:
            state.load_state_dict(found)
        except Exception as error:
            reason, cure = f"{type(error).__name__}: {error}", "run with --no-checkpoints"
            raise CellError(f"cannot go on from {self._path} ({reason}); remove it, or {cure}") from error

    @contextlib.contextmanager
    def kept(self, state: Stateful) -> Iterator[Callable[[], None]]:
        """Keep ``state`` inside; what is yielded is to be called after every step.

        A signal that would interrupt waits until a step is done and kept.
        """
        if self._path is None:
            yield lambda: None
            return
        with signals.held() as held:

            def step_done() -> None:
                if held.waiting:
                    self._write(state, urgent=True)
                    held.let_go()
                elif self._due():
                    self._write(state, urgent=False)

            yield step_done

    def _due(self) -> bool:
        known = [*self._took] if self._expected is None else [self._expected, *self._took]
        wanted = max(SECONDS_BETWEEN, median_low(known or [0.0]) / MOST_SHARE)
        return time.perf_counter() - self._last >= wanted

    def _write(self, state: Stateful, *, urgent: bool) -> None:
        assert self._path is not None
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()  # waiting for what is computed is no cost of writing
        began = time.perf_counter()
        try:
            seconds = round(self.seconds_before + began - self._started, 3)
            content = {"origin": self._origin, "seconds": seconds, "state": state.state_dict()}
            if self._expected is None:
                self._expected = state_file.size(content) / EXPECTED_SPEED
                if not urgent and not self._due():
                    return
            state_file.save(content, self._path)
            if urgent:
                log.info("%s: a checkpoint holds how far it is", self.name)
        except Exception as error:  # whatever it is, the training goes on
            tell = log.debug if self._failed else log.warning
            tell("%s goes on without a checkpoint, which cannot be written: %s", self.name, error)
            self._failed = True
        self._last = time.perf_counter()
        self._took.append(self._last - began)
