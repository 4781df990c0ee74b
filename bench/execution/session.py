"""From a grid file to a plan and the machine that runs it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from bench import environment, registry
from bench.data import copies, loading
from bench.execution.machine import Machine
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.plan import Plan
from bench.planning.points import Choice
from bench.registry import DATASETS
from bench.storage import keys, store

log = logging.getLogger(__name__)


def prepare(grid: Path, *, fetch: bool, data_root: Path | None, device: str, plugins: Sequence[Path],
             overrides: Sequence[str], only: Sequence[str], skip: Sequence[str],
             limit: int | None, jobs: int | str, threads: int) -> tuple[Plan, Machine]:  # fmt: skip
    """The plan of a grid and the machine to run it on; with ``fetch``, missing data are downloaded."""
    registry.include_all(plugins)
    file, choice = load_grid(grid, overrides), Choice(only, skip, limit)
    root = data_root or loading.default_root()
    device, cores = environment.chosen_device(device), environment.default_threads()
    count = environment.default_jobs(device, cores, threads) if jobs == "auto" else int(jobs)
    if device == "cpu" and count * threads > cores:
        log.warning(
            "warning: --jobs %d with --threads %d on %d cores: they will wait for each other",
            count,
            threads,
            cores,
        )
    machine = Machine(
        store=store.Store(store.default_root()),
        data_root=root,
        device=device,
        threads=cores,
        precision=file.grid.defaults.precision,
        jobs=count,
        job_threads=threads,
        plugins=tuple(path.resolve() for path in plugins),
    )
    most = None if fetch else copies.QUICK  # what is to be run is read anyway
    planned = build_plan(file, root, machine.hardware, choice, most_files=most)
    if fetch and planned.missing:  # what selected cells miss, and no other data
        wanted = {
            keys.canonical_json([cell.info.dataset, cell.params["dataset"]]) for cell in planned.selected
        }
        for name, params in map(json.loads, sorted(wanted)):
            plugin = DATASETS.get(name)
            plugin(plugin.Params.of(params)).prepare(root)
        planned = build_plan(file, root, machine.hardware, choice, most_files=most)
    return planned, machine
