"""Say on stderr what is being done and how long it will still take.

A terminal gets bars (rich); a log file or CI gets a line per cell and per stage that took a second or more,
and one a minute from a long one; the log of the run has all. The time left is what ``forecast`` says.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.errors import escaped
from bench.execution.time_spent import TimeSpent

if TYPE_CHECKING:
    from bench.planning.stage import Stage

log = logging.getLogger(__name__)

#: Characters of a stage's name beside its bar; the line of a finished stage has the whole name.
LABEL_WIDTH = 32
#: Without bars, a stage that takes longer than that says so, and how far it is.
SECONDS_BETWEEN_LINES = 60.0
#: A stage that takes less is told in the log of the run alone: a grid has a hundred of them.
WORTH_A_LINE = 1.0


def human_seconds(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bars_wanted() -> bool:
    """Whether stderr is a terminal that somebody watches, who did not ask for quiet."""
    shown = [
        handler
        for handler in logging.getLogger("bench").handlers
        if not isinstance(handler, logging.FileHandler)
    ]
    quiet = bool(shown) and all(handler.level > logging.INFO for handler in shown)
    watched = sys.stderr is not None and sys.stderr.isatty()
    return watched and not os.environ.get("CI") and not quiet


@contextmanager
def steps(names: Sequence[str]) -> Iterator[Iterator[str]]:
    """Work through a few steps of unknown length: a line when one is done, and a bar on a terminal.

    The bar stands still within a step: moving it would take time from what is measured there.
    """
    bar = Progress(
        BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn("{task.description}", markup=False),
        console=Console(stderr=True), transient=True, auto_refresh=False, disable=not bars_wanted(),
    )  # fmt: skip

    def each() -> Iterator[str]:
        task = bar.add_task("", total=len(names))
        for done, name in enumerate(names):
            bar.update(task, completed=done, description=escaped(name), refresh=True)
            started = time.perf_counter()
            yield name
            seconds = human_seconds(time.perf_counter() - started)
            log.info("[%d/%d] %s  %s", done + 1, len(names), name, seconds)

    with bar:
        yield each()


@dataclass
class _Running:
    """A stage at work; ``done`` is how many images it has looked at."""

    stage: Stage
    bar: TaskID | None = None
    done: int = 0
    started: float = 0.0
    before: float = 0.0

    @property
    def label(self) -> str:
        """``distill fashion_mnist__...``."""
        return f"{self.stage.kind} {self.stage.slug}"

    @property
    def images(self) -> int:
        """How many it will look at, about."""
        return self.stage.images

    @property
    def seconds(self) -> float:
        """Spent on what is done, by earlier runs as well."""
        return self.before + time.perf_counter() - self.started

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.done / max(self.seconds, 1e-9)

    def note(self) -> str:
        """``130 images/s, about 40 s left``."""
        if not self.done:
            return ""
        left = max(0, self.images - self.done) / self.rate
        return f"{self.rate:,.0f} images/s" + (f", about {human_seconds(left)} left" if self.images else "")


class Forecast(Protocol):
    """What knows when the run will have ended, see ``bench.execution.forecast``."""

    def start(self, stage: Stage) -> None: ...  # noqa: D102
    def advance(self, key: str, images: int, seconds: float = 0.0) -> None: ...  # noqa: D102
    def finish(self, key: str, seconds: float | None) -> None: ...  # noqa: D102
    def drop(self, key: str) -> None: ...  # noqa: D102
    def time_left(self) -> float | None: ...  # noqa: D102


class ProgressReport:
    """Progress of one run: a bar over its stages, and one over the images of every stage at work.

    Args:
        stages, cells: how many are to come.
        jobs: how many stages are made at once; None = that is not known.
    """

    def __init__(self, stages: int, cells: int, forecast: Forecast, jobs: int | None = None) -> None:
        self._stages, self._cells, self._forecast = stages, cells, forecast
        self._ended = self._told = 0
        self._running: dict[str, _Running] = {}
        self._spent = TimeSpent(jobs) if jobs else None
        self._began = self._said = time.perf_counter()
        self._bars: Progress | None = None
        self._run_bar = TaskID(0)
        if bars_wanted():
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
            self._run_bar = self._bars.add_task("stages", total=stages, note="")

    def start(self, stage: Stage) -> None:
        """A stage begins."""
        running = self._running[stage.key] = _Running(stage, started=time.perf_counter())
        self._forecast.start(stage)
        if self._bars:
            label = escaped(running.label)
            short = label if len(label) <= LABEL_WIDTH else f"{label[: LABEL_WIDTH - 1]}…"
            running.bar = self._bars.add_task(short, total=max(stage.images, 1), note="")

    def advance(self, key: str, images: int, seconds: float = 0.0) -> None:
        """A stage at work is done with so many more images; earlier runs were, in ``seconds``."""
        running = self._running[key]
        running.done += images
        running.before += seconds
        self._forecast.advance(key, images, seconds)
        if self._bars and running.bar is not None:
            self._bars.update(running.bar, advance=images, note=running.note())
        elif not self._bars and time.perf_counter() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.perf_counter()
            log.info("%s%s  %s%s", self._count(), running.label, running.note(), self._left())

    def finish(self, key: str, seconds: float | None = None) -> None:
        """A stage at work ended well.

        Args:
            seconds: that it took by its own clock, without what starting a process took.
        """
        running = self._remove(key)
        self._forecast.finish(key, seconds)
        self._count_stages(1)
        spent = running.seconds if seconds is None else min(seconds, running.seconds)
        if self._spent:
            self._spent.add(running.stage, min(spent, running.seconds - running.before))
        speed = f", {running.done / max(spent, 1e-9):,.0f} images/s" if running.done else ""
        line = f"{self._count()}{running.label}  {human_seconds(spent)}{speed}"
        if spent >= WORTH_A_LINE:
            self._said = time.perf_counter()
            log.info("%s%s", line, self._left())
        else:
            log.debug("%s", line)

    def drop(self, key: str) -> None:
        """A stage will not run, or not to its end: it was there after all, or something has failed."""
        if key in self._running:
            self.stop(key)
        self._count_stages(1)

    def stop(self, key: str) -> None:
        """A stage is not made here after all; it still is to come."""
        self._remove(key)
        self._forecast.drop(key)

    def cell(self, slug: str, what: str) -> None:
        """A cell has ended: ``what`` says how."""
        self._told += 1
        self._said = time.perf_counter()
        log.info("cell %d of %d  %s  %s%s", self._told, self._cells, slug, what, self._left())

    def time_left(self) -> float | None:
        """Seconds to the end of the run, None while nothing is known."""
        return self._forecast.time_left()

    def close(self) -> None:
        """Remove the bars; lines stay, and one says how much there was and what took the time."""
        if self._bars:
            self._bars.stop()
        if not self._told:
            return
        seconds = time.perf_counter() - self._began
        whole = f"{self._told} of {self._cells} cells, {self._ended} of {self._stages} stages"
        spent = f" {self._spent.said(seconds)}" if self._spent and self._ended else ""
        log.info("%s in %s%s", whole, human_seconds(seconds), spent)

    def _count_stages(self, number: int) -> None:
        self._ended += number
        if self._bars:
            self._bars.update(self._run_bar, completed=self._ended, note=self._left())

    def _remove(self, key: str) -> _Running:
        running = self._running.pop(key)
        if self._bars and running.bar is not None:
            self._bars.remove_task(running.bar)
        return running

    def _count(self) -> str:
        return f"[{self._ended}/{self._stages}] "

    def _left(self) -> str:
        left = self.time_left()
        return f"  (the run: about {human_seconds(left)} left)" if left else ""
