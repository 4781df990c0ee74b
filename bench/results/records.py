"""The record of one cell: what tables, charts, the web page and the gate read.

One JSON file per cell, written when the cell ends, whatever its status, and one for codes that came from
elsewhere (``bench.results.external``). Older schemas are upgraded on load, newer ones refused. What is too
long for it lies beside it under the same name: scores by query, examples of results, the log. Where all that
is, ``bench.results.folder`` knows. Since schema 5 a record ends in a digest of itself and has one of what
lies beside it: what was changed since is not believed.
The columns are explained in ``results/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json

from bench.errors import RecordError, shortened
from bench.results import catalogue
from bench.storage import atomic, sealed
from bench.types.sizes import Between, ImageSize

SCHEMA_VERSION = 5

#: How a record of version n becomes one of version n + 1. Version 2 added the histories of trainings,
#: version 3 warnings, version 4 the status ``external``, version 5 digests.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: {**data, "schema_version": 2},
    2: lambda data: {**data, "schema_version": 3},
    3: lambda data: {**data, "schema_version": 4},
    4: lambda data: {**data, "schema_version": 5},
}
#: The first version that ends in a digest of itself.
SEALED_SINCE = 5

#: Said of what is not as it was written; what a record is of use for no more, a run makes anew.
CHANGED, LOST = "changed since it was written", "lost since it was written"
AGAIN = "run its grid again, which makes it anew"

#: What reading JSON raises: no file, no JSON, or brackets in brackets without end.
UNREADABLE = (OSError, ValueError, RecursionError)

#: Numbers whose squares and sums are numbers, too, and whole ones that every file format holds.
Real = Annotated[float, Field(ge=-1e100, le=1e100)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
#: Characters of what a reader calls something: no table or chart has room for more.
LONGEST_NAME = 1000

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

Status = Literal["ok", "failed", "skipped", "external"]
#: Status of what was measured elsewhere, and the method of its cell.
EXTERNAL: Literal["external"] = "external"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Failure(_Part):
    """Why a cell has no numbers: exception type, the stage it came from, one line of text."""

    type: str
    stage: str
    message: str


class CellInfo(_Part):
    """The point of the grid, as a reader would name it; ``bits`` is 0 for float embeddings.

    Of what was measured elsewhere, ``method`` is ``external``, ``student`` the name of the whole, and what
    nobody knows is empty or 0. ``protocol`` holds the split rule and its parameters (``split``), the manifest
    hash, the ranking rule (``k``, ``ties``, ``normalizer``), and ``limit`` where ``--limit`` made it
    incomparable.
    """

    dataset: str
    protocol: dict[str, Any]
    teachers: list[str]
    student: str
    method: str
    loss: str
    bits: Whole
    seed: Whole
    image_size: Annotated[ImageSize, Between(0, 2**31)]

    @property
    def slug(self) -> str:
        """Readable name, used for files."""
        teacher = "+".join(self.teachers) or "no-teacher"
        code = f"{self.bits}b" if self.bits else "float"
        return f"{self.dataset}__{teacher}__{self.student}__{self.method}__{self.loss}__{code}__s{self.seed}"


class Measured(_Part):
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

    ``warnings`` are sentences that a reader must know to trust the numbers. ``beside`` has the sha256 of what
    lies beside it, by the names that ``ResultsFolder.beside`` has for it.
    """

    schema_version: int = SCHEMA_VERSION
    key: str
    cell_key: str
    status: Status
    error: Failure | None = None
    warnings: list[str] = Field(default_factory=list)
    cell: CellInfo
    params: dict[str, Any]
    metrics: dict[str, Measured] = Field(default_factory=dict)
    per_query: dict[str, ArtifactReference] = Field(default_factory=dict)
    stages: dict[str, StageInfo] = Field(default_factory=dict)
    environment: dict[str, Any]
    created: str
    beside: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_their_kinds(self) -> Self:
        for (part, name), (words, fits) in _KINDS.items():
            values = getattr(self, part)
            if name in values and not fits(values[name]):
                raise PydanticCustomError("kind", f"{part}.{name} should be {words}")
        cell = self.cell
        names = (cell.dataset, cell.student, cell.method, cell.loss, *cell.teachers, *self.metrics)
        if max(map(len, names)) > LONGEST_NAME:
            raise PydanticCustomError("name", f"a name should have {LONGEST_NAME} characters at most")
        return self

    @property
    def finished(self) -> bool:
        """Whether it has numbers: a cell that ended well, or what was measured elsewhere."""
        return self.status in {"ok", EXTERNAL}

    @property
    def accuracy(self) -> str | None:
        """Full name of the accuracy that the cell is judged by."""
        return catalogue.full_name("map", self.metrics)

    @property
    def reads_back(self) -> bool:
        """Whether its codes are read back with a codebook, so that they are no bits that a network gives."""
        return "fit" in self.stages and "codebook_bytes" in self.stages["fit"].summary

    def metric(self, name: str) -> tuple[str, Measured] | None:
        """The metric called ``name``, in full or short (``catalogue.full_name``), if any."""
        full = catalogue.full_name(name, self.metrics)
        return None if full is None else (full, self.metrics[full])


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
    """The JSON of a record, which ends in a digest of itself."""
    return sealed.sealed(record.model_dump(mode="json"))


def load(path: Path) -> Record:
    """Read one record, upgrading older schemas.

    Raises:
        RecordError: not JSON, not a record, changed since it was written, or written by a newer version.
    """
    try:
        data = opened(sealed.read_bytes(path))
    except ChangedError as error:
        raise RecordError(f"{path}: {error}; {AGAIN}") from error
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
        raise RecordError(f"{path}: {fault(error)}; delete it and run again") from error


def fault(error: ValidationError) -> str:
    """The first fault, in words."""
    first = error.errors()[0]
    if first["type"] == "model_type":
        return "not a mapping"
    where = shortened(".".join(map(str, first["loc"])))
    return f"field {where}: {first['msg']}" if where else str(first["msg"])


class ChangedError(ValueError):
    """A file has a digest of itself that it does not match, or has lost it."""

    def __init__(self) -> None:
        super().__init__(CHANGED)


def opened(content: bytes) -> Any:
    """The value of a JSON file of a results folder, without the digest of itself.

    Raises:
        ChangedError: it was changed since it was written.
        ValueError: it is no JSON.
    """
    state = sealed.state(content)
    if state == "changed":
        raise ChangedError
    value = parse(content)
    if isinstance(value, dict):
        version, seal = value.get("schema_version"), value.pop(sealed.SEAL, None)
        # A later version's file is told by that, whatever it ends in.
        if seal is None and isinstance(version, int) and SEALED_SINCE <= version <= SCHEMA_VERSION:
            raise ChangedError
    return value


def parse(content: bytes) -> Any:
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
