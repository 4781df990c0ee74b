"""Say on stderr what is being done and how long it will still take.

A terminal gets bars (rich); a log file or CI gets one line per finished stage, and one a minute from a long
one. The time left for the whole run is the sum of what the remaining stages are expected to cost, corrected
by the pace so far and divided by the number of stages that run at once, and never less than the longest.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

log = logging.getLogger(__name__)

#: Characters of a stage's name beside its bar; the line of a finished stage has the whole name.
LABEL_WIDTH = 32
#: Without bars, a stage that takes longer than that says so, and how far it is.
SECONDS_BETWEEN_LINES = 60.0


def human_seconds(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def wall_seconds(together: Collection[float], alone: Collection[float], jobs: int) -> float:
    """What stages take that ``jobs`` work on at once, and others that run with no other: at least so long."""
    return max(sum(together) / jobs, max(together, default=0.0)) + sum(alone)


def bars_wanted() -> bool:
    """Whether stderr is a terminal that somebody watches, who did not ask for quiet."""
    handlers = logging.getLogger("bench").handlers
    quiet = bool(handlers) and all(handler.level > logging.INFO for handler in handlers)
    return sys.stderr.isatty() and not os.environ.get("CI") and not quiet


@contextmanager
def steps(names: Sequence[str]) -> Iterator[Iterator[str]]:
    """Work through a few steps of unknown length: a line when one is done, and a bar on a terminal.

    The bar stands still within a step: moving it would take time from what is measured there.
    """
    bar = Progress(
        BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn("{task.description}"),
        console=Console(stderr=True), transient=True, auto_refresh=False, disable=not bars_wanted(),
    )  # fmt: skip

    def each() -> Iterator[str]:
        task = bar.add_task("", total=len(names))
        for done, name in enumerate(names):
            bar.update(task, completed=done, description=name, refresh=True)
            started = time.perf_counter()
            yield name
            seconds = human_seconds(time.perf_counter() - started)
            log.info("[%d/%d] %s  %s", done + 1, len(names), name, seconds)

    with bar:
        yield each()


@dataclass
class _Running:
    """A stage at work; ``images`` is how many it will look at, about, and ``done`` how many it has."""

    label: str
    images: int
    bar: TaskID | None = None
    done: int = 0
    started: float = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

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


class ProgressReport:
    """Progress of one run: a bar over its stages, and one over the images of every stage at work.

    Args:
        expected: stage key -> seconds it should take, None where nothing is known, in order.
        jobs: stages that may be at work at once.
        alone: keys of those that run with no other.
    """

    def __init__(
        self, expected: Mapping[str, float | None], jobs: int = 1, alone: Collection[str] = ()
    ) -> None:
        self._left = dict(expected)
        self._total, self._jobs, self._alone = len(self._left), jobs, frozenset(alone)
        self._pace: list[tuple[float, float | None]] = []
        self._running: dict[str, _Running] = {}
        self._said = time.perf_counter()
        self._bars: Progress | None = None
        self._run_bar = TaskID(0)
        if bars_wanted():
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
            self._run_bar = self._bars.add_task("stages", total=self._total, note="")

    def start(self, key: str, label: str, images: int) -> None:
        """A stage that will look at about ``images`` images begins."""
        running = self._running[key] = _Running(label, images, started=time.perf_counter())
        if self._bars:
            short = label if len(label) <= LABEL_WIDTH else f"{label[: LABEL_WIDTH - 1]}…"
            running.bar = self._bars.add_task(short, total=max(images, 1), note="")

    def advance(self, key: str, images: int) -> None:
        """A stage at work is done with so many more images."""
        running = self._running[key]
        running.done += images
        if self._bars and running.bar is not None:
            self._bars.update(running.bar, advance=images, note=running.note())
        elif not self._bars and time.perf_counter() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.perf_counter()
            log.info("%s%s  %s%s", self._count(), running.label, running.note(), self._note())

    def finish(self, key: str) -> None:
        """A stage at work ended well."""
        running = self._remove(key)
        seconds = running.seconds
        self._pace.append((seconds, self._left.pop(key, None)))
        self._said = time.perf_counter()
        if self._bars:
            self._bars.update(self._run_bar, completed=self._total - len(self._left), note=self._note())
        speed = f", {running.rate:,.0f} images/s" if running.done else ""
        log.info("%s%s  %s%s%s", self._count(), running.label, human_seconds(seconds), speed, self._note())

    def drop(self, key: str) -> None:
        """A stage will not run, or not to its end: it is cached after all, or something has failed."""
        if key in self._running:
            self._remove(key)
        self._left.pop(key, None)

    def time_left(self) -> float | None:
        """Seconds to the end of the run, None while nothing is known."""
        if not self._left:
            return 0.0
        known = [(spent, guess) for spent, guess in self._pace if guess]
        pace = sum(spent for spent, _ in known) / sum(guess for _, guess in known if guess) if known else 1.0
        mean = sum(spent for spent, _ in self._pace) / len(self._pace) if self._pace else None
        guesses = {key: mean if guess is None else guess * pace for key, guess in self._left.items()}
        together: list[float] = []
        alone: list[float] = []
        for key, guess in guesses.items():
            if guess is None:
                return None
            running = self._running.get(key)
            left = max(0.0, guess - running.seconds) if running else guess
            (alone if key in self._alone else together).append(left)
        return wall_seconds(together, alone, self._jobs)

    def close(self) -> None:
        """Remove the bars; lines stay."""
        if self._bars:
            self._bars.stop()

    def _remove(self, key: str) -> _Running:
        running = self._running.pop(key)
        if self._bars and running.bar is not None:
            self._bars.remove_task(running.bar)
        return running

    def _count(self) -> str:
        return f"[{self._total - len(self._left)}/{self._total}] "

    def _note(self) -> str:
        left = self.time_left()
        return f"  (about {human_seconds(left)} left)" if left else ""
