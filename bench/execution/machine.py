"""Where a plan is executed, described once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import environment
from bench.storage.store import Store


@dataclass(frozen=True)
class Machine:
    """Where a plan is executed.

    Attributes:
        threads: that may compute at once; what is timed runs alone and has them all.
        jobs: stages at work at once at most, each in a process of its own if they are several.
        job_threads: of one job. Another number rounds differently: it does not follow from that of the cores.
        plugins: files of ``--include``, which those processes import too.
    """

    store: Store
    data_root: Path
    device: str
    threads: int
    precision: str
    jobs: int = 1
    job_threads: int = 1
    plugins: tuple[Path, ...] = ()

    @property
    def hardware(self) -> str:
        """Fingerprint of the device and what it computes with."""
        return str(environment.hardware(self.device, self.threads)["fingerprint"])

    @property
    def job_hardware(self) -> str:
        """The same with the threads of one job: work beside other work takes another time."""
        return str(environment.hardware(self.device, self.job_threads)["fingerprint"])
