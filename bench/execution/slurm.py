"""Workers as jobs of Slurm: ask for them through submitit, and ask which of them there are.

What has become of a job says nothing of the work: that is seen in the store and the records.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import environment
from bench.errors import UsageError, require
from bench.execution.cluster import Cluster, Worker, minutes
from bench.execution.slurm_job import NOTICE, WorkerJob
from bench.planning.stage import TIMINGS
from bench.storage import atomic

#: Time limits that a worker may be stopped by; by jobs with more rights, as often as it comes.
TIME_LIMITS = 50
#: Seconds that Slurm has to answer.
PATIENCE = 60.0


@dataclass(frozen=True)
class Jobs:
    """Workers of one kind that Slurm was asked for at once: a job, or an array of jobs.

    Attributes:
        id: of the job or array.
        worker: name of the kind of workers.
        count: how many.
        about: what each of them gets, and what there was to make.
    """

    id: str
    worker: str
    count: int
    about: str = ""

    def __str__(self) -> str:
        workers = f"{self.count} {'worker' if self.count == 1 else 'workers'}"
        return f"{self.worker}: {workers} as {self.id}: {self.about}"


class Slurm:
    """Slurm on this machine.

    Args:
        folder: where jobs have their logs, and where it is noted which there are.

    Raises:
        UsageError: there is no Slurm here, or submitit is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("--executor slurm", "slurm", "submitit")
        if absent := [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]:
            raise UsageError(
                f"--executor slurm: no {absent[0]} here; start it where jobs of Slurm are submitted"
            )
        self.folder = folder

    def submit(
        self, wanted: Jobs, worker: Worker, cluster: Cluster, job: WorkerJob, after: Sequence[str] = ()
    ) -> Jobs:
        """Ask for workers of a kind; they have an id then.

        Args:
            wanted: which, and how many.
            job: what each runs.
            after: ids of jobs that have to end first, as ever they do.

        Raises:
            UsageError: Slurm does not take them.
        """
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), _outside_of_jobs():
                executor = SlurmExecutor(
                    self.folder, max_num_timeout=TIME_LIMITS, python=shlex.join(environment.python())
                )
                executor.update_parameters(**_parameters(wanted.worker, worker, cluster, after))
                made = executor.submit_array([job] * wanted.count)
        except (FailedJobError, FailedSubmissionError) as error:
            lines = str(error).strip().splitlines() or ["it gives no reason"]
            told = lines[-1].removeprefix("sbatch: ").removeprefix("error: ")
            raise UsageError(f"sbatch does not take workers.{wanted.worker}: {told}") from error
        jobs = replace(wanted, id=made[0].job_id.partition("_")[0])
        atomic.write_text(self.folder / f"{jobs.id}.json", json.dumps(asdict(jobs)) + "\n")
        return jobs

    def submitted(self) -> list[Jobs]:
        """All that were ever asked for."""
        found = []
        for path in sorted(self.folder.glob("*.json"), key=lambda path: path.name):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(Jobs(**json.loads(path.read_bytes())))
        return found

    def states(self) -> dict[Jobs, Counter[str]]:
        """Those that are queued or at work, and how many in which state: ``pending (Priority)``.

        Raises:
            UsageError: Slurm does not answer.
        """
        command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%F|%j|%T|%r"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as error:
            lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise UsageError(f"squeue: {lines[-1] if lines else error}; is Slurm up?") from error
        by_id = {jobs.id: jobs for jobs in self.submitted()}
        found: dict[Jobs, Counter[str]] = {}
        for line in asked.stdout.splitlines():
            number, name, state, reason = (*line.strip().split("|"), "", "", "")[:4]
            # Numbers begin anew when Slurm does.
            if number in by_id and name == _job_name(by_id[number].worker):
                shown = state.lower() if reason in {"", "None"} else f"{state.lower()} ({reason})"
                found.setdefault(by_id[number], Counter())[shown] += 1
        return found

    def last_words(self, jobs: Jobs) -> str:
        """The last line that one of them has logged, and where; empty where none has."""
        logs = sorted(self.folder.glob(f"{jobs.id}_*log.out"), key=lambda path: path.stat().st_mtime)
        for path in reversed(logs):
            if lines := path.read_text(encoding="utf-8", errors="replace").strip().splitlines():
                return f"{path} ends with: {lines[-1]}"
        return ""


def _parameters(name: str, worker: Worker, cluster: Cluster, after: Sequence[str]) -> dict[str, Any]:
    """What submitit is to tell sbatch, in its words."""
    options = {**cluster.sbatch, **worker.sbatch}
    parameters = {
        "job_name": _job_name(name),
        "time": minutes(worker.time),
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": worker.cpus,
        # Some clusters know GPUs by --gres alone.
        "gpus_per_node": worker.gpus if worker.gpus and "gres" not in options else None,
        "mem": worker.memory,
        "partition": worker.partition,
        "account": worker.account,
        "signal_delay_s": NOTICE,
        "stderr_to_stdout": True,
        "setup": [*cluster.setup, *_exports()],
        # Not inherited from the job since Slurm 22.05.
        "srun_args": [f"--cpus-per-task={worker.cpus}"],
    }
    if TIMINGS in (worker.stages or ()):
        options.setdefault("exclusive", True)
    if after:
        options.setdefault("dependency", f"afterany:{':'.join(after)}")
    given = {option: value for option, value in options.items() if value is not False}
    return {**parameters, "additional_parameters": {"requeue": True, **given}}


def _exports() -> list[str]:
    """The signal that is asked for here, and where this program is found, if jobs inherit no variables."""
    from submitit.core.job_environment import _PREEMPT_SIG_ENV, JobEnvironment

    kept = {_PREEMPT_SIG_ENV: JobEnvironment.USR_SIG}
    if path := os.environ.get("PYTHONPATH"):
        kept["PYTHONPATH"] = path
    return [f"export {name}={shlex.quote(value)}" for name, value in kept.items()]


def _job_name(worker: str) -> str:
    return f"bench-{worker}"


@contextlib.contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Hide what the job around this program was given, if there is one: sbatch would pass it on."""
    inside = "SLURM_JOB_ID" in os.environ
    names = (
        [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"] if inside else []
    )
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)
