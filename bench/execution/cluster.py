"""cluster.yaml -> Cluster: the workers that a cluster is asked for, and which of them makes what.

Strict as a grid: every fault at once with file:line:col, before anything is asked for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from bench.errors import ConfigError, did_you_mean
from bench.planning import yaml_nodes, yaml_text
from bench.planning.grid_faults import Fault, faults
from bench.planning.schema import Strict
from bench.planning.stage import TIMINGS, kinds

#: Options of sbatch that have a key of their own here, or that are what they are.
NAMED = {
    "time": "time",
    "mem": "memory",
    "cpus-per-task": "cpus",
    "gpus": "gpus",
    "gpus-per-node": "gpus",
    "partition": "partition",
    "account": "account",
}
FIXED = {"array", "nodes", "ntasks", "ntasks-per-node", "output", "error", "open-mode", "signal", "requeue",
         "no-requeue", "job-name"}  # fmt: skip

#: As Slurm writes durations: minutes, minutes:seconds, hours:minutes:seconds; or days-hours and so on.
_TIME = re.compile(r"(?:\d+-)?\d+(?::\d+){0,2}")


def _time(value: str | int) -> str | int:
    if not _TIME.fullmatch(str(value)) or minutes(value) < 1:
        raise ValueError(
            f"time should be minutes, or 'hours:minutes:seconds' with 'days-' before, not '{value}'"
        )
    return value


def _memory(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*[KMGT]", value):
        raise ValueError(f"memory should be a whole number with K, M, G or T, 32G for one, not '{value}'")
    return value


def _share(value: str) -> str:
    known = [*kinds(), TIMINGS]
    if value not in known:
        raise ValueError(
            f"unknown kind of stage '{value}'{did_you_mean(value, known)} (choices: {', '.join(known)})"
        )
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[\w-]+", value, re.ASCII):
        raise ValueError(f"'{value}' is a part of the name of a job: letters, digits, - and _ only")
    return value


def _options(value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
    for name in value:
        plain = name.replace("_", "-")
        if plain in NAMED:
            raise ValueError(f"sbatch: '{name}' is written as '{NAMED[plain]}' of a worker")
        if plain in FIXED:
            raise ValueError(f"sbatch: '{name}' is what the suite sets itself")
        if not re.fullmatch(r"[a-z][a-z-]*", plain):
            raise ValueError(f"sbatch: '{name}' is no option: write it in full, without dashes before")
    return {name.replace("_", "-"): option for name, option in value.items()}


Options = Annotated[dict[str, str | int | bool], AfterValidator(_options)]


class Worker(Strict):
    """One kind of workers: how many, what each of them gets, and what they make."""

    stages: list[Annotated[str, AfterValidator(_share)]] | None = Field(
        None, min_length=1, description="kinds of stages; without it, all but timings that no other names"
    )
    count: int = Field(1, ge=1, description="how many at once at most")
    cpus: int = Field(ge=1, description="processor cores of each")
    gpus: int = Field(0, ge=0, description="of each; with none it works on the processor")
    memory: Annotated[str, AfterValidator(_memory)] | None = None
    time: Annotated[str | int, AfterValidator(_time)] = Field(description="limit, as Slurm writes it")
    partition: str | None = None
    account: str | None = None
    jobs: int | None = Field(None, ge=1, description="stages at once; None = one a GPU, or a core")
    patience: float | None = Field(
        None, ge=1, description="seconds without anything to do after which one ends; None = it waits"
    )
    sbatch: Options = Field(default_factory=dict, description="whatever else sbatch is to be given")

    def jobs_of(self, threads: int) -> int:
        """Stages at once, with so many threads each."""
        return self.jobs or self.gpus or max(1, self.cpus // threads)

    def described(self) -> str:
        """What one of them gets, in words."""
        parts = [
            f"{self.gpus} {'GPU' if self.gpus == 1 else 'GPUs'}" if self.gpus else "",
            f"{self.cpus} {'CPU' if self.cpus == 1 else 'CPUs'}",
            self.memory or "",
            str(self.time) if isinstance(self.time, str) else f"{self.time} min",
            f"partition {self.partition}" if self.partition else "",
        ]
        return ", ".join(filter(None, parts))


class Cluster(Strict):
    """What a cluster is asked for; ``bench/execution/cluster.yaml`` is an example with all of it."""

    setup: list[str] = Field(default_factory=list, description="shell lines before every worker")
    sbatch: Options = Field(default_factory=dict, description="options of sbatch for all workers")
    workers: dict[Annotated[str, AfterValidator(_name)], Worker] = Field(min_length=1)


@dataclass(frozen=True)
class ClusterFile:
    """A checked cluster and the places of its values."""

    cluster: Cluster
    document: yaml_nodes.Document

    def shared_out(self, wanted: Iterable[str]) -> dict[str, frozenset[str]]:
        """Name of a kind of workers -> the shares of the work that it takes, see ``Stage.share``.

        Args:
            wanted: the shares that there are.

        Raises:
            ConfigError: nobody takes one of them.
        """
        wanted = set(wanted)
        workers = self.cluster.workers
        named = {name: frozenset(one.stages or ()) for name, one in workers.items()}
        rest = wanted - {TIMINGS}.union(*named.values())
        shared = {
            name: frozenset(rest if workers[name].stages is None else stages) & wanted
            for name, stages in named.items()
        }
        if lost := sorted(wanted.difference(*shared.values())):
            cure = "; timings want a worker of their own: stages: [timings]" if TIMINGS in lost else ""
            message = f"no worker takes {', '.join(lost)}{cure}"
            raise ConfigError([self.document.problem(("workers", yaml_nodes.KEY), message)])
        return shared


def load_cluster(path: Path) -> ClusterFile:
    """Read and check a file that describes a cluster's workers.

    Raises:
        UsageError: there is no such file.
        ConfigError: every fault of it.
    """
    text = yaml_text.read(path, "the cluster's workers", "--cluster")
    document = yaml_nodes.parse(text, str(path))
    if not isinstance(document.value, dict):
        shape = document.problem((), "a cluster is a mapping; see bench/execution/cluster.yaml")
        raise ConfigError([*document.problems, shape])
    try:
        cluster = Cluster.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        found = [document.problem(*fault) for fault in faults(error, Cluster)]
        raise ConfigError([*document.problems, *found]) from error
    if problems := [*document.problems, *(document.problem(*fault) for fault in _doubles(cluster))]:
        raise ConfigError(problems)
    return ClusterFile(cluster, document)


def minutes(time: str | int) -> int:
    """A duration as Slurm writes it, in whole minutes and not fewer."""
    days, dash, clock = str(time).rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if not dash and len(parts) < 3:
        parts = [0, *parts]  # minutes come first
    hours, whole, seconds = (*parts, 0, 0)[:3]
    return 60 * (24 * int(days or 0) + hours) + whole + math.ceil(seconds / 60)


def _doubles(cluster: Cluster) -> Iterator[Fault]:
    """What two kinds of workers would take, and timings that are not of one machine."""
    taken: dict[str, str] = {}
    rest = None
    for name, worker in cluster.workers.items():
        at = ("workers", name)
        if worker.stages is None:
            if rest is not None:
                yield (
                    (*at, yaml_nodes.KEY),
                    f"'{rest}' takes what nobody names already; give one of them stages",
                )
            rest = name
        for place, share in enumerate(worker.stages or ()):
            if share in taken:
                yield (*at, "stages", place), f"'{taken[share]}' takes {share} already"
            taken[share] = name
        if TIMINGS in (worker.stages or ()):
            if len(set(worker.stages or ())) > 1:
                yield (*at, "stages"), "timings want a worker of their own: stages: [timings]"
            if worker.count > 1:
                yield (*at, "count"), "timings are of one machine: count should be 1"
