"""Walk a plan: skip what is there, make what is not, write one record per cell, isolate failures."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import CellError, UsageError
from bench.execution.at_work import AtWork, at_work
from bench.execution.cell_records import Writing, save_finished, save_unfinished
from bench.execution.failure_notes import FailureNotes
from bench.execution.forecast import Forecast, SharedForecast
from bench.execution.keeping import Kept, keep
from bench.execution.machine import Machine
from bench.execution.opening import open_folder, splits, tidy
from bench.execution.outcomes import CellOutcome, StageFailed
from bench.execution.pools import pool_of, reached
from bench.execution.pools.pool import Cause
from bench.execution.progress import ProgressReport
from bench.execution.recorded import Recorded
from bench.execution.run_log import run_log
from bench.planning import advice, edited, estimate
from bench.planning.plan import Cell, Plan
from bench.planning.stage import Stage, walk
from bench.results import records
from bench.results.folder import ResultsFolder
from bench.storage.claims import Claims
from bench.storage.keys import content_key
from bench.storage.sealed import sha256
from bench.storage.store import Store

if TYPE_CHECKING:
    from bench.execution.slurm import Jobs

log = logging.getLogger(__name__)

Overwrite = Literal["missing", "failed", "unsteady", "always"]

#: Seconds that a worker at its end leaves to others for the records of what they have just made.
GRACE = 5.0


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a plan is executed.

    Attributes:
        overwrite: which cells are run: those without a record; those and the failed ones; those and, for new
            timings, the ones whose timings were unsteady; or all, anew.
        shared: whether other workers make stages of the same cells.
        timings: whether this one takes timings; else they are left to a worker that does.
        shares: what this one makes, see ``Stage.share``; None = everything, and timings if it takes them.
        patience: seconds that a worker waits for something to do.
        replace_grid: whether a folder with results of another grid may become that of this one.
        add: whether its cells come to those that the folder has already.
    """

    overwrite: Overwrite = "missing"
    shared: bool = False
    timings: bool = True
    shares: frozenset[str] | None = None
    patience: float = math.inf
    replace_grid: bool = False
    add: bool = False

    def takes(self, stage: Stage) -> bool:
        """Whether a stage is one that is made here."""
        return self.shares is None or stage.share in self.shares


@dataclass
class Outcome:
    """How many cells ended in which way, and how many stages were really run.

    Attributes:
        out: the results folder.
        present: cells that had a record with numbers already.
        attempted: cells that were run; ``ok`` of them have numbers now.
        elsewhere: how many of those were recorded by other workers.
        untimed: cells that wait for nothing but timings, which this worker does not take.
        timers: other workers at work at the end that take timings.
        left: share of the work -> stages that are left to workers who take it.
        submitted: workers that a cluster was asked for now.
        jobs: those that are queued or at work there, unless they were waited for.
        failed, skipped: slugs of cells without numbers, earlier ones included.
        warnings: sentence -> cells whose records carry it, earlier ones included.
        kept: networks and codes that are copied to the results, where the grid asks for it.
    """

    plan: Plan = field(repr=False)
    out: Path
    present: int = 0
    attempted: int = 0
    ok: int = 0
    elsewhere: int = 0
    stages_run: int = 0
    untimed: list[Cell] = field(default_factory=list, repr=False)
    timers: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    submitted: list[Jobs] = field(default_factory=list)
    jobs: list[Jobs] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    kept: Kept | None = None

    @property
    def exit_code(self) -> int:
        """1 if any cell has no numbers, or will have none; 0 while a cluster is at work on it."""
        return 1 if (self.failed or self.skipped) and not self.jobs else 0

    def count(self, cell: Cell, record: records.Record) -> None:
        """Count a cell without numbers, and what its record warns of."""
        if record.status != "ok":
            (self.failed if record.status == "failed" else self.skipped).append(cell.slug)
        self.warnings.update(record.warnings)


def run_plan(plan: Plan, machine: Machine, out: Path, manner: Manner | None = None) -> Outcome:
    """Execute the selected cells of ``plan``; records and logs go to ``out``.

    Raises:
        UsageError: data or weights are missing, a folder cannot be written, or it is another grid's; nothing
            was started.
    """
    manner = manner or Manner()
    outcome = opened(plan, out, manner)
    role: Literal["run", "worker"] = "worker" if manner.shared else "run"
    cells = content_key(sorted(cell.key for cell in plan.cells))
    lease = machine.store.claims.lease
    for line in edited.warnings(_stages(plan.selected), machine.store):
        log.warning("warning: %s", line)
    todo = to_do(outcome, manner, machine.store)
    if not todo and not Claims(ResultsFolder(out).at_work).names():
        # Not even a claim is written: the folder may be one that can only be read.
        tidy(out, machine.store, alone=True)
        outcome.kept = keep(plan.keep, machine.store, out)
        return outcome
    with at_work(out, role, lease, timings=manner.timings, cells=cells) as present:
        tidy(out, machine.store, alone=not present.others())
        if todo:
            stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            with run_log(ResultsFolder(out).log(f"{role}-{stamp}-{secrets.token_hex(2)}")):
                for line in advice.warnings(plan):
                    log.warning("warning: %s", line)
                with reached(machine) as there:
                    _make(todo, there, outcome, manner, present)
        outcome.kept = keep(plan.keep, machine.store, out)
        if outcome.untimed:
            outcome.timers = [str(other) for other in present.others() if other.about.get("timings")]
    return outcome


def opened(plan: Plan, out: Path, manner: Manner) -> Outcome:
    """Make ``out`` the results folder of a plan; nothing has come of that yet.

    Raises:
        UsageError: data or weights are missing, the folder cannot be written, or it is another grid's.
    """
    if plan.missing:
        raise UsageError("\n".join(plan.missing))
    open_folder(plan, out, replace=manner.replace_grid, add=manner.add)
    return Outcome(plan, out)


def to_do(outcome: Outcome, manner: Manner, store: Store) -> list[Cell]:
    """Selected cells that are to be run; those that are not are counted."""
    todo, out = [], outcome.out
    recorded = Recorded(out, anywhere=not manner.timings)
    for cell in outcome.plan.selected:
        record = recorded.of(cell)
        again = record is not None and record.status != "ok" and manner.overwrite == "failed"
        again |= record is not None and manner.overwrite == "unsteady" and _to_be_timed(cell, record, store)
        useless = record is None or (manner.overwrite != "always" and _changed(cell, record, recorded, store))
        if manner.overwrite == "always" or useless or again:
            todo.append(cell)
            if useless and manner.shared:  # the first one that is written is to stay
                recorded.forget(cell)
        elif record is not None:
            outcome.present += record.status == "ok"
            outcome.count(cell, record)
    outcome.attempted = len(todo)
    if manner.overwrite == "failed" and manner.shared:
        everywhere = Recorded(out, anywhere=True)
        for cell in todo:  # the same
            everywhere.forget_unfinished(cell)
    if manner.overwrite != "missing":
        FailureNotes(ResultsFolder(out).failures).clear(_stages(todo))
    return todo


def _stages(cells: Iterable[Cell]) -> Iterable[Stage]:
    """All that cells are made from, each once."""
    return walk(leaf for cell in cells for leaf in cell.leaves.values()).values()


def _changed(cell: Cell, record: records.Record, recorded: Recorded, store: Store) -> bool:
    """Whether a record is to be written anew, as it or what lies beside it is no longer as it was.

    Nobody trains again for that: where the cache does not have the cell any more it is only told.
    """
    if not (faults := recorded.faults(cell, record)):
        return False
    there = all(store.index(store.path(*leaf.place)) for leaf in cell.leaves.values())
    cure = "the cell is made again from the cache" if there and record.status == "ok" else "it stays as it is"
    for fault in faults:
        log.warning("warning: %s; %s", fault.rpartition("; ")[0], cure)
    return there and record.status == "ok"


def _to_be_timed(cell: Cell, record: records.Record, store: Store) -> bool:
    """Whether timings of a cell were unsteady, and can be taken again without training for it."""
    if not any(metric.detail.get("noisy") for metric in record.metrics.values()):
        return False
    timed = [leaf for leaf in cell.leaves.values() if leaf.timed]
    needed = [leaf for leaf in cell.leaves.values() if not leaf.timed]
    needed += [stage for leaf in timed for stage in leaf.inputs.values()]
    if all(store.index(store.path(*stage.place)) for stage in needed):
        return True
    log.warning("warning: %s: the cache has its network no more; its timings stay as they are", cell.slug)
    return False


def _anew(overwrite: Overwrite, store: Store) -> Callable[[Stage], bool]:
    """What is made even if it is there."""

    def unsteady(stage: Stage) -> bool:
        index = store.index(store.path(*stage.place)) if stage.timed else None
        values = index["summary"]["values"].values() if index else ()
        return any(value.get("detail", {}).get("noisy") for value in values)

    return unsteady if overwrite == "unsteady" else lambda _: overwrite == "always"


def _make(cells: list[Cell], machine: Machine, outcome: Outcome, manner: Manner, present: AtWork) -> None:
    """Make what ``cells`` need, and their records as they end."""
    # Torch is imported here and not above: a run that finds everything done should end at once.
    from bench.execution import preflight
    from bench.execution.making import prepare_process, threads_kept
    from bench.execution.scheduler import Scheduler
    from bench.execution.sharing import SharedScheduler

    preflight.check_device(machine)
    with threads_kept():
        prepare_process(machine.job_threads)
        scheduler: Scheduler
        if manner.shared:
            notes = FailureNotes(ResultsFolder(outcome.out).failures)
            machine = dataclasses.replace(machine, failures=notes.folder)
            wanted = cells if manner.timings else _without_timings(cells, machine.store)
            scheduler = SharedScheduler(wanted, machine.store, notes, manner.takes, manner.patience)
        else:
            wanted, anew = cells, _anew(manner.overwrite, machine.store)
            scheduler = Scheduler(cells, machine.store, fresh=anew)
        schedule = scheduler.schedule
        stages = {key: stage for key, stage in schedule.waiting.items() if manner.takes(stage)}
        schedule.jobs = min(machine.jobs, schedule.useful_jobs(manner.takes))
        named = sorted({plugin for cell in cells for plugin in cell.plugins})
        machine = dataclasses.replace(machine, jobs=schedule.jobs, named=tuple(named))
        weights = outcome.plan.weights
        preflight.look_around(schedule, stages, machine, weights)
        forecast: Forecast
        if manner.shared:
            forecast = SharedForecast(schedule, {})
        else:
            costs = estimate.estimate(stages.values(), machine.store, machine.job_hardware)
            forecast = Forecast(schedule, costs)
            if narrow := estimate.room(costs.values(), machine.store):
                log.warning("warning: %s", narrow)
        progress = ProgressReport(len(schedule.waiting), len(cells), forecast, schedule.jobs)
        whole = {cell.key: cell for cell, other in zip(cells, wanted, strict=True) if cell is not other}
        recording = _Recording(machine, outcome, whole)
        try:
            for ended in scheduler.run(pool_of(machine, weights), progress):
                progress.cell(ended.cell.slug, recording.take(ended))
            recording.finish(present)
            outcome.left = Counter(stage.share for stage in schedule.waiting.values())
        finally:
            outcome.stages_run = scheduler.made
            progress.close()


def _without_timings(cells: list[Cell], store: Store) -> list[Cell]:
    """Each of ``cells`` as it is if its timings are there, else another one without those that are not."""
    kinds = {leaf.kind for cell in cells for leaf in cell.leaves.values() if leaf.timed}
    there = {name for kind in kinds for name in store.names(kind)}

    def wanted(stage: Stage) -> bool:
        return not stage.timed or (stage.name in there and store.verify(store.path(*stage.place)) is not None)

    made = []
    for cell in cells:
        leaves = {role: leaf for role, leaf in cell.leaves.items() if wanted(leaf)}
        made.append(cell if len(leaves) == len(cell.leaves) else dataclasses.replace(cell, leaves=leaves))
    return made


class _Recording:
    """Writes records, unless another worker does.

    Args:
        untimed: key -> cell that some timings are missing from, which are not taken here.
    """

    def __init__(self, machine: Machine, outcome: Outcome, untimed: dict[str, Cell]) -> None:
        self._machine, self._outcome, self._untimed = machine, outcome, untimed
        digests = {name: sha256(text.encode()) for name, text in splits(outcome.plan)}
        first = machine.failures is not None
        self._writing = Writing(outcome.out, machine.described(), digests, first=first)
        self._elsewhere: list[CellOutcome] = []

    def take(self, ended: CellOutcome) -> str:
        """Write the record of a cell, or leave it to who has ended it; how that was."""
        if ended.failure is None and ended.cell.key in self._untimed:
            self._outcome.untimed.append(self._untimed[ended.cell.key])
            return "ok but for timings"
        if not ended.here:
            self._elsewhere.append(ended)
            return "made elsewhere" if ended.failure is None else "failed elsewhere"
        return self._save(ended)

    def finish(self, present: AtWork, sleep: Callable[[float], None] = time.sleep) -> None:
        """Write what others have left, and count what they have not."""
        out, waited = self._outcome.out, 0.0
        recorded = _recorded(out)
        while waited < GRACE and not all(map(recorded, self._elsewhere)):
            if not present.others():
                break
            sleep(0.5)
            waited += 0.5
            recorded = _recorded(out)
        for ended in self._elsewhere:
            if not recorded(ended):
                self._save(ended)
            elif ended.failure is None:
                self._outcome.elsewhere += 1
                self._outcome.ok += 1
            else:
                first = ended.failure.first
                (self._outcome.failed if first else self._outcome.skipped).append(ended.cell.slug)
        if self._outcome.untimed:
            timed = Recorded(out, anywhere=True)
            left = [cell for cell in self._outcome.untimed if not timed.has(cell)]
            done = len(self._outcome.untimed) - len(left)
            self._outcome.ok += done
            self._outcome.elsewhere += done
            self._outcome.untimed = left

    def _save(self, ended: CellOutcome) -> str:
        """Write the record of a cell and its log; its status."""
        cell, failure = ended.cell, ended.failure
        text = "".join(f"{line}\n" for line in ended.lines)
        if failure is None:
            try:
                record = save_finished(cell, self._machine.store, ended.made, text, self._writing)
                self._outcome.ok += 1
            except CellError as error:
                last = next(reversed(walk(cell.leaves.values()).values()))
                failure = StageFailed(last, Cause.of(error), first=True)
        if failure is not None:
            record = save_unfinished(cell, failure, text, self._writing)
            assert record.error is not None
            log.error("%s %s: %s", cell.slug, record.status, record.error.message)
        self._outcome.count(cell, record)
        return record.status


def _recorded(out: Path) -> Callable[[CellOutcome], bool]:
    """Whether what became of a cell is on record; that it failed, on whichever hardware."""
    here, anywhere = Recorded(out), Recorded(out, anywhere=True)
    return lambda ended: (here if ended.failure is None else anywhere).has(ended.cell)
