"""Whether machines can make a grid together: the folders that they share, and the schedulers at hand."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import MissingPackageError, UsageError
from bench.storage import shared_folder
from bench.storage.shared_folder import Finding

#: Seconds that a scheduler may take to answer.
PATIENCE = 10.0
#: Seconds that a training should have to write where it is, once it is told to go.
TIDYING = 10


def examine(folders: Sequence[Path]) -> dict[str, list[Finding]]:
    """Section -> what was found.

    Raises:
        UsageError: a folder is not there, or cannot be written.
    """
    found = {}
    for folder in folders:
        if not folder.is_dir():  # a typo must not be found to work
            raise UsageError(f"{folder}: no such folder; name one that machines share, or make it first")
        try:
            found[f"shared folder {folder}"] = shared_folder.examine(folder)
        except OSError as error:
            raise UsageError(
                f"{folder}: cannot write ({error.strerror or error}); name one that all machines may write"
            ) from error
    return {**found, "slurm (--executor slurm)": slurm(), "ray (--executor ray)": ray()}


def slurm() -> list[Finding]:
    """Whether jobs can be submitted from here, and what becomes of those that have to go."""
    missing = _missing("submitit", "slurm")
    if shutil.which("sbatch") is None:
        text = "no sbatch on this machine; run it where jobs are submitted"
        return [*missing, Finding("submission", "doubt", text)]
    said = _said("sinfo", "--noheader", "--format=%R, %a, at most %l, %D nodes, %G")
    if isinstance(said, Finding):
        return [*missing, said]
    partitions = [Finding("partition", "ok", line.strip()) for line in said.splitlines()]
    said = _said("scontrol", "show", "config")
    if isinstance(said, Finding):
        return [*missing, *partitions, said]
    settings = {
        name.strip(): value.strip() for name, equals, value in map(_parted, said.splitlines()) if equals
    }
    return [*missing, *partitions, *_policies(settings)]


def _policies(settings: dict[str, str]) -> list[Finding]:
    """What Slurm does to jobs that have to go, from its configuration."""
    found = [Finding("version", "ok", settings.get("SLURM_VERSION", "unknown"))]
    modes = settings.get("PreemptMode", "OFF").upper()
    if "CANCEL" in modes:
        text = "preempted jobs are cancelled and not queued again: run the same command again"
        found.append(Finding("preemption", "doubt", text))
    else:
        found.append(Finding("preemption", "ok", modes.lower()))
    wait = settings.get("KillWait", "").split()[:1]
    if wait and wait[0].isdigit():
        text = f"{wait[0]} s between SIGTERM and SIGKILL"
        if int(wait[0]) >= TIDYING:
            found.append(Finding("last words", "ok", text))
        else:
            text += ": too few for a large training to write where it is"
            found.append(Finding("last words", "doubt", text))
    if settings.get("AccountingStorageType", "").endswith("none"):
        text = "none: sacct says nothing of jobs that have ended; records do"
        found.append(Finding("accounting", "ok", text))
    return found


def ray() -> list[Finding]:
    """Whether Ray is installed, and the cluster that this machine belongs to."""
    if missing := _missing("ray", "ray"):
        return missing
    from bench.execution.pools.ray_connection import AUTO, connection

    try:
        with connection(AUTO):
            import ray as engine

            alive = [node for node in engine.nodes() if node["Alive"]]
            total = engine.cluster_resources()
    except UsageError as error:
        return [Finding("cluster", "doubt", str(error))]
    text = f"{len(alive)} nodes, {total.get('CPU', 0):.0f} CPUs, {total.get('GPU', 0):.0f} GPUs"
    return [Finding("cluster", "ok", text)]


def _missing(package: str, extra: str) -> list[Finding]:
    if importlib.util.find_spec(package) is not None:
        return []
    return [Finding("package", "doubt", str(MissingPackageError(package, extra)))]


def _said(*command: str) -> str | Finding:
    """What a program of the scheduler prints; a finding if it does not."""
    name = command[0]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Finding(name, "bad", f"no answer in {PATIENCE:.0f} s")
    except OSError as error:
        return Finding(name, "bad", error.strerror or str(error))
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        return Finding(name, "bad", last)
    return done.stdout


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition("=")
