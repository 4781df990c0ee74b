"""The record of one cell: what tables, charts, the web page and the gate read.

One JSON file per cell, written when the cell ends, whatever its status. Older schemas are upgraded
on load, newer ones refused. What is too long for it lies beside it under the same name: scores by query,
examples of results, the log. The columns are explained in ``results/README.md``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json

from bench.errors import RecordError, UsageError
from bench.results import catalogue
from bench.storage import atomic
from bench.storage.keys import file_name
from bench.types import MetricEntry

SCHEMA_VERSION = 3

#: How a record of version n becomes one of version n + 1. Version 2 added the histories of trainings,
#: version 3 warnings.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: {**data, "schema_version": 2},
    2: lambda data: {**data, "schema_version": 3},
}

#: What reading JSON raises: no file, no JSON, or brackets in brackets without end.
UNREADABLE = (OSError, ValueError, RecursionError)

#: Numbers whose squares and sums are numbers, too, and whole ones that every file format holds.
Real = Annotated[float, Field(ge=-1e100, le=1e100)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]

#: What tables and comparisons take apart, if a record has it: its kind in words, and whether a value is one.
_KINDS: dict[tuple[str, str], tuple[str, Callable[[Any], bool]]] = {
    **{
        ("params", part): ("a mapping", lambda value: isinstance(value, dict))
        for part in ("dataset", "student", "method", "loss")
    },
    ("params", "teachers"): (
        "a list of mappings",
        lambda value: isinstance(value, list) and all(isinstance(entry, dict) for entry in value),
    ),
    ("environment", "threads"): (
        "a whole number below 2^63",
        lambda value: value is None or (isinstance(value, int) and abs(value) < 2**63),
    ),
}

Status = Literal["ok", "failed", "skipped"]

#: Folders of a results folder, beside ``records``.
PER_QUERY, EXAMPLES, LOGS = "per_query", "examples", "logs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Failure(_Part):
    """Why a cell has no numbers: exception type, the stage it came from, one line of text."""

    type: str
    stage: str
    message: str


class CellInfo(_Part):
    """The point of the grid, as a reader would name it; ``bits`` is 0 for float embeddings.

    ``protocol`` holds the split rule and its parameters (``split``), the manifest hash, the ranking
    rule (``k``, ``ties``, ``normalizer``), and ``limit`` where ``--limit`` made it incomparable.
    """

    dataset: str
    protocol: dict[str, Any]
    teachers: list[str]
    student: str
    method: str
    loss: str
    bits: Whole
    seed: Whole
    image_size: Whole


class Metric(_Part):
    """One measured number; ``interval`` is the 95 % interval over queries, ``samples`` raw timings."""

    value: Real
    unit: str
    higher_is_better: bool
    noise: Literal["exact", "seeded", "timed"]
    samples: list[Real] | None = None
    interval: tuple[Real, Real] | None = None
    detail: dict[str, Any] = Field(default_factory=dict)


class StageInfo(_Part):
    """Where the work of a cell came from; ``seconds`` is what it cost when it was done, if still known.

    ``summary`` is what the stage found worth telling: images and teacher queries, channels that were kept,
    bits that are constant, the epoch that was chosen. ``history`` has the mean of every loss term, ``lr``
    and what else was watched, per epoch of a training.
    """

    key: str
    seconds: Real | None
    cached: bool
    summary: dict[str, Any] = Field(default_factory=dict)
    history: list[dict[str, Real]] = Field(default_factory=list)


class ArtifactReference(_Part):
    """A tensor in the artifact store: ``artifact`` is the folder, ``tensor`` the name in it."""

    artifact: str
    tensor: str


class Record(_Part):
    """One cell: what was run, what came out, on what. ``key`` identifies the work and the hardware.

    ``warnings`` are sentences that a reader must know to trust the numbers.
    """

    schema_version: int = SCHEMA_VERSION
    key: str
    cell_key: str
    status: Status
    error: Failure | None = None
    warnings: list[str] = Field(default_factory=list)
    cell: CellInfo
    params: dict[str, Any]
    metrics: dict[str, Metric] = Field(default_factory=dict)
    per_query: dict[str, ArtifactReference] = Field(default_factory=dict)
    stages: dict[str, StageInfo] = Field(default_factory=dict)
    environment: dict[str, Any]
    created: str

    @model_validator(mode="after")
    def _has_their_kinds(self) -> Self:
        for (part, name), (words, fits) in _KINDS.items():
            values = getattr(self, part)
            if name in values and not fits(values[name]):
                raise PydanticCustomError("kind", f"{part}.{name} should be {words}")
        return self

    @property
    def accuracy(self) -> str | None:
        """Full name of the accuracy that the cell is judged by."""
        return catalogue.full_name("map", self.metrics)

    def metric(self, name: str) -> tuple[str, Metric] | None:
        """The metric called ``name``, in full or short (``catalogue.full_name``), if any."""
        full = catalogue.full_name(name, self.metrics)
        return None if full is None else (full, self.metrics[full])


class _Index(BaseModel):
    """What ``grid.json`` holds, see ``index_text``."""

    name: str
    pareto: list[tuple[str, str]]
    cells: dict[str, str]
    description: str = ""
    metrics: list[MetricEntry] = []


class Example(_Part):
    """One query and its first results by the cell's codes, nearest first.

    ``query`` and ``results`` are places in the data set, ``distances`` Hamming distances, or 1 - cosine for
    embeddings; ``right`` says of every result whether it answers the query, None where labels do not tell.
    """

    query: int
    results: list[int]
    distances: list[float]
    right: list[bool | None]


class Examples(_Part):
    """Queries of one cell with their first results.

    The picture beside it has one row per query of square tiles with a side of ``tile`` pixels: the query,
    then its results.
    """

    tile: int
    rows: list[Example]


def save(record: Record, path: Path) -> None:
    """Write ``record`` to ``path`` at once or not at all."""
    atomic.write_text(path, text(record))


def text(record: Record) -> str:
    """The JSON of a record."""
    return json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def load(path: Path) -> Record:
    """Read one record, upgrading older schemas.

    Raises:
        RecordError: not JSON, not a record, or written by a newer version.
    """
    try:
        data = _parse(path.read_bytes())
    except UNREADABLE as error:
        raise RecordError(f"{path}: not a readable record ({error}); delete it and run again") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version < 1:
        raise RecordError(f"{path}: not a record (no schema_version); move it out of the records folder")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"{path}: schema {version} is newer than {SCHEMA_VERSION}, the newest this version reads; "
            "update hash-pareto"
        )
    while version < SCHEMA_VERSION:
        data = UPGRADES[version](data)
        version += 1
    try:
        return Record.model_validate(data)
    except ValidationError as error:
        raise RecordError(f"{path}: {_fault(error)}; delete it and run again") from error


@dataclass(frozen=True)
class Results:
    """One results folder, or several as one: the grid that was run and its records.

    Attributes:
        folder: where it was read from; of several, the first.
        name: the grid's name.
        pareto: pairs of axes to chart, accuracy first, from the grid.
        records: those of the present grid, in file-name order.
        missing: slugs of cells that have no record yet.
        left_out: what other records there are, in words -> how many.
        stems: record key -> name of the record's file, without ``.json``.
        cells: cell key -> slug of the present grid.
        homes: record key -> folder, where that is not ``folder``.
        descriptions: what the grid is for, of several each; empty where it does not say.
    """

    folder: Path
    name: str
    pareto: list[tuple[str, str]]
    records: list[Record]
    missing: list[str]
    left_out: dict[str, int] = field(default_factory=dict)
    stems: dict[str, str] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)
    descriptions: list[str] = field(default_factory=list)

    @property
    def folders(self) -> list[Path]:
        """Every folder that records come from, ``folder`` first."""
        return list(dict.fromkeys([self.folder, *self.homes.values()]))

    def file(self, record: Record, part: str, ending: str) -> Path:
        """Where something of a record lies: in which folder of the results, with which ending."""
        return self.homes.get(record.key, self.folder) / part / f"{self.stems[record.key]}{ending}"

    def per_query(self, record: Record) -> dict[str, NDArray[np.float64]]:
        """Scores by query, float64 (q,) each, by full metric name; empty where none were kept.

        Raises:
            RecordError: the file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.file(record, PER_QUERY, ".safetensors")
        try:
            return dict(load_file(path)) if path.is_file() else {}
        except (OSError, SafetensorError) as error:
            raise RecordError(f"{path}: damaged ({error}); delete it and run again") from error

    def examples(self, record: Record) -> Examples | None:
        """Queries with their first results; None where none were kept.

        Raises:
            RecordError: the file is damaged.
        """
        path = self.file(record, EXAMPLES, ".json")
        try:
            return Examples.model_validate_json(path.read_bytes()) if path.is_file() else None
        except (OSError, ValidationError) as error:
            raise RecordError(f"{path}: damaged; delete it and run again") from error

    def sprite(self, record: Record) -> bytes:
        """The pictures of ``examples``, a WebP image; empty where there are none."""
        path = self.file(record, EXAMPLES, ".webp")
        return path.read_bytes() if path.is_file() else b""

    def log(self, record: Record) -> str:
        """What was logged while the cell was run; empty where nothing is left."""
        path = self.file(record, LOGS, ".log")
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def index_text(name: str, pareto: list[tuple[str, str]], cells: dict[str, str], description: str = "",
               metrics: Sequence[MetricEntry] = ()) -> str:  # fmt: skip
    """The JSON of ``grid.json``: a grid's cells (cell key -> slug), what it is for, plug-ins' metrics."""
    index = {"schema_version": SCHEMA_VERSION, "name": name, "description": description.strip()}
    index |= {"pareto": pareto, "cells": cells}
    if metrics:
        index["metrics"] = [catalogue.as_json(entry) for entry in metrics]
    return json.dumps(index, indent=1) + "\n"


def save_index(folder: Path, name: str, pareto: list[tuple[str, str]], cells: dict[str, str],
               description: str = "", metrics: Sequence[MetricEntry] = ()) -> None:  # fmt: skip
    """Write ``grid.json`` of the present grid."""
    atomic.write_text(folder / "grid.json", index_text(name, pareto, cells, description, metrics))


def load_results(folder: Path) -> Results:
    """Read a results folder written by ``run``.

    Raises:
        UsageError: no such folder, nothing was run into it, or a metric is known as something else.
        RecordError: one of its files cannot be read.
    """
    path = folder / "grid.json"
    if not path.is_file():
        what = "no results in it (no grid.json)" if folder.is_dir() else "no such folder"
        raise UsageError(f"{folder}: {what}; make it with: python -m bench run --grid GRID --out {folder}")
    try:
        index = _Index.model_validate(_parse(path.read_bytes()))
    except ValidationError as error:
        raise RecordError(f"{path}: {_fault(error)}; run the grid again") from error
    except UNREADABLE as error:
        raise RecordError(f"{path}: not readable ({error}); run the grid again") from error
    catalogue.learn(index.metrics, str(path))
    cells = index.cells
    found = {file.stem: load(file) for file in sorted((folder / "records").glob("*.json"))}
    current = {stem: record for stem, record in found.items() if record.cell_key in cells}
    present = {record.cell_key for record in current.values()}
    return Results(
        folder=folder,
        name=index.name,
        pareto=index.pareto,
        records=list(current.values()),
        missing=[slug for key, slug in cells.items() if key not in present],
        left_out=_left_out([stem for stem in found if stem not in current], cells),
        stems={record.key: stem for stem, record in current.items()},
        cells=cells,
        descriptions=[index.description] if index.description else [],
    )


def _left_out(stems: list[str], cells: dict[str, str]) -> dict[str, int]:
    """Why records are none of the present grid's, as far as the names of their files tell."""
    present = {file_name(slug, "") for slug in cells.values()}
    reasons = (
        "of an earlier version of a cell (its parameters, data or plug-ins were others)"
        if f"{stem.rpartition('-')[0]}-" in present
        else "of cells that the grid does not have (another grid's, or taken out of it)"
        for stem in stems
    )
    return dict(Counter(reasons))


def _fault(error: ValidationError) -> str:
    """The first fault, in words."""
    first = error.errors()[0]
    if first["type"] == "model_type":
        return "not a mapping"
    where = ".".join(map(str, first["loc"]))
    return f"field {where}: {first['msg']}" if where else str(first["msg"])


def _parse(content: bytes) -> Any:
    """The value of a JSON text, at least twice as fast as the standard library reads it where it can be."""
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError:
        # Damaged, or with half a surrogate pair, which a text may hold: the standard library tells.
        value = json.loads(content, parse_constant=_refuse_constant)
        # Halves can neither be printed nor written; they become question marks.
        return from_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that a record may hold")
