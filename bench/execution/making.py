"""Make one stage whose inputs are there, in this process: what every pool does in the end."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import BenchError
from bench.execution.machine import Machine
from bench.execution.pools.pool import Cause, End, Ended, logged
from bench.planning.stage import Stage
from bench.stages.context import Context

log = logging.getLogger(__name__)


def prepare_process(threads: int) -> None:
    """Give all that computes here so many threads: torch, FAISS, and the linear algebra of numpy and FAISS.

    Another number rounds differently, in matrix products as in convolutions.
    """
    import faiss
    import threadpoolctl
    import torch

    threadpoolctl.threadpool_limits(threads)
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)


@contextmanager
def threads_kept() -> Iterator[None]:
    """Give what computes here the threads back that it had: a run may be a part of somebody's program."""
    import faiss
    import threadpoolctl
    import torch

    computing, searching = torch.get_num_threads(), faiss.omp_get_max_threads()
    with threadpoolctl.threadpool_limits():
        try:
            yield
        finally:
            torch.set_num_threads(computing)
            faiss.omp_set_num_threads(searching)


def work_on(stage: Stage, machine: Machine, context: Context, *, fresh: bool) -> Ended:
    """``make`` a stage with the threads that it should have; how it ended and what was logged meanwhile."""
    prepare_process(machine.threads if stage.timed else machine.job_threads)
    with logged() as lines:
        end = make(stage, context, fresh=fresh)
    return Ended(stage, end, lines)


def make(stage: Stage, context: Context, *, fresh: bool) -> End:
    """Make the artifact of ``stage``, unless another run has in the meantime; logs what goes wrong.

    Args:
        fresh: make it even if it is there.

    Raises:
        UsageError: the store cannot be written.
    """
    import torch

    store = context.store
    folder = store.path(*stage.place)
    about = {
        "kind": stage.kind,
        "key": stage.key,
        "cost_class": stage.cost_class,
        "images": stage.images,
        "hardware": context.hardware,
        "threads": torch.get_num_threads(),
        "spec": stage.spec,
        "inputs": {role: needed.key for role, needed in stage.inputs.items()},
    }
    with store.lock(folder):
        if fresh:
            store.forget_partial(folder)
        found = None if fresh else store.verify(folder)
        if found is not None:
            return End(found)
        run = importlib.import_module(f"bench.stages.{stage.kind}").run
        try:
            with store.write(folder, about) as (temporary, summary):
                summary.update(run(stage, context, temporary))
        except Exception as error:
            log.debug("%s %s failed", stage.kind, stage.slug, exc_info=not isinstance(error, BenchError))
            return End(cause=Cause.of(error))
        index = store.verify(folder)
        if index is None:
            return End(cause=Cause("OSError", f"{folder} cannot be read back; check the disk", known=True))
        return End(index, made=True)
