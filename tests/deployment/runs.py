"""Results folders as runs leave them: records under readable names with digits of their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bench.results import records
from bench.results.folder import Results, ResultsFolder, load_results, save_index
from bench.results.records import Record, StageInfo
from bench.storage.keys import file_name

PARETO = [("map", "macs"), ("map", "latency_ms"), ("map", "params")]


def slug_of(record: Record) -> str:
    cell = record.cell
    teacher = "+".join(cell.teachers) or "no-teacher"
    code = f"{cell.bits}b" if cell.bits else "float"
    return f"{cell.dataset}__{teacher}__{cell.student}__{cell.method}__{cell.loss}__{code}__s{cell.seed}"


def keyed(record: Record) -> Record:
    """The same with keys as they are in records, and the stages of a finished cell."""
    key, cell_key = (hashlib.sha256(text.encode()).hexdigest() for text in (record.key, record.cell_key))
    kinds = ("finetune", "encode") if record.status == "ok" else ()
    stages = {
        kind: StageInfo(key=hashlib.sha256(f"{kind} {key}".encode()).hexdigest(), seconds=1.0, cached=False)
        for kind in kinds
    }
    return record.model_copy(update={"key": key, "cell_key": cell_key, "stages": stages})


def write_run(some: Sequence[Record], name: str = "results/fashion", missing: Sequence[str] = ()) -> Results:
    """Write records into a results folder below the working folder, and read it back."""
    place, kept = ResultsFolder(Path(name)), [keyed(record) for record in some]
    cells = {record.cell_key: slug_of(record) for record in kept} | {slug: slug for slug in missing}
    save_index(place.path, Path(name).name, PARETO, cells)
    for record in kept:
        records.save(record, place.record(file_name(slug_of(record), record.key)))
    return load_results(place.path)
