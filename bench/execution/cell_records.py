"""How the outcome of a cell becomes its record, and the files beside it."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from bench import timing
from bench.errors import CellError, RecordError
from bench.execution.outcomes import StageFailed
from bench.planning.plan import Cell
from bench.planning.stage import SCORES_FILE, Stage, walk
from bench.results import catalogue, records, seedless, tuning
from bench.results.folder import ResultsFolder
from bench.results.records import ArtifactReference, Failure, Measured, Record, StageInfo, Status
from bench.results.sides import SIDES, with_side
from bench.storage import atomic
from bench.storage.sealed import sha256
from bench.storage.store import Store

#: Significant digits of training curves: they are for looking at.
CURVE_DIGITS = 5


@dataclass(frozen=True)
class Writing:
    """How records are written.

    Attributes:
        out: the results folder.
        described: the environment.
        splits: sha256 of the manifests of splits that lie in the folder, by their names.
        first: leave a record that is there as it is, if it has numbers, or if this one has none.
    """

    out: Path
    described: dict[str, Any]
    splits: Mapping[str, str] = field(default_factory=dict)
    first: bool = False


def save_finished(cell: Cell, store: Store, made: set[str], log: str, how: Writing) -> Record:
    """Write the record of a cell whose stages are all there, and what lies beside it.

    Args:
        made: keys of the stages that were made for this cell.
        log: what was logged meanwhile.

    Raises:
        CellError: an artifact is no more, or not what it should be.
    """
    metrics: dict[str, Measured] = {}
    per_query: dict[str, ArtifactReference] = {}
    for role in (role for role, stage in cell.leaves.items() if stage.kind == "measure"):
        folder = _folder(store, cell.leaves[role])
        with _reading(folder):
            summary = _index(store, folder)["summary"]
            metrics |= {name: Measured.model_validate(value) for name, value in summary["values"].items()}
            artifact = str(folder.relative_to(store.root))
            per_query |= {
                name: ArtifactReference(artifact=artifact, tensor=name) for name in summary["per_query"]
            }
    metrics |= _whole_query(metrics)
    stages, threads, machines = {}, set(), {}
    warnings: list[str] = []
    for name, stage in _by_name(cell).items():
        with _reading(_folder(store, stage)):
            found = store.index(_folder(store, stage))
            summary = found["summary"] if found else {}
            stages[name] = StageInfo(
                key=stage.key,
                seconds=found["seconds"] if found else None,
                cached=stage.key not in made,
                summary=_told(summary) | _drawing(stage),
                history=[_rounded(epoch) for epoch in summary.get("history", [])],
            )
            warnings += summary.get("warnings", [])
        if found and stage.images:
            threads.add(found.get("threads"))
            machines[name] = found.get("hardware")
    described = how.described
    if threads:  # of what was cached, too
        described = {**described, "job_threads": threads.pop() if len(threads) == 1 else None}
    if len(set(machines.values())) > 1:
        described = {**described, "made_on": machines}
    parts = {"metrics": metrics, "per_query": per_query, "stages": stages}
    record = _record(cell, described, warnings, status="ok", **parts)
    contents = {"per_query": _scores(record, store)} if record.accuracy in per_query else {}
    if examples := cell.leaves.get("examples"):
        folder = _folder(store, examples)
        with _reading(folder):
            for file in _index(store, folder)["files"]:
                kind = "examples" if Path(file).suffix == ".json" else "pictures"
                contents[kind] = (folder / file).read_bytes()
    return _save(cell, record, contents, log, how)


def save_unfinished(cell: Cell, failure: StageFailed, log: str, how: Writing) -> Record:
    """``failed`` for the cell that met the error, ``skipped`` for later ones that need the same stage.

    Args:
        log: what was logged meanwhile; the reason is added to it.
    """
    stage, cause = failure.stage, failure.cause
    lines = cause.message.strip().splitlines() or [cause.type]
    message = lines[0][:500]
    if not cause.known and "out of memory" in message.lower():
        message = f"out of memory; lower batch_size or image_size ({message[:200]})"
    elif not cause.known:
        message = f"{cause.type}: {message}; the log has the traceback"
    if not failure.first:
        message = f"needs {stage.kind} {stage.slug}, which failed: {message}"
    error = Failure(type=cause.type, stage=stage.kind, message=message)
    status: Status = "failed" if failure.first else "skipped"
    record = _record(cell, how.described, [], status=status, error=error)
    return _save(cell, record, {}, f"{log}{cell.slug} {status}: {message}\n", how)


def _save(cell: Cell, record: Record, contents: dict[str, bytes], log: str, how: Writing) -> Record:
    """Write a record and what lies beside it, which comes first: it promises nothing that is not there.

    Where the first record stays, so does all beside it: who has another cache, or another number of threads,
    has other scores.
    """
    place, stem = ResultsFolder(how.out), Path(cell.record_file).stem
    path, paths, text = place.record(stem), place.beside(record, stem), log.encode("utf-8", "replace")
    digests = {part: sha256(content) for part, content in {**contents, "log": text}.items()}
    if split := how.splits.get(paths["split"].stem):
        digests["split"] = split
    record = record.model_copy(update={"beside": digests})
    if how.first and os.path.lexists(path) and not _better(record, path):
        return record
    for part, content in contents.items():
        atomic.write_bytes(paths[part], content)
    if how.first and atomic.write_new(path, records.text(record)):
        atomic.write_bytes(paths["log"], text)
    elif not how.first or _better(record, path):
        atomic.write_bytes(paths["log"], text)
        records.save(record, path)
    return record


def _better(record: Record, path: Path) -> bool:
    """Whether a record has numbers, and the one that is there has none."""
    try:
        return record.status == "ok" and records.load(path).status != "ok"
    except RecordError:
        return True


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """What is wrong with an artifact costs the cell that needs it, and no other one."""
    try:
        yield
    except CellError:
        raise
    except Exception as error:  # what is damaged can make whoever reads it raise anything
        raise CellError(
            f"{folder}: damaged ({type(error).__name__}: {error}); remove it and run again"
        ) from error


def _index(store: Store, folder: Path) -> dict[str, Any]:
    """Of an artifact that was there a moment ago."""
    index = store.index(folder)
    if index is None:
        raise CellError(f"{folder} is no more; run again, and let the cache be meanwhile")
    return index


def _by_name(cell: Cell) -> dict[str, Stage]:
    """Every stage of a cell but its trials, by the role that it has there, inputs before users."""
    named = dict(cell.leaves)
    for stage in walk(cell.leaves.values(), there=lambda stage: stage.kind == tuning.STAGE).values():
        for role, needed in stage.inputs.items():
            named[f"features/{role}" if needed.kind == "features" else role] = needed
    place = {key: number for number, key in enumerate(walk(cell.leaves.values()))}
    return dict(sorted(named.items(), key=lambda item: place[item[1].key]))


def _scores(record: Record, store: Store) -> bytes:
    """The accuracies that tables show, query by query, so that results can be compared in pairs.

    They are the one that the cell is judged by and those beside it, such as mAP after rescoring; where
    classes are unseen, also on each side, of the side's queries.
    """
    main = record.accuracy
    assert main is not None
    names = [name for side in ("", *SIDES) if (name := with_side(main, side)) in record.per_query]
    names += catalogue.beside(main, record.per_query)
    kept: dict[str, NDArray[np.float32]] = {}
    for artifact in dict.fromkeys(record.per_query[name].artifact for name in names):
        folder = store.root / artifact
        with _reading(folder):
            scores = load_file(folder / SCORES_FILE)
            found = [(name, record.per_query[name]) for name in names]
            kept |= {
                name: scores[one.tensor].astype(np.float32) for name, one in found if one.artifact == artifact
            }
    return save(kept)


def _told(summary: dict[str, Any]) -> dict[str, Any]:
    """A stage's summary without what the record has elsewhere."""
    elsewhere = {"history", "values", "per_query", "warnings"}
    return {name: value for name, value in summary.items() if name not in elsewhere}


def _drawing(stage: Stage) -> dict[str, Any]:
    """That a seed changes nothing, of codes that are fitted."""
    return {seedless.DRAWS: False} if stage.kind == seedless.FIT and "seed" not in stage.spec else {}


def _rounded(epoch: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.{CURVE_DIGITS}g}") for name, value in epoch.items()}


def _whole_query(metrics: dict[str, Measured]) -> dict[str, Measured]:
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


def _record(cell: Cell, described: dict[str, Any], warnings: list[str], **more: Any) -> Record:
    """``warnings`` are those of the cell's stages; what is known of its data comes first."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Record(
        key=cell.record_key,
        cell_key=cell.key,
        cell=cell.info,
        params=cell.params,
        warnings=list(dict.fromkeys([*cell.warnings, *warnings])),
        environment=described,
        created=created,
        **more,
    )


def _folder(store: Store, stage: Stage) -> Path:
    return store.path(*stage.place)
