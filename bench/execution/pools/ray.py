"""Stages on the nodes of a Ray cluster, which share no folder with this machine or with one another.

The store of this machine is the truth. Each stage is a task of Ray; what it reads and what it makes goes
through an actor on this machine that has the store, the ``Depot``. Ray says where a task runs and when a node
is gone; whether a stage is tried again is decided here, as only here it is known what it has cost so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.errors import UsageError
from bench.execution.machine import Machine, Weights
from bench.execution.pools.inline import InlinePool
from bench.execution.pools.pool import Cause, End, Ended, Told
from bench.execution.pools.ray_connection import connection
from bench.execution.pools.ray_task import Job, Order, work
from bench.execution.pools.worker import Message
from bench.planning.stage import Stage
from bench.storage.freight import Depot, content

log = logging.getLogger(__name__)

#: Seconds between two looks at what tasks say, and that they have to end when the run is interrupted.
POLL, PATIENCE = 0.2, 25.0
#: Seconds in which short tasks may end by themselves: Ray aborts this program where one ends just while it is
#: cancelled, a race of its own (ray-project/ray, pull request 54798, of its like).
MOMENT = 0.5
#: Seconds without a node for anything after which that is said.
STUCK = 30.0
#: Times that a stage may end its process on nodes that live on, and that it is tried at all.
ATTEMPTS, MOST_ATTEMPTS = 3, 20
#: Calls that the depot answers at once; each holds a piece twice at most, as it is and on its way.
CALLS = 4
#: Bytes to which the memory of tasks is rounded up: Ray queues those of equal needs together.
STEP = 2**28


@contextlib.contextmanager
def connected(machine: Machine) -> Iterator[Machine]:
    """Be connected to the cluster that ``machine`` names inside; yields it with the jobs that it can have.

    Raises:
        UsageError: there is no such cluster, or no node of it can make a stage.
    """
    assert machine.cluster is not None
    with connection(machine.cluster):
        slots = _slots(machine)
        if not slots:
            raise UsageError(f"no node of the Ray cluster has {_wanted(machine)}; start one that has")
        nodes = len(_fitting(machine))
        log.info("ray: %s, %s", _count(nodes, "node"), _count(slots, "stage") + " at once")
        yield dataclasses.replace(machine, jobs=machine.jobs or slots)


class RayPool:
    """Has nodes make stages, and this machine those that are timed."""

    def __init__(self, machine: Machine, weights: Weights) -> None:
        self._machine, self._weights = machine, weights
        self._here = InlinePool(machine, weights)
        self._timed = 0
        self._attempts: dict[Any, _Attempt] = {}  # by what Ray will have of each
        self._moved = time.monotonic()  # when something was last seen to happen

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Have a stage made somewhere, as soon as there is a node for it."""
        if stage.timed:
            self._here.start(stage, fresh=fresh)
            self._timed += 1
        else:
            self._send(_Attempt(stage, fresh))

    def listen(self, advance: Told, patience: float | None = None) -> list[Ended]:
        """Take note of what nodes say, until one has ended a stage, or several."""
        if self._timed:
            self._timed -= 1
            return self._here.listen(advance, patience)
        import ray

        until = math.inf if patience is None else time.monotonic() + patience
        while True:
            left = min(POLL, max(0.0, until - time.monotonic()))
            ready, _ = ray.wait(list(self._attempts), timeout=left)
            self._hear(advance)  # a task has said everything before it ends
            ended = [end for one in ready if (end := self._take(one, advance)) is not None]
            if ended or time.monotonic() >= until:
                return ended
            self._look_for_nodes()

    def close(self) -> None:
        """End what is at work, trainings after they have written where they are."""
        self._here.close()
        if "_depot" not in vars(self):  # nothing was ever begun
            return
        import ray
        from ray.exceptions import RayError

        self._wait(MOMENT)
        for force in (False, True):
            for one in self._attempts:
                ray.cancel(one, force=force, recursive=False)
            self._wait(PATIENCE)
        with contextlib.suppress(RayError):
            ray.get(self._depot.close.remote(), timeout=PATIENCE)
        ray.kill(self._depot)

    def _wait(self, seconds: float) -> None:
        """Have all tasks end, for so long at most; keep those that have not."""
        import ray

        if tasks := list(self._attempts):
            _, left = ray.wait(tasks, num_returns=len(tasks), timeout=seconds)
            self._attempts = {one: self._attempts[one] for one in left}

    def _send(self, attempt: _Attempt) -> None:
        stage, store = attempt.stage, self._machine.store
        inputs = tuple((one.place, content(store, one.place)) for one in stage.inputs.values())
        order = Order(attempt.renewed(), stage, attempt.fresh, inputs)
        options = {"memory": need} if (need := self._memory(stage)) else {}
        task = self._task.options(name=f"{stage.kind} {stage.slug}", **options)
        self._attempts[task.remote(self._job, order, self._depot)] = attempt

    def _hear(self, advance: Told) -> None:
        """Everything that nodes have said."""
        import ray
        from ray.exceptions import RayActorError

        try:
            heard = ray.get(self._depot.heard.options(concurrency_group="talk").remote())
        except RayActorError as error:
            raise UsageError(
                f"the process of this machine that nodes read from has died: {_last_line(error)}; the same "
                "command goes on"
            ) from error
        by_ticket = {attempt.ticket: attempt for attempt in self._attempts.values()}
        for ticket, message in heard:
            attempt = by_ticket.get(ticket)
            if attempt is None:  # was given up, and has said more
                continue
            self._moved = time.monotonic()
            if message.kind == "began":
                attempt.node = message.value
            elif message.kind == "images":
                images, seconds = message.value
                attempt.images, attempt.seconds = attempt.images + images, attempt.seconds + seconds
                advance(attempt.stage.key, images, seconds)
            else:
                log.log(*message.value)

    def _take(self, one: Any, advance: Told) -> Ended | None:
        """How a stage has ended; None if it is tried again."""
        import ray
        from ray import exceptions

        attempt, self._moved = self._attempts.pop(one), time.monotonic()
        try:
            message: Message = ray.get(one)
        except (
            exceptions.NodeDiedError,
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
        ) as error:
            return self._again(attempt, error, advance)
        except exceptions.RayError as error:  # nothing of ours could begin
            raise UsageError(
                f"a node could not work: {_last_line(error)}; it needs what this machine has installed"
            ) from error
        if message.kind == "refused":
            cause: Cause = message.value
            raise UsageError(cause.message if cause.known else f"{cause.type}: {cause.message}")
        return Ended(attempt.stage, *message.value)

    def _again(self, attempt: _Attempt, error: Exception, advance: Told) -> Ended | None:
        """Try a stage again whose process is no more, unless it is the stage that ends them."""
        import ray

        self._depot.drop.remote(attempt.ticket)
        advance(attempt.stage.key, -attempt.images, -attempt.seconds)
        name = type(error).__name__
        attempt.died.append(None if name == "NodeDiedError" else attempt.node)
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        here = [node for node in attempt.died if node in alive]
        if len(here) < ATTEMPTS and len(attempt.died) < MOST_ATTEMPTS:
            log.warning("%s %s: %s; it is made again", attempt.stage.kind, attempt.stage.slug, _DEATHS[name])
            self._send(attempt)
            return None
        message = f"{_DEATHS[name]}, the last of {len(attempt.died)} times; {_CURE}"
        return Ended(attempt.stage, End(cause=Cause("WorkerDied", message, known=True)), [])

    def _look_for_nodes(self) -> None:
        """Say so where everything waits, for nothing is free or nothing is left."""
        if any(attempt.node for attempt in self._attempts.values()):
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > STUCK:
            self._moved = math.inf  # until something happens
            why = "is free" if _slots(self._machine) else "is left"
            log.warning("ray: no node that has %s %s; the run waits for one", _wanted(self._machine), why)

    def _memory(self, stage: Stage) -> int:
        """Bytes that a task asks for, no more than any node has; 0 where nobody knows."""
        if self._machine.device != "cpu":
            return 0
        need: int = self._needs.of([stage]).get(stage.key, 0)
        most = max((node["memory"] for node in _fitting(self._machine)), default=0.0)
        return min(math.ceil(need / STEP) * STEP, int(most))

    @functools.cached_property
    def _needs(self) -> Any:
        from bench.stages.memory import Needs

        return Needs(self._machine.context(self._weights))

    @functools.cached_property
    def _job(self) -> Job:
        return Job.of(self._machine, self._weights)

    @functools.cached_property
    def _task(self) -> Any:
        """The remote function that makes a stage."""
        import ray

        machine, options = self._machine, {}
        if machine.device == "cuda":
            # A process that has begun to use a GPU keeps to it, while Ray may give it another one for the
            # next stage: it has to see all of them, and takes the one that is its own by number.
            unset = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
            options = {"num_gpus": 1, "runtime_env": {"env_vars": unset}}
        # Ray would end a process after each stage that has a GPU, which costs seconds to start another one,
        # and in which Ray 2.55 to 2.60 crash: max_calls=0 has it live on. Trying again is decided here.
        return ray.remote(num_cpus=machine.job_threads, max_calls=0, max_retries=0, **options)(work)

    @functools.cached_property
    def _depot(self) -> Any:
        """The actor that has the store, on this machine."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(
            num_cpus=0, max_concurrency=CALLS, concurrency_groups={"talk": 1}, scheduling_strategy=here
        )(Depot)
        return actor.remote(self._machine.store)


@dataclass
class _Attempt:
    """A stage at work, for the first time or again.

    Attributes:
        ticket: of this attempt.
        node: that makes it; None before it has begun.
        images, seconds: that it has told of.
        died: the nodes of earlier attempts whose process was ended; None where the node is gone.
    """

    stage: Stage
    fresh: bool
    ticket: str = ""
    node: str | None = None
    images: int = 0
    seconds: float = 0.0
    died: list[str | None] = field(default_factory=list)

    def renewed(self) -> str:
        """Have it begin; its new ticket."""
        self.ticket, self.node, self.images, self.seconds = secrets.token_hex(8), None, 0, 0.0
        return self.ticket


#: What became of a process, by the name of Ray's error.
_DEATHS = {
    "NodeDiedError": "the node that made it is gone",
    "WorkerCrashedError": "the process that made it was ended",
    "OutOfMemoryError": "its node ran out of memory, and Ray ended the process that made it",
}
_CURE = "nodes may be out of memory: lower batch_size, or start them with fewer CPUs (ray start --num-cpus)"


def _fitting(machine: Machine) -> list[dict[str, float]]:
    """What each node has that can make a stage."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = [{"CPU": 0.0, "GPU": 0.0, "memory": 0.0, **node} for node in alive]
    gpus = machine.device == "cuda"
    return [node for node in found if node["CPU"] >= machine.job_threads and node["GPU"] >= gpus]


def _slots(machine: Machine) -> int:
    """How many stages the nodes can make at once."""
    each, gpus = machine.job_threads, machine.device == "cuda"
    return sum(int(min(node["CPU"] // each, node["GPU"] if gpus else math.inf)) for node in _fitting(machine))


def _last_line(error: Exception) -> str:
    """Of a remote traceback: what went wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip().rstrip(".")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _wanted(machine: Machine) -> str:
    cpus = "a CPU" if machine.job_threads == 1 else f"{machine.job_threads} CPUs (--threads)"
    return f"{cpus} and a GPU" if machine.device == "cuda" else cpus
