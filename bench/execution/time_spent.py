"""What became of the time of a run: training above all, or waiting."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.planning.stage import Stage

#: A kind of stage that took a smaller share of the time is left out.
WORTH_A_WORD = 0.005


class TimeSpent:
    """Seconds of jobs by kind of stage.

    Args:
        jobs: how many stages are made at once.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, stage: Stage, seconds: float) -> None:
        """A stage took so long; one that is timed runs alone, so that the time of all jobs is its own."""
        self._seconds[stage.kind] += seconds * (self._jobs if stage.timed else 1)

    def shares(self, seconds: float) -> dict[str, float]:
        """Of a run of so many seconds the share of each kind of stage, largest first, and what is left.

        What is left goes into starting processes, waiting for what others make, and records.
        """
        whole = max(seconds * self._jobs, 1e-9)
        largest = sorted(self._seconds.items(), key=lambda one: -one[1])
        found = {kind: spent / whole for kind, spent in largest}
        return {**found, "starting and waiting": max(0.0, 1.0 - sum(found.values()))}

    def said(self, seconds: float) -> str:
        """``by 2 jobs: finetune 61 %, distill 30 %, starting and waiting 9 %``."""
        jobs = "1 job" if self._jobs == 1 else f"{self._jobs} jobs"
        shares = {name: share for name, share in self.shares(seconds).items() if share >= WORTH_A_WORD}
        return f"by {jobs}: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
