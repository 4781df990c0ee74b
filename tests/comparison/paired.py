"""Results to be paired."""

from __future__ import annotations

from pathlib import Path

from bench.results.folder import Results
from bench.results.records import Failure, Record
from tests.recorded import make_record


def results(records: list[Record], missing: tuple[str, ...] = ()) -> Results:
    stems = {
        record.key: f"{record.cell.dataset}__{record.cell.student}__s{record.cell.seed}-{i:012x}"
        for i, record in enumerate(records)
    }
    return Results(Path(), "grid", [], records, list(missing), {}, stems)


def seeds(count: int, **kwargs) -> list[Record]:
    return [make_record(seed=seed, **kwargs) for seed in range(count)]


def names(configurations) -> list[str]:
    return [str(one) for one in configurations]


def failed(**kwargs) -> Record:
    error = Failure(type="RuntimeError", stage="finetune", message="loss is not finite\nat step 12")
    return make_record(status="failed", error=error, **kwargs)
