"""What a job of Slurm runs: one worker as a child, which gets what Slurm has to say to it.

When Slurm stops a job, for a job with more rights or at its time limit, every process of it gets a signal.
The worker then writes how far its trainings are and hands over what it was at; the job is put into the queue
again and goes on when its turn comes. submitit, which runs this, does the latter on the signal that it asks
Slurm for some time before the end; on SIGTERM, which scancel sends as well, Slurm decides what comes next.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from bench import environment

#: Seconds that a worker has to write a checkpoint and end, of those that submitit asks Slurm for.
PATIENCE, NOTICE = 60.0, 90
#: Seconds in which Slurm should end a job whose worker it has told to go.
FAREWELL = 600.0
#: Exit codes of a worker that has ended by itself, some cells perhaps failed, and of one that was told to.
ENDED, INTERRUPTED = (0, 1), (130, 128 + signal.SIGTERM, -signal.SIGTERM)


@dataclass
class WorkerJob:
    """``python -m bench worker``, until it has ended by itself.

    Attributes:
        arguments: of the command line, paths absolute.
        environment: variables that the worker is to have, beside those of the job.
        folder: where it is started.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    _pid: int | None = field(default=None, init=False, repr=False)

    def __call__(self) -> int:
        """Run the worker; its exit code, if that is no fault of the job.

        Raises:
            RuntimeError: it could not work, or was ended.
        """
        command = [*environment.python(), "-m", "bench", *self.arguments]
        variables = {**os.environ, **self.environment}
        signal.signal(signal.SIGTERM, self._pass_on)
        with subprocess.Popen(  # noqa: S603
            command,
            env=variables,
            cwd=self.folder,
            preexec_fn=_deaf,  # noqa: PLW1509 (this process has one thread)
        ) as worker:
            self._pid = worker.pid
            # Not by the object, whose lock a signal in the middle of it would find taken.
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
            code = worker.wait()
        if code in INTERRUPTED:
            time.sleep(FAREWELL)
            raise RuntimeError("the worker was told to end, and the job was not")
        if code not in ENDED:
            raise RuntimeError(f"the worker ended with exit code {code}; what it has said is above")
        return code

    def checkpoint(self) -> Any:
        """Have the worker write a checkpoint and end; what to run when the job has its turn again."""
        from submitit.helpers import DelayedSubmission

        self._pass_on(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while self._at_work() and time.monotonic() < deadline:
            time.sleep(0.1)
        return DelayedSubmission(dataclasses.replace(self))

    def _pass_on(self, number: int, frame: FrameType | None = None) -> None:
        if self._at_work():
            assert self._pid is not None
            os.kill(self._pid, number)

    def _at_work(self) -> bool:
        """Whether the worker has not ended; it stays known until it has been waited for."""
        if self._pid is None:
            return False
        try:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
        except ChildProcessError:
            return False


def _deaf() -> None:
    """Ignore the signal that submitit asks for: all processes get it, and it ends who does not know it."""
    from submitit.core.job_environment import JobEnvironment

    number = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
    if number != signal.SIGUSR1:  # which a worker knows
        signal.signal(number, signal.SIG_IGN)
