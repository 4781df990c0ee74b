"""Cells and folders of the table of verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.results.folder import Results
from bench.results.records import Failure, Measured, Record
from tests.recorded import cost, make_record

MAP, BITS = "map@all:expected:relevant", "onnx_bits_changed:int8"
TEN = [0.90 + 0.004 * x for x in (-1.2, 0.3, 0.9, -0.4, 1.6, -0.8, 0.1, -1.5, 0.7, 0.3)]
WIDE = [0.50, 0.72, 0.95]
FAILURE = Failure(type="RuntimeError", stage="finetune", message="loss is not finite")


def cell(value: float, seed: int = 0, loss: str = "csq", *, name: str = MAP, size: float = 1000.0,
         detail: dict | None = None, without: str = "", **more) -> Record:  # fmt: skip
    up = not name.startswith("onnx_bits_changed")
    accuracy = Measured(value=value, unit="", higher_is_better=up, noise="seeded", detail=detail or {})
    metrics = {name: accuracy, "params": cost(size, "parameters")}
    metrics.pop(without, None)
    return make_record(loss=loss, seed=seed, metrics=metrics, **more)


def cells(values, loss: str = "csq", **more) -> list[Record]:
    """One cell a seed."""
    return [cell(value, seed, loss, **more) for seed, value in enumerate(values)]


def less(values, by: float) -> list[float]:
    return [value - by for value in values]


def failed(loss: str = "csq") -> Record:
    return make_record(loss=loss, status="failed", error=FAILURE)


class Kept(Results):
    """Results of one cell whose scores by query are kept in memory."""

    def per_query(self, record):
        return {MAP: self.scores} if MAP in record.metrics else {}


def one_seed(scores) -> Kept:
    """A cell of one seed with these scores by query, some of which may not be numbers."""
    found = folder([cell(float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0)], "kept")
    kept = Kept(found.folder, found.name, found.pareto, found.records, [], {}, found.stems)
    object.__setattr__(kept, "scores", np.asarray(scores, float))
    return kept


def unanswered(scores, every: int):
    """Scores of which the first and every so many have no answer."""
    return np.where(np.arange(len(scores)) % every == 0, np.nan, scores)


def without_the_best(scores):
    """Scores of which the highest is missing, without which their mean is lower."""
    return np.where(scores == scores.max(), np.nan, scores)


def folder(records: list[Record] | Kept, name: str) -> Results:
    if isinstance(records, Kept):
        return records
    missing = ["a-cell"] if isinstance(records, Unfinished) else []
    if isinstance(records, Warned):
        records = [one.model_copy(update={"warnings": ["codes have collapsed"]}) for one in records]
    return Results(
        Path(name), "grid", [], records, missing, {}, {r.key: f"c-{i:012x}" for i, r in enumerate(records)}
    )


class Unfinished(list):
    """Records of a run that has not come to its end."""


class Warned(list):
    """Records that carry a warning."""
