"""Walk a plan: skip what is there, make what is not, write one record per cell, isolate failures."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import RecordError, UsageError
from bench.execution.cell_records import save_finished, save_unfinished
from bench.execution.forecast import Forecast
from bench.execution.keeping import Kept, keep
from bench.execution.machine import Machine
from bench.execution.pools import pool_of
from bench.execution.progress import ProgressReport
from bench.execution.run_log import run_log
from bench.planning import advice, estimate
from bench.planning.plan import Cell, Plan
from bench.results import records
from bench.results.folder import ResultsFolder, save_index
from bench.storage import atomic

if TYPE_CHECKING:
    from bench.execution.outcomes import CellOutcome

log = logging.getLogger(__name__)

Overwrite = Literal["missing", "failed", "always"]


@dataclass
class Outcome:
    """How many cells ended in which way, and how many stages were really run.

    Attributes:
        out: the results folder.
        present: cells that had a record with numbers already.
        attempted: cells that were run; ``ok`` of them have numbers now.
        failed, skipped: slugs of cells without numbers, earlier ones included.
        warnings: sentence -> cells whose records carry it, earlier ones included.
        kept: networks and codes that are copied to the results, where the grid asks for it.
    """

    plan: Plan = field(repr=False)
    out: Path
    present: int = 0
    attempted: int = 0
    ok: int = 0
    stages_run: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    kept: Kept | None = None

    @property
    def exit_code(self) -> int:
        """1 if any cell has no numbers."""
        return 1 if self.failed or self.skipped else 0

    def count(self, cell: Cell, record: records.Record) -> None:
        """Count a cell without numbers, and what its record warns of."""
        if record.status != "ok":
            (self.failed if record.status == "failed" else self.skipped).append(cell.slug)
        self.warnings.update(record.warnings)


def run_plan(plan: Plan, machine: Machine, out: Path, overwrite: Overwrite = "missing") -> Outcome:
    """Execute the selected cells of ``plan``; records and logs go to ``out``.

    Raises:
        UsageError: data or weights are missing, or a folder cannot be written; nothing was started.
    """
    if plan.missing:
        raise UsageError("\n".join(plan.missing))
    cells = {cell.key: cell.slug for cell in plan.cells}
    save_index(out, plan.name, plan.pareto, cells, plan.description, plan.entries)
    for name, manifest in plan.manifests.items():
        atomic.write_text(ResultsFolder(out).split(name), json.dumps(manifest) + "\n")
    outcome = Outcome(plan, out)
    todo = _to_do(outcome, overwrite)
    outcome.attempted = len(todo)
    if todo:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        with run_log(ResultsFolder(out).log(f"run-{stamp}")):
            for line in advice.warnings(plan):
                log.warning("warning: %s", line)
            _make(todo, machine, outcome, fresh=overwrite == "always")
    outcome.kept = keep(plan.keep, machine.store, out)
    return outcome


def _to_do(outcome: Outcome, overwrite: Overwrite) -> list[Cell]:
    """Selected cells that are to be run; those that are not are counted."""
    todo = []
    for cell in outcome.plan.selected:
        record = _present(outcome.out, cell)
        if overwrite == "always" or record is None or (overwrite == "failed" and record.status != "ok"):
            todo.append(cell)
        else:
            outcome.present += record.status == "ok"
            outcome.count(cell, record)
    return todo


def _make(cells: list[Cell], machine: Machine, outcome: Outcome, *, fresh: bool) -> None:
    """Make what ``cells`` need, and their records as they end."""
    # Torch is imported here and not above: a run that finds everything done should end at once.
    from bench.execution import preflight
    from bench.execution.making import prepare_process, threads_kept
    from bench.execution.scheduler import Scheduler

    preflight.check_device(machine)
    with threads_kept():
        prepare_process(machine.job_threads)
        scheduler = Scheduler(cells, machine.store, fresh=fresh)
        schedule = scheduler.schedule
        stages, weights = list(schedule.waiting.values()), outcome.plan.weights
        schedule.jobs = min(machine.jobs, schedule.useful_jobs())
        named = sorted({plugin for cell in cells for plugin in cell.plugins})
        machine = dataclasses.replace(machine, jobs=schedule.jobs, named=tuple(named))
        preflight.look_around(schedule, machine, weights)
        costs = estimate.estimate(stages, machine.store, machine.job_hardware)
        progress = ProgressReport(len(stages), len(cells), Forecast(schedule, costs))
        described = machine.described()
        try:
            for ended in scheduler.run(pool_of(machine, weights), progress):
                progress.cell(ended.cell.slug, _save(ended, machine, described, outcome))
        finally:
            outcome.stages_run = scheduler.made
            progress.close()


def _save(ended: CellOutcome, machine: Machine, described: dict[str, Any], outcome: Outcome) -> str:
    """Write the record of a cell and its log; its status."""
    cell, failure, out = ended.cell, ended.failure, outcome.out
    if failure is None:
        record = save_finished(cell, machine.store, ended.indices, described, ended.made, out)
        outcome.ok += 1
    else:
        record = save_unfinished(cell, failure.stage, failure.cause, described, out, first=failure.first)
        assert record.error is not None
        line = f"{cell.slug} {record.status}: {record.error.message}"
        log.error(line)
        ended.lines.append(line)
    outcome.count(cell, record)
    text = "".join(f"{line}\n" for line in ended.lines)
    atomic.write_text(ResultsFolder(out).log(Path(cell.record_file).stem), text)
    return record.status


def _present(out: Path, cell: Cell) -> records.Record | None:
    """The cell's record; None if there is none, or none that can be used."""
    path = ResultsFolder(out).record(Path(cell.record_file).stem)
    if not path.is_file():
        return None
    try:
        return records.load(path)
    except RecordError as error:
        log.warning("%s; the cell is run again", error)
        return None
