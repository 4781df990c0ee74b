"""Who makes stages: a file each, and its name in ``POOLS``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.execution.machine import Machine, Weights
    from bench.execution.pools.pool import Pool

#: Name -> ``"module:attribute"`` of what makes a pool of a machine and the weights of its networks.
POOLS = {
    "inline": "bench.execution.pools.inline:InlinePool",
    "processes": "bench.execution.pools.processes:ProcessPool",
}


def pool_of(machine: Machine, weights: Weights) -> Pool:
    """The pool that ``machine`` names; if it names none, this process for one job, several for more."""
    name = machine.pool or ("inline" if machine.jobs == 1 else "processes")
    module, _, attribute = POOLS[name].partition(":")
    pool: Pool = getattr(importlib.import_module(module), attribute)(machine, weights)
    return pool
