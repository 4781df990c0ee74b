"""Who makes stages: a file each, and its name in ``POOLS``."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.execution.machine import Machine, Weights
    from bench.execution.pools.pool import Pool

#: Name -> ``"module:attribute"`` of what makes a pool of a machine and the weights of its networks.
POOLS = {
    "inline": "bench.execution.pools.inline:InlinePool",
    "processes": "bench.execution.pools.processes:ProcessPool",
    "ray": "bench.execution.pools.ray:RayPool",
}


@contextlib.contextmanager
def reached(machine: Machine) -> Iterator[Machine]:
    """``machine`` with the jobs that it has, connected inside to the cluster that it names, if any.

    Raises:
        UsageError: there is no such cluster, or nothing that can make a stage.
    """
    if machine.cluster is None:
        yield machine
        return
    from bench.execution.pools import ray

    with ray.connected(machine) as connected:
        yield connected


def pool_of(machine: Machine, weights: Weights) -> Pool:
    """The pool that ``machine`` names; if none, that of its cluster, this process, or several for jobs."""
    alone = "inline" if machine.jobs == 1 else "processes"
    name = machine.pool or ("ray" if machine.cluster else alone)
    module, _, attribute = POOLS[name].partition(":")
    pool: Pool = getattr(importlib.import_module(module), attribute)(machine, weights)
    return pool
