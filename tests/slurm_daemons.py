"""A real Slurm on this machine, one node, in a temporary folder: for tests, as root and without systemd.

No accounting, no control groups, a socket and a key of its own for munge. A requeued job begins when its old
credentials have expired, which is two minutes unless one says otherwise.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "srun")

#: Seconds that the daemons have to begin, and to end.
PATIENCE = 30.0

CONF = """\
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=10
SlurmdParameters=config_overrides
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "Slurm's daemons want to be root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)" if absent else ""


@contextlib.contextmanager
def slurm(folder: Path, cpus: int) -> Iterator[Path]:
    """A cluster of this machine, with so many cores whatever it has; its configuration, for SLURM_CONF."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=socket.gethostname(), folder=folder, ports=_ports(2), cpus=cpus))
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    paths = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    places = [f"--{name if name == 'socket' else f'{name}-file'}={path}" for name, path in paths.items()]
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", *places]
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{command[0]}.said").open("wb") as said:
            started.append(
                subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
            )

    try:
        start(*munged)
        _wait(paths["socket"].exists, folder)
        start("slurmctld", "-D", "-c")
        start("slurmd", "-D", "-c", "-N", socket.gethostname())
        _wait(lambda: _idle(environment), folder)
        yield conf
    finally:
        _end(started, environment)


def _idle(environment: dict[str, str]) -> bool:
    """Whether the node takes jobs."""
    asked = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() == "idle"


def _wait(there, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        said = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.said"))
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def _end(started: list[subprocess.Popen[bytes]], environment: dict[str, str]) -> None:
    """End what runs there, then the daemons, the last one first."""
    subprocess.run(
        ["scancel", "--full", "--signal=KILL", "--user=root"],
        env=environment, capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
