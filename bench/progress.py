"""Say on stderr what is being done and how long it will still take.

A terminal gets bars (rich); a log file or CI gets one line per finished stage. The time left for the
whole run is the sum of the plan's estimates, corrected by how fast this run has been so far.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

log = logging.getLogger(__name__)


def human_seconds(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def is_plain() -> bool:
    """Whether bars would only litter: not a terminal, or CI."""
    return bool(os.environ.get("CI")) or not sys.stderr.isatty()


class ProgressReport:
    """Progress of one run: a bar over its stages and one over the images of the present stage.

    Args:
        estimates: expected seconds of the stages to come, in order; the mean stands in for unknowns.
    """

    def __init__(self, estimates: Sequence[float | None], *, quiet: bool = False) -> None:
        known = [seconds for seconds in estimates if seconds is not None]
        self._mean = sum(known) / len(known) if known else None
        self._left = [self._mean if seconds is None else seconds for seconds in estimates]
        self._total, self._done = len(estimates), 0
        self._spent = self._expected = 0.0
        self._stage_started = 0.0
        self._bars: Progress | None = None
        self._grid_task = self._stage_task = TaskID(0)
        if not quiet and not is_plain():
            self._bars = Progress(
                TextColumn("{task.description}", table_column=None),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
            self._grid_task = self._bars.add_task("grid", total=self._total, note="")
            self._stage_task = self._bars.add_task("", total=None, visible=False, note="")

    def start_stage(self, label: str, images: int) -> None:
        """A stage that will look at about ``images`` images begins."""
        self._label, self._stage_started, self._images = label, time.perf_counter(), 0
        if self._bars:
            self._bars.reset(self._stage_task, description=label, total=images or None, visible=True, note="")

    def advance(self, images: int, note: str = "") -> None:
        """``images`` more images are done."""
        self._images += images
        if self._bars:
            elapsed = max(time.perf_counter() - self._stage_started, 1e-9)
            rate = f"{self._images / elapsed:.0f} images/s"
            self._bars.update(self._stage_task, advance=images, note=f"{rate}  {note}")

    def finish_stage(self) -> None:
        """The present stage ended well."""
        seconds = time.perf_counter() - self._stage_started
        expected = self._left.pop(0) if self._left else None
        self._done += 1
        self._spent += seconds
        self._expected += seconds if expected is None else expected
        left = self.time_left()
        note = f"about {human_seconds(left)} left" if left is not None else ""
        if self._bars:
            self._bars.update(self._grid_task, completed=self._done, note=note)
        log.info(
            "[%d/%d] %s  %s%s",
            self._done,
            self._total,
            self._label,
            human_seconds(seconds),
            note and f"  ({note})",
        )

    def time_left(self) -> float | None:
        """Seconds to the end of the run, None while nothing is known."""
        if not self._left:
            return 0.0
        mean = self._spent / self._done if self._done else None
        guesses = [mean if seconds is None else seconds for seconds in self._left]
        if any(guess is None for guess in guesses):
            return None
        pace = self._spent / self._expected if self._expected > 0 else 1.0
        return sum(guess for guess in guesses if guess is not None) * pace

    def close(self) -> None:
        """Remove the bars; lines stay."""
        if self._bars:
            self._bars.stop()
