"""The door from Python: a grid, options, and what came of it. The command line goes through it, too."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from bench import environment, registry
from bench.data import loading
from bench.errors import UsageError, did_you_mean, told_to_people
from bench.execution.machine import Machine
from bench.execution.pools import POOLS
from bench.execution.run import Manner, Outcome, Overwrite, run_plan
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.plan import Plan
from bench.planning.points import Choice
from bench.planning.stage import TIMINGS, kinds
from bench.registry import DATASETS
from bench.results.folder import ResultsFolder
from bench.storage import claims, keys, permissions, store
from bench.training import signals

log = logging.getLogger(__name__)

_AT_WORK = threading.Lock()

Device = Literal["auto", "cpu", "cuda"]
Executor = Literal["local", "workers", "slurm", "ray"]

#: Seconds that a lease has at least: signs of life are a part of it apart. Patience, too.
SHORTEST = 1.0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What can be asked of a run beside its grid.

    Names are those of the command line's options, but for ``plugins`` (``--include``) and ``overrides``
    (``--set``); what is not given is as there, but for ``jobs``, which is ``auto`` there.

    Attributes:
        data_root: where data sets are; None = ``$BENCH_DATA`` or the cache.
        device: what to train and measure on; ``auto`` = a GPU where there is one.
        plugins: ``.py`` files with plug-ins. Jobs in other processes know these and none that the calling
            program has defined.
        overrides: ``path=value`` texts that replace values of the grid.
        only, skip: ``key=pattern`` texts that choose cells.
        limit: images per split at most; such records are marked as not comparable.
        jobs: stages at work at once; ``auto`` = as many as cores and memory allow, one a GPU. With one,
            everything is made in this process. Of ``ray``, ``auto`` is as many as its CPUs or GPUs allow.
        threads: of each job. Another number rounds differently.
        pool: what makes stages, a name of ``pools.POOLS``; None = as the number of jobs asks for.
        overwrite: which cells are run, see ``Manner``.
        checkpoints: whether a training that is interrupted goes on where it stopped (``--no-checkpoints``).
        executor: ``local`` = this machine makes every stage; ``workers`` = whoever runs the same grid into
            the same folder that way makes its share, on any machine that sees the folder and the cache;
            ``slurm`` = workers that Slurm is asked for; ``ray`` = nodes of a Ray cluster make them, in their
            own caches, and this machine the timings.
        cluster: the file that says which workers Slurm is asked for.
        wait: whether to stay until they are done; else the outcome says which were asked for.
        stages: shares of the work that a worker takes, kinds of stages or ``timings``; none = everything, and
            timings as ``timings`` says.
        patience: seconds after which a worker ends that has nothing to do; None = it waits.
        address: ``HOST:PORT`` of the Ray cluster; None = ``$RAY_ADDRESS``, or the one of this machine.
        timings: whether this machine takes the timings of the grid; only workers leave them to others.
        lease: seconds without a sign of life after which others may make what is at work here.
        replace_grid: whether a folder with results of another grid may become that of this one.
        add: whether the cells of this grid come to those that the folder has already.

    Raises:
        UsageError: a value that no run can have.
    """

    data_root: str | Path | None = None
    device: Device = "auto"
    plugins: Sequence[str | Path] = ()
    overrides: Sequence[str] = ()
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    limit: int | None = None
    jobs: int | Literal["auto"] = 1
    threads: int = 1
    pool: str | None = None
    overwrite: Overwrite = "missing"
    checkpoints: bool = True
    executor: Executor = "local"
    cluster: str | Path | None = None
    wait: bool = False
    stages: Sequence[str] = ()
    patience: float | None = None
    address: str | None = None
    timings: bool = True
    lease: float = claims.LEASE
    replace_grid: bool = False
    add: bool = False

    def __post_init__(self) -> None:
        """Refuse what the command line would refuse."""
        for name, of in (
            ("plugins", str | Path),
            ("overrides", str),
            ("only", str),
            ("skip", str),
            ("stages", str),
        ):
            value = getattr(self, name)
            if isinstance(value, str | Path):
                raise UsageError(f"{name}: {str(value)!r} is not a list; pass [{str(value)!r}]")
            # Read more than once, as an iterator cannot be.
            values = tuple(value) if isinstance(value, Iterable) else (value,)
            if unfit := [one for one in values if not isinstance(one, of)]:
                raise UsageError(f"{name}: {unfit[0]!r} is no text; pass a list of texts")
            object.__setattr__(self, name, values)
        choices = {
            "device": get_args(Device),
            "overwrite": get_args(Overwrite),
            "pool": (None, *(name for name in POOLS if name != "ray")),  # that needs more than a name
            "executor": get_args(Executor),
        }
        for name, values in choices.items():
            if (value := getattr(self, name)) not in values:
                raise UsageError(f"{name}: {value!r} is none of {', '.join(map(str, values))}")
        for name in ("checkpoints", "wait", "replace_grid", "add"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name}: {getattr(self, name)!r} is neither True nor False")
        for name, least, words in (("jobs", 1, ("auto",)), ("threads", 1, ()), ("limit", 2, (None,))):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not whole and value not in words:
                wanted = " or ".join([f"a whole number from {least} on", *map(str, words)])
                raise UsageError(f"{name}: {value!r} is not {wanted}")
        for name, words in (("lease", ()), ("patience", (None,))):
            value = getattr(self, name)
            fits = isinstance(value, int | float) and SHORTEST <= value < math.inf
            if not fits and value not in words:
                raise UsageError(f"{name}: {value!r} is not a number of seconds from {SHORTEST:g} on")
        if self.add and self.replace_grid:
            raise UsageError("--add, --replace-grid: one keeps what the other leaves out; pass one of them")
        self._check_executor()

    def _check_executor(self) -> None:
        """Refuse what cannot be asked of who makes the stages."""
        if self.executor in {"workers", "slurm"} and self.overwrite in {"unsteady", "always"}:
            raise UsageError(
                "overwrite: with workers nothing is made anew, as each would make it; name another --out and "
                "BENCH_CACHE, or pass failed"
            )
        if self.executor != "workers" and not self.timings:
            raise UsageError("timings: a run takes them itself; executor='workers' may leave them to others")
        if self.executor != "workers" and (self.stages or self.patience is not None):
            raise UsageError("stages, patience: of a worker; executor='workers' makes this one")
        known = [*kinds(), TIMINGS]
        if unknown := [share for share in self.stages if share not in known]:
            hint = f"{did_you_mean(unknown[0], known)} (choices: {', '.join(known)})"
            raise UsageError(f"stages: unknown kind of stage '{unknown[0]}'{hint}")
        if self.executor != "slurm" and (self.cluster is not None or self.wait):
            raise UsageError(
                "--cluster, --wait: of workers that a cluster is asked for; pass --executor slurm"
            )
        if self.executor == "slurm" and self.cluster is None:
            raise UsageError(
                "--executor slurm: pass --cluster FILE; bench/execution/cluster.yaml is an example of one"
            )
        if self.executor == "slurm" and self.jobs not in {1, "auto"}:
            raise UsageError("--jobs: of workers that a cluster is asked for, --cluster says it (jobs, cpus)")
        if self.executor == "ray" and self.pool is not None:
            raise UsageError(f"pool: {self.pool!r} and executor 'ray' exclude each other; pass one of them")
        if self.executor != "ray" and self.address is not None:
            raise UsageError(f"address: {self.address!r} is of a Ray cluster; pass executor 'ray', too")


def run(grid: str | Path, out: str | Path | None = None, **options: Any) -> Outcome:
    """Train, measure and record every cell of a grid; cells that have a record are skipped.

    It logs to ``bench``, progress as INFO, and sets up no logging; on a terminal that hears of progress there
    are bars. What ``python -m bench run`` has cached or recorded is found, timings if torch was not imported
    before the first run: how its threads wait is part of them.

    Args:
        grid: the YAML file.
        out: the results folder; ``results/<grid name>`` where none is given.
        options: fields of ``RunOptions``.

    Raises:
        BenchError: what the command line would end with; a failed cell is none, but counted and recorded.
        TypeError: there is no such option.
    """
    asked = _asked(options)
    environment.set_variables()
    shared = permissions.as_its_folder(store.default_root())
    with _alone(), told_to_people(), signals.interrupting(), shared:
        plan, machine = prepare(grid, asked, fetch=True)
        folder = Path(out) if out else ResultsFolder.of_grid(plan.name).path
        manner = Manner(
            overwrite=asked.overwrite,
            shared=asked.executor in {"workers", "slurm"},
            timings=TIMINGS in asked.stages if asked.stages else asked.timings,
            shares=frozenset(asked.stages) or None,
            patience=math.inf if asked.patience is None else asked.patience,
            replace_grid=asked.replace_grid,
            add=asked.add,
        )
        if asked.executor == "slurm":
            return _run_on_cluster(Path(grid), asked, plan, machine, folder, manner)
        return run_plan(plan, machine, folder, manner)


def prepare(grid: str | Path, options: RunOptions, *, fetch: bool) -> tuple[Plan, Machine]:
    """The plan of a grid and the machine to run it on; with ``fetch``, missing data are downloaded."""
    loading.forget()
    registry.include_all(map(Path, options.plugins))
    file = load_grid(Path(grid), options.overrides)
    choice = Choice(options.only, options.skip, options.limit)
    machine = _machine(options, file.grid.defaults.precision)
    # What is to be run is read anyway.
    plan = build_plan(file, machine.data_root, machine.hardware, choice, quick=not fetch)
    if fetch and plan.missing:
        _download(plan, machine.data_root)
        plan = build_plan(file, machine.data_root, machine.hardware, choice, quick=not fetch)
    return plan, machine


def _run_on_cluster(
    grid: Path, options: RunOptions, plan: Plan, machine: Machine, out: Path, manner: Manner
) -> Outcome:
    """Have the workers of ``options.cluster`` make a plan."""
    from bench.execution.cluster import load_cluster
    from bench.execution.cluster_run import Asked, run_on_cluster

    assert options.cluster is not None
    chosen = [("--only", options.only), ("--skip", options.skip), ("--include", machine.plugins)]
    arguments = [part for name, values in chosen for value in values for part in (name, str(value))]
    arguments += ["--limit", str(options.limit)] if options.limit else []
    arguments += [] if options.checkpoints else ["--no-checkpoints"]
    arguments += ["--lease", str(options.lease)]
    arguments += ["--add"] if options.add else []
    asked = Asked(
        plan=plan,
        machine=machine,
        file=load_cluster(Path(options.cluster)),
        out=out,
        manner=dataclasses.replace(manner, timings=False),
        arguments=arguments,
        device=options.device,
        threads=options.threads,
    )
    # Overridden and with absolute paths: workers begin elsewhere, and the file may say something else then.
    whole = load_grid(grid.absolute(), options.overrides).document.value
    return run_on_cluster(asked, whole, wait=options.wait)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Threads, logging and what torch draws belong to the process: two runs would share them."""
    if not _AT_WORK.acquire(blocking=False):
        raise UsageError("another run is at work in this process; wait for it, or start a process of its own")
    try:
        yield
    finally:
        _AT_WORK.release()


def _asked(options: Mapping[str, Any]) -> RunOptions:
    known = [field.name for field in fields(RunOptions)]
    for name in options:
        if name not in known:
            elsewhere = {"include": "plugins", "set": "overrides"}
            hint = f"; it is '{elsewhere[name]}' here" if name in elsewhere else did_you_mean(name, known)
            raise TypeError(f"bench.run has no option '{name}'{hint} (options: {', '.join(known)})")
    return RunOptions(**options)


def _machine(options: RunOptions, precision: str) -> Machine:
    device, cores = environment.chosen_device(options.device), environment.default_threads()
    jobs, threads = options.jobs, options.threads
    ray = options.executor == "ray"
    auto = 0 if ray else environment.default_jobs(device, cores, threads)
    count = auto if jobs == "auto" else jobs
    if device == "cpu" and not ray and count * threads > cores:
        asked = f"--jobs {count} with --threads {threads} on {cores} cores"
        log.warning("warning: %s: they will wait for each other", asked)
    return Machine(
        store=store.Store(store.default_root(), options.lease),
        data_root=Path(options.data_root) if options.data_root else loading.default_root(),
        device=device,
        threads=cores,
        precision=precision,
        jobs=count,
        job_threads=threads,
        plugins=tuple(Path(path).resolve() for path in options.plugins),
        pool=options.pool,
        resumable=options.checkpoints,
        cluster=(options.address or "auto") if ray else None,
    )


def _download(plan: Plan, root: Path) -> None:
    """What selected cells miss, and no other data."""
    wanted = {keys.canonical_json([cell.info.dataset, cell.params["dataset"]]) for cell in plan.selected}
    for name, params in map(json.loads, sorted(wanted)):
        plugin = DATASETS.get(name)
        plugin(plugin.Params.of(params)).prepare(root)
