"""Walk a plan: skip what is there, make what is not, write one record per cell, isolate failures."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench import atomic, environment, estimate, records, timing
from bench.errors import BenchError, RecordError, UsageError
from bench.plan import Cell, Plan
from bench.progress import ProgressReport
from bench.records import ArtifactReference, Failure, Metric, Record, StageInfo
from bench.registry import METHODS
from bench.stage import Stage
from bench.store import Store

log = logging.getLogger(__name__)

Overwrite = Literal["missing", "failed", "always"]


@dataclass(frozen=True)
class Machine:
    """Where a plan is executed."""

    store: Store
    data_root: Path
    device: str
    threads: int
    precision: str


@dataclass
class Outcome:
    """How many cells ended in which way, and how many stages were really run."""

    present: int = 0
    ok: int = 0
    stages_run: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

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
    records.save_index(out, plan.name, plan.pareto, {cell.key: cell.slug for cell in plan.cells})
    for name, manifest in plan.manifests.items():
        atomic.write_text(out / "splits" / f"{name}.json", json.dumps(manifest) + "\n")
    outcome, todo = Outcome(), []
    for cell in plan.selected:
        status = _status(out, cell)
        if overwrite == "always" or status is None or (overwrite == "failed" and status != "ok"):
            todo.append(cell)
        elif status == "ok":
            outcome.present += 1
        else:
            (outcome.failed if status == "failed" else outcome.skipped).append(cell.slug)
    if todo:
        with _log_file(out):
            _run_cells(todo, plan, machine, out, outcome, fresh=overwrite == "always")
    return outcome


def _run_cells(
    cells: list[Cell], plan: Plan, machine: Machine, out: Path, outcome: Outcome, *, fresh: bool
) -> None:
    # Torch is imported here and not above: a run that finds everything done should end at once.
    import torch

    from bench.executors.local import LocalExecutor, StageFailed
    from bench.stages.context import Context

    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; pass --device cpu")
    import faiss

    torch.set_num_threads(machine.threads)
    faiss.omp_set_num_threads(machine.threads)
    stages = list({stage.key: stage for cell in cells for stage in _all_stages(cell).values()}.values())
    waiting = [stage for stage in stages if fresh or machine.store.verify(_folder(machine, stage)) is None]
    costs = estimate.estimate(waiting, machine.store)
    progress = ProgressReport({stage.key: costs[stage.key].seconds for stage in waiting})
    context = Context(
        store=machine.store,
        data_root=machine.data_root,
        device=torch.device(machine.device),
        weights=plan.weights,
        advance=progress.advance,
    )
    _check_networks(waiting, context)
    executor = LocalExecutor(context, progress, fresh=fresh)
    described = environment.describe(machine.device, machine.threads, machine.precision)
    try:
        for cell in cells:
            made_before = set(executor.made)
            try:
                indices = {role: executor.ensure(leaf) for role, leaf in cell.stages.items()}
            except StageFailed as failure:
                record = _failed_record(cell, failure.stage, failure.cause, described, first=failure.first)
                (outcome.failed if record.status == "failed" else outcome.skipped).append(cell.slug)
                assert record.error is not None
                log.error("%s %s: %s", cell.slug, record.status, record.error.message)
            else:
                made = executor.made - made_before
                record = _ok_record(cell, machine, indices, described, made)
                outcome.ok += 1
            records.save(record, out / "records" / cell.record_file)
    finally:
        outcome.stages_run = len(executor.made)
        progress.close()


def _check_networks(stages: list[Stage], context: Any) -> None:
    """Build every network once, so that wrong weights end the run before any work."""
    built: set[str] = set()
    for stage in stages:
        for role, make in (("teacher", context.teacher), ("student", context.student)):
            block = stage.spec.get(role)
            if block is not None and json.dumps(block) not in built:
                built.add(json.dumps(block))
                make(block).build()
        method, student = stage.spec.get("method"), stage.spec.get("student")
        if method is not None and json.dumps([method["name"], student]) not in built:
            built.add(json.dumps([method["name"], student]))
            METHODS.get(method["name"]).check_network(context.student(student).build())
        if stage.spec.get("output") == "logits" and json.dumps([stage.spec["teacher"]]) not in built:
            built.add(json.dumps([stage.spec["teacher"]]))
            context.teacher(stage.spec["teacher"]).build_classifier()


def _all_stages(cell: Cell) -> dict[str, Stage]:
    """Every stage of a cell by a readable name, inputs before users."""
    named: dict[str, Stage] = {}

    def add(name: str, stage: Stage) -> None:
        for role, needed in stage.inputs.items():
            add(f"features/{role}" if needed.kind == "features" else role, needed)
        named[name] = stage

    for role, leaf in cell.stages.items():
        add(role, leaf)
    return named


def _folder(machine: Machine, stage: Stage) -> Path:
    return machine.store.path(stage.kind, stage.slug, stage.key)


def _status(out: Path, cell: Cell) -> str | None:
    """Status of the cell's record; None if there is none, or none that can be used."""
    path = out / "records" / cell.record_file
    if not path.is_file():
        return None
    try:
        return records.load(path).status
    except RecordError as error:
        log.warning("%s; the cell is run again", error)
        return None


def _ok_record(
    cell: Cell,
    machine: Machine,
    indices: dict[str, dict[str, Any]],
    described: dict[str, Any],
    made: set[str],
) -> Record:
    metrics: dict[str, Metric] = {}
    per_query: dict[str, ArtifactReference] = {}
    for role, index in indices.items():
        summary = index["summary"]
        metrics |= {name: Metric.model_validate(value) for name, value in summary["values"].items()}
        artifact = str(_folder(machine, cell.stages[role]).relative_to(machine.store.root))
        per_query |= {
            name: ArtifactReference(artifact=artifact, tensor=name) for name in summary["per_query"]
        }
    metrics |= _whole_query(metrics)
    stages = {}
    for name, stage in _all_stages(cell).items():
        found = machine.store.index(_folder(machine, stage))
        stages[name] = StageInfo(
            key=stage.key,
            seconds=found["seconds"] if found else None,
            cached=stage.key not in made,
            summary=_told(found["summary"]) if found else {},
        )
    return _record(cell, described, status="ok", metrics=metrics, per_query=per_query, stages=stages)


def _told(summary: dict[str, Any]) -> dict[str, Any]:
    """A stage's summary without what the record has elsewhere, and without the curves of training."""
    return {name: value for name, value in summary.items() if name not in {"history", "values", "per_query"}}


def _whole_query(metrics: dict[str, Metric]) -> dict[str, Metric]:
    """``query_ms@1``: the network's time for one image and one exact search, without reading the image."""
    parts = [metrics.get(name) for name in ("latency_ms@1", "search_ms@1")]
    if not all(parts):
        return {}
    encode, search = (part for part in parts if part)
    whole_ms = encode.value + search.value
    # A part that hardly counts does not make the sum unsteady.
    noisy = any(
        part.detail.get("noisy") and part.value > timing.NOISY * whole_ms for part in (encode, search)
    )
    detail = {
        **{name: encode.detail.get(name) for name in ("device", "threads", "precision")},
        **{name: search.detail.get(name) for name in ("k", "database")},
        "encode_ms": encode.value,
        "search_ms": search.value,
        "noisy": noisy,
    }
    whole = {"value": whole_ms, "detail": detail, "samples": []}
    return {"query_ms@1": encode.model_copy(update=whole)}


def _failed_record(
    cell: Cell, stage: Stage, cause: Exception, described: dict[str, Any], *, first: bool
) -> Record:
    """``failed`` for the cell that met the error, ``skipped`` for later ones that need the same stage."""
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    message = lines[0][:500]
    if "out of memory" in message.lower():
        message = f"out of memory; lower batch_size or image_size ({message[:200]})"
    elif not isinstance(cause, BenchError):
        message = f"{type(cause).__name__}: {message}; the log has the traceback"
    if not first:
        message = f"needs {stage.kind} {stage.slug}, which failed: {message}"
    error = Failure(type=type(cause).__name__, stage=stage.kind, message=message)
    return _record(cell, described, status="failed" if first else "skipped", error=error)


def _record(cell: Cell, described: dict[str, Any], **more: Any) -> Record:
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Record(
        key=cell.record_key,
        cell_key=cell.key,
        cell=cell.info,
        params=cell.params,
        environment=described,
        created=created,
        **more,
    )


@contextlib.contextmanager
def _log_file(out: Path) -> Iterator[None]:
    """Everything that is logged, tracebacks of failed cells included, also goes to ``out/logs``."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out / "logs" / f"run-{stamp}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
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
