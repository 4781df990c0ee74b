"""Walk a plan: skip what is there, make what is not, write one record per cell, isolate failures."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench import environment
from bench.errors import RecordError, UsageError, of_network
from bench.execution.cell_records import save_finished, save_unfinished
from bench.execution.forecast import Forecast
from bench.execution.machine import Machine
from bench.execution.progress import ProgressReport
from bench.planning import advice, estimate
from bench.planning.plan import Cell, Plan
from bench.planning.stage import Stage
from bench.registry import METHODS
from bench.results import records
from bench.storage import atomic
from bench.storage.store import Store

if TYPE_CHECKING:
    from bench.execution.outcomes import CellOutcome
    from bench.execution.schedule import Schedule
    from bench.execution.scheduler import Pool

log = logging.getLogger(__name__)

#: Of the memory that is available, for everything that is at work.
USABLE = 0.9
#: Cores per thread at work from which they are worth a word.
MANY = 4

Overwrite = Literal["missing", "failed", "always"]


@dataclass
class Outcome:
    """How many cells ended in which way, and how many stages were really run.

    ``warnings`` counts the cells whose records carry a sentence, earlier ones included.
    """

    present: int = 0
    attempted: int = 0
    ok: int = 0
    stages_run: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)

    @property
    def exit_code(self) -> int:
        """1 if any cell has no numbers."""
        return 1 if self.failed or self.skipped else 0


def run_plan(plan: Plan, machine: Machine, out: Path, overwrite: Overwrite = "missing") -> Outcome:
    """Execute the selected cells of ``plan``; records go to ``out/records``, a log to ``out/logs``.

    Raises:
        UsageError: data or weights are missing, or a folder cannot be written; nothing was started.
    """
    if plan.missing:
        raise UsageError("\n".join(plan.missing))
    cells = {cell.key: cell.slug for cell in plan.cells}
    records.save_index(out, plan.name, plan.pareto, cells, plan.description, plan.entries)
    for name, manifest in plan.manifests.items():
        atomic.write_text(out / "splits" / f"{name}.json", json.dumps(manifest) + "\n")
    outcome, todo = Outcome(), []
    for cell in plan.selected:
        record = _present(out, cell)
        if overwrite == "always" or record is None or (overwrite == "failed" and record.status != "ok"):
            todo.append(cell)
            continue
        outcome.warnings.update(record.warnings)
        if record.status == "ok":
            outcome.present += 1
        else:
            (outcome.failed if record.status == "failed" else outcome.skipped).append(cell.slug)
    outcome.attempted = len(todo)
    if todo:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        with _log_file(out / records.LOGS / f"run-{stamp}.log"):
            for line in advice.warnings(plan):
                log.warning("warning: %s", line)
            _run_cells(todo, plan, machine, out, outcome, fresh=overwrite == "always")
    return outcome


def _run_cells(
    cells: list[Cell], plan: Plan, machine: Machine, out: Path, outcome: Outcome, *, fresh: bool
) -> None:
    # Torch is imported here and not above: a run that finds everything done should end at once.
    import torch

    from bench.execution.making import prepare_process
    from bench.execution.scheduler import Executor
    from bench.stages.context import Context

    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; pass --device cpu")
    if machine.precision == "bf16" and not environment.bf16_in_hardware(machine.device):
        log.warning("precision: bf16 is emulated on this processor, many times slower than precision: fp32")
    prepare_process(machine.job_threads)
    executor = Executor(cells, machine.store, fresh=fresh)
    schedule = executor.schedule
    waiting = list(schedule.waiting.values())
    schedule.jobs = min(machine.jobs, schedule.useful_jobs())
    costs = estimate.estimate(waiting, machine.store, machine.job_hardware)
    context = Context(
        store=machine.store,
        data_root=machine.data_root,
        device=torch.device(machine.device),
        weights=plan.weights,
        hardware=machine.job_hardware,
        advance=lambda images: None,
        # Whoever decodes image files changes no number.
        workers=max(machine.job_threads, machine.threads // schedule.jobs),
    )
    _check_networks(waiting, context)
    if machine.device == "cpu":
        if schedule.jobs > 1:  # else nothing waits for anything, and this process has networks to train
            _look_at_memory(schedule, context)
        _look_at_cores(schedule.jobs, machine)
    described = environment.describe(machine.device, machine.threads, machine.precision)
    described["job_threads"] = machine.job_threads
    progress = ProgressReport(len(waiting), len(cells), Forecast(schedule, costs))
    pool = _pool(plan, machine, context, schedule.jobs)
    try:
        for ended in executor.run(pool, progress):
            progress.cell(ended.cell.slug, _save(ended, machine.store, described, out, outcome))
    finally:
        outcome.stages_run = len(executor.made)
        progress.close()


def _look_at_cores(jobs: int, machine: Machine) -> None:
    """Say so where most cores will have nothing to do."""
    if machine.threads >= MANY * jobs * machine.job_threads:
        had = f"{jobs} {'job' if jobs == 1 else 'jobs'} at once on {machine.threads} cores"
        log.info(
            "cores: %s: --threads %d would train faster, and round differently", had, machine.threads // jobs
        )


def _look_at_memory(schedule: Schedule, context: Any) -> None:
    """Have stages wait for one another where they would not fit into memory together, and say so."""
    from bench.stages.memory import Needs

    room = environment.available_memory()
    if room is None or not schedule.waiting:
        return
    schedule.room, schedule.needs = round(USABLE * room), Needs(context).of(schedule.waiting.values())
    key = max(schedule.needs, key=lambda key: schedule.needs[key], default=None)
    if key is None:
        return
    most, stage = schedule.needs[key], schedule.waiting[key]
    need = f"{stage.kind} {stage.slug} needs about {most / 1e9:.1f} GB of {schedule.room / 1e9:.1f} GB"
    if most > schedule.room:
        log.warning("warning: %s; it runs alone and may fail: lower batch_size or image_size", need)
    elif most * schedule.jobs > schedule.room:
        fitting = schedule.room // most
        log.info("memory: %s: %d such at once, not %d", need, fitting, schedule.jobs)


def _pool(plan: Plan, machine: Machine, context: Any, jobs: int) -> Pool:
    import torch

    from bench.execution.pools.inline import InlinePool
    from bench.execution.pools.processes import ProcessPool
    from bench.execution.pools.worker import Setup

    if jobs == 1:
        return InlinePool(context, machine.job_threads, machine.threads)
    return ProcessPool(
        Setup(
            store_root=machine.store.root,
            data_root=machine.data_root,
            device=machine.device,
            devices=torch.cuda.device_count() if machine.device == "cuda" else 0,
            threads=machine.job_threads,
            timing_threads=machine.threads,
            readers=context.workers,
            hardware=machine.job_hardware,
            weights=plan.weights,
            plugins=machine.plugins,
        )
    )


def _save(ended: CellOutcome, store: Store, described: dict[str, Any], out: Path, outcome: Outcome) -> str:
    """Write the record of a cell and its log; its status."""
    cell, failure = ended.cell, ended.failure
    if failure is None:
        record = save_finished(cell, store, ended.indices, described, ended.made, out)
        outcome.ok += 1
    else:
        record = save_unfinished(cell, failure.stage, failure.cause, described, out, first=failure.first)
        (outcome.failed if record.status == "failed" else outcome.skipped).append(cell.slug)
        assert record.error is not None
        line = f"{cell.slug} {record.status}: {record.error.message}"
        log.error(line)
        ended.lines.append(line)
    outcome.warnings.update(record.warnings)
    text = "".join(f"{line}\n" for line in ended.lines)
    atomic.write_text(out / records.LOGS / f"{Path(cell.record_file).stem}.log", text)
    return record.status


def _check_networks(stages: list[Stage], context: Any) -> None:
    """Build every network once, so that wrong weights end the run before any work."""
    built: set[str] = set()
    for stage in stages:
        method, student = stage.spec.get("method"), stage.spec.get("student")
        teachers = [stage.spec, *stage.spec.get("online_teachers", [])]
        wanted = [(asked["teacher"], asked["output"]) for asked in teachers if "teacher" in asked]
        for teacher, output in wanted:
            if _first(built, teacher, output):
                with _about("teacher", teacher):
                    plugin: Any = context.teacher(teacher)
                    plugin.build_classifier() if output == "logits" else plugin.build()
        if student is not None and _first(built, student):
            with _about("student", student):
                context.student(student).build()
        if method is not None and _first(built, method["name"], student):
            METHODS.get(method["name"]).check_network(context.student(student).build())


@contextlib.contextmanager
def _about(role: str, network: dict[str, Any]) -> Iterator[None]:
    """Whatever is wrong with a network is told with its name."""
    try:
        yield
    except UsageError as error:
        raise of_network(f"{role} {network['name']}", error) from error


def _first(seen: set[str], *what: Any) -> bool:
    """Whether ``what``, plain JSON values, was not in ``seen``; it is then."""
    text = json.dumps(what)
    new = text not in seen
    seen.add(text)
    return new


def _present(out: Path, cell: Cell) -> records.Record | None:
    """The cell's record; None if there is none, or none that can be used."""
    path = out / "records" / cell.record_file
    if not path.is_file():
        return None
    try:
        return records.load(path)
    except RecordError as error:
        log.warning("%s; the cell is run again", error)
        return None


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Everything that is logged, tracebacks of failed cells included, also goes to ``path``, a new file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot write ({error.strerror}); choose another --out") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("bench")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
