"""Say on stderr what is being done and how long it will still take.

A terminal gets bars (rich); a log file or CI gets one line per finished stage. The time left for the
whole run is the sum of what the remaining stages are expected to cost, corrected by the pace so far.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

log = logging.getLogger(__name__)

#: Characters of a stage's name beside its bar; the line of a finished stage has the whole name.
LABEL_WIDTH = 32


def human_seconds(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bars_wanted() -> bool:
    """Whether stderr is a terminal that somebody watches."""
    return sys.stderr.isatty() and not os.environ.get("CI")


class ProgressReport:
    """Progress of one run: a bar over its stages and one over the images of the present stage.

    Args:
        expected: stage key -> seconds it should take, None where nothing is known, in order.
    """

    def __init__(self, expected: Mapping[str, float | None]) -> None:
        self._left = dict(expected)
        self._total = len(self._left)
        self._pace: list[tuple[float, float | None]] = []
        self._label, self._key, self._images, self._started = "", "", 0, 0.0
        self._bars: Progress | None = None
        self._run_bar = self._stage_bar = TaskID(0)
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
            self._stage_bar = self._bars.add_task("", total=None, visible=False, note="")

    def start(self, key: str, label: str, images: int) -> None:
        """A stage that will look at about ``images`` images begins."""
        self._key, self._label, self._images, self._started = key, label, 0, time.perf_counter()
        if self._bars:
            short = label if len(label) <= LABEL_WIDTH else f"{label[: LABEL_WIDTH - 1]}…"
            self._bars.reset(self._stage_bar, description=short, total=max(images, 1), visible=True, note="")

    def advance(self, images: int) -> None:
        """So many more images are done."""
        self._images += images
        if self._bars:
            rate = self._images / max(time.perf_counter() - self._started, 1e-9)
            self._bars.update(self._stage_bar, advance=images, note=f"{rate:.0f} images/s")

    def finish(self) -> None:
        """The present stage ended well."""
        seconds = time.perf_counter() - self._started
        self._pace.append((seconds, self._left.pop(self._key, None)))
        left = self.time_left()
        note = f"about {human_seconds(left)} left" if left else ""
        if self._bars:
            self._bars.update(self._run_bar, completed=self._total - len(self._left), note=note)
        done = f"[{self._total - len(self._left)}/{self._total}]"
        log.info("%s %s  %s%s", done, self._label, human_seconds(seconds), note and f"  ({note})")

    def drop(self, key: str) -> None:
        """A stage will not run: it is cached after all, or what it needs has failed."""
        self._left.pop(key, None)

    def time_left(self) -> float | None:
        """Seconds to the end of the run, None while nothing is known."""
        if not self._left:
            return 0.0
        known = [(spent, guess) for spent, guess in self._pace if guess]
        pace = sum(spent for spent, _ in known) / sum(guess for _, guess in known if guess) if known else 1.0
        mean = sum(spent for spent, _ in self._pace) / len(self._pace) if self._pace else None
        guesses = [mean if guess is None else guess * pace for guess in self._left.values()]
        return None if None in guesses else sum(guess for guess in guesses if guess is not None)

    def close(self) -> None:
        """Remove the bars; lines stay."""
        if self._bars:
            self._bars.stop()
