"""What ``tests/perf/perf_train.py`` measured on this machine, for reports: training against the plain way."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import RecordError
from bench.results.folder import ResultsFolder
from bench.results.wording import one_line


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Row(_Part):
    """Values of every run, both ways, and how many times faster or cheaper this suite was.

    Attributes:
        alone: of the trained network on data that costs nothing: what no pipeline can exceed.
    """

    what: str
    unit: Literal["images/s", "s"]
    plain: list[float] = Field(min_length=1)
    ours: list[float] = Field(min_length=1)
    ratios: list[float] = Field(min_length=1)
    alone: list[float] | None = None


class _Accuracy(_Part):
    """Means over seeds, both ways, and their difference with half of its 95 % interval."""

    what: str
    seeds: int
    plain: float
    ours: float
    difference: float
    half_width: float


class _Case(_Part):
    title: str
    peak_memory_mb: dict[str, float]
    rows: list[_Row]
    accuracies: list[_Accuracy] = []


class TrainingSpeed(_Part):
    """The whole file; ``machine`` is as in a record's environment."""

    schema_version: Literal[1]
    machine: dict[str, Any]
    compared: list[_Case]

    @property
    def conditions(self) -> str:
        """``AMD EPYC, 2 threads, fp32``."""
        what = self.machine.get("gpu") or self.machine.get("cpu")
        return one_line(f"{what}, {self.machine.get('threads')} threads, {self.machine.get('precision')}")

    def table(self) -> dict[str, list[dict[str, str]]]:
        """What was trained -> its lines: medians over runs, and the spread of the ratio; then accuracies."""
        return {
            one_line(case.title): [
                {
                    "what": one_line(row.what),
                    "ratio": _spread(row.ratios),
                    "plain": _value(row.plain, row.unit),
                    "ours": _value(row.ours, row.unit),
                    "alone": _value(row.alone, row.unit) if row.alone else "",
                    "runs": str(len(row.ratios)),
                }
                for row in case.rows
            ]
            + [
                {
                    "what": f"{one_line(one.what)} ({one.difference:+.3f} ± {one.half_width:.3f})",
                    "ratio": "–",
                    "plain": f"{one.plain:.3f}",
                    "ours": f"{one.ours:.3f}",
                    "alone": "",
                    "runs": f"{one.seeds} seeds",
                }
                for one in case.accuracies
            ]
            for case in self.compared
        }


def load(folders: Sequence[Path]) -> TrainingSpeed | None:
    """The measurement in the first of some results folders that has one; None where none has.

    Raises:
        RecordError: the file is damaged.
    """
    found = (ResultsFolder(folder).training_speed for folder in folders)
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        return None
    try:
        return TrainingSpeed.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RecordError(f"{path}: damaged; delete it, or measure again with make perf-train") from error


def _value(values: list[float], unit: str) -> str:
    middle = statistics.median(values)
    return f"{middle:.1f} {unit}" if middle < 100 else f"{middle:,.0f} {unit}"


def _spread(ratios: list[float]) -> str:
    middle = f"{statistics.median(ratios):.1f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.1f} to {max(ratios):.1f})"
