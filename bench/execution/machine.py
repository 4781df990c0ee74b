"""Where a plan is executed, described once: for this process, for others, and for what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import environment
from bench.stages.context import Context
from bench.storage.store import Store
from bench.types import Advance, untold

#: Network and fingerprint of its weights -> the ``weights`` parameter that leads to them, as a plan has them.
Weights = Mapping[tuple[str, str], str | None]


@dataclass(frozen=True)
class Machine:
    """Where a plan is executed; plain values, which go to other processes as they are.

    Attributes:
        threads: that may compute at once; what is timed runs alone and has them all.
        jobs: stages at work at once at most; 0 = as many as its cluster has room for.
        job_threads: of one job. Another number rounds differently: it does not follow from that of the cores.
        plugins: files of plug-ins, which other processes import too.
        named: kind and name of the plug-ins that a run needs, which other processes must know then.
        pool: what makes stages, a name of ``pools.POOLS``; None = as the number of jobs asks for.
        resumable: whether trainings keep checkpoints and go on from them.
        failures: where workers that share the work tell one another of stages that have failed; None = the
            work is shared with nobody.
        cluster: address of the Ray cluster whose nodes make what is not timed; None = this machine makes all.
    """

    store: Store
    data_root: Path
    device: str
    threads: int
    precision: str
    jobs: int = 1
    job_threads: int = 1
    plugins: tuple[Path, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    pool: str | None = None
    resumable: bool = True
    failures: Path | None = None
    cluster: str | None = None

    @property
    def hardware(self) -> str:
        """Fingerprint of the device and what it computes with."""
        return str(environment.hardware(self.device, self.threads)["fingerprint"])

    @property
    def job_hardware(self) -> str:
        """The same with the threads of one job: work beside other work takes another time."""
        return str(environment.hardware(self.device, self.job_threads)["fingerprint"])

    @property
    def readers(self) -> int:
        """Processes that may decode image files for one job; whoever decodes them changes no number."""
        return max(self.job_threads, self.threads // self.jobs)

    def described(self) -> dict[str, Any]:
        """The ``environment`` block of a record."""
        described = environment.describe(self.device, self.threads, self.precision)
        return {**described, "job_threads": self.job_threads}

    def context(self, weights: Weights, advance: Advance = untold, job: int = 0) -> Context:
        """What stages see of this machine.

        Args:
            advance: told of images that are done.
            job: number of the job that makes them; GPUs are given to jobs in turn.
        """
        import torch

        gpus = torch.cuda.device_count() if self.device == "cuda" else 0
        return Context(
            store=self.store,
            data_root=self.data_root,
            device=torch.device(self.device, job % gpus) if gpus else torch.device(self.device),
            weights=weights,
            hardware=self.job_hardware,
            advance=advance,
            workers=self.readers,
            resumable=self.resumable,
        )
