"""grid.yaml -> Grid: strict, every fault at once with file:line:col, and nothing is ever executed.

This module alone reads grids. Plug-in names and parameters are checked here, so that a typo costs a
second and not a training run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench import yaml_nodes
from bench.errors import ConfigError, Problem, UsageError
from bench.grid_faults import faults
from bench.plugin_faults import params_faults, plugin_faults
from bench.registry import Registry
from bench.types import DistillationParameters, HashingParameters, Parameters, TrainingParameters

#: Version of grid files, of which this module reads no other.
GRID_SCHEMA = 1
FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

#: What is measured unless the grid says otherwise, each where it applies.
DEFAULT_METRICS = (
    "map",
    "revisited",
    "reid",
    "videos",
    "precision_at_k",
    "recall_at_k",
    "precision_hamming2",
    "map_hamming2",
    "pr_curve",
    "distinct_codes",
    "params",
    "macs",
    "weights",
    "latency",
    "peak_memory",
    "search",
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_list(value: Any) -> Any:
    """A single value where a list is meant is a list of one."""
    return value if isinstance(value, list) else [value]


def _as_entry(value: Any) -> Any:
    if not isinstance(value, str | dict):
        message = f"write a name, or {{name: ..., params: {{...}}}}, not {json.dumps(value)}"
        raise ValueError(message)  # noqa: TRY004  (pydantic takes no TypeError)
    return {"name": value} if isinstance(value, str) else value


def _as_folder(value: str) -> str:
    if not re.fullmatch(FOLDER_NAME, value):
        raise ValueError(
            f"name should be letters, digits, '.', '_' and '-', a letter or digit first, not '{value}': it "
            "names the results folder"
        )
    return value


class _NamedPlugin(_Strict):
    name: str
    params: dict[str, Any] = Field(default_factory=dict)


Entry = Annotated[_NamedPlugin, BeforeValidator(_as_entry)]
Entries = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]
Teachers = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]
Bits = Annotated[int, Field(ge=1, le=4096)]
Seed = Annotated[int, Field(ge=0)]
ImageSize = Annotated[int, Field(ge=16, le=2048)]


def _no_teacher() -> list[list[_NamedPlugin]]:
    return [[]]


class Axes(_Strict):
    """The full product of these lists; an entry is a name, or a name with params."""

    dataset: Entries
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        default_factory=_no_teacher,
        description="a list inside the list is several teachers at once; for methods that take none, no key",
    )
    student: Entries
    method: Entries
    loss: Entries
    bits: Annotated[list[Bits], BeforeValidator(_as_list), Field(min_length=1)]
    seed: Annotated[list[Seed], BeforeValidator(_as_list), Field(min_length=1)] = [0]


class Overlay(_Strict):
    """Extra cells: the axes with some of them replaced, and on wish another image size."""

    dataset: Entries | None = None
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    student: Entries | None = None
    method: Entries | None = None
    loss: Entries | None = None
    bits: Annotated[list[Bits], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    seed: Annotated[list[Seed], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    image_size: ImageSize | None = None


class Match(_Strict):
    """Cells to leave out: all that agree with every key given."""

    dataset: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    teacher: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    student: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    method: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    loss: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    bits: Annotated[list[int], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    seed: Annotated[list[int], BeforeValidator(_as_list), Field(min_length=1)] | None = None


class Defaults(_Strict):
    """Settings that all cells share."""

    image_size: ImageSize = Field(224, description="input side of the student, pixels")
    precision: Literal["fp32", "bf16"] = "fp32"
    distill: DistillationParameters = Field(
        DistillationParameters(), description="for every method that trains"
    )
    finetune: HashingParameters = Field(HashingParameters(), description="for every loss")


class RankingProtocol(_Strict):
    """How mAP is computed; see ``bench.hamming``. ``k: null`` is the data set's own cut-off."""

    k: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    ties: Literal["expected", "index", "best", "worst"] = "expected"
    normalizer: Literal["relevant", "min", "hits"] = "relevant"


class ReportOptions(_Strict):
    """What a report shows: pairs of metrics to chart, accuracy first, and queries with their results."""

    pareto: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = [
        ["map", "macs"],
        ["map", "latency_ms"],
        ["map", "params"],
    ]
    examples: int = Field(
        8, ge=0, le=50, description="queries whose first results are kept as pictures; 0 = no pictures"
    )


class Grid(_Strict):
    """One benchmark grid, checked; see ``bench/grids`` for examples."""

    grid_schema: Literal[1] = Field(alias="schema", description="version of this file format")
    name: Annotated[str, AfterValidator(_as_folder), Field(json_schema_extra={"pattern": FOLDER_NAME})] = (
        Field(description="names the results folder")
    )
    description: str = ""
    defaults: Defaults = Defaults()
    axes: Axes
    exclude: list[Match] = []
    include: list[Overlay] = []
    protocol: RankingProtocol = RankingProtocol()
    measure: dict[str, dict[str, Any] | Literal[False]] = Field(
        default_factory=dict, description="metric -> its params; false leaves a default metric out"
    )
    report: ReportOptions = ReportOptions()


@dataclass(frozen=True)
class GridFile:
    """A checked grid and the places of its values, for faults that show only later."""

    grid: Grid
    document: yaml_nodes.Document

    def problem(self, path: yaml_nodes.Path, message: str) -> Problem:
        """A fault at ``path`` of the file."""
        return self.document.problem(path, message)


def load_grid(path: Path, overrides: Sequence[str] = ()) -> GridFile:
    """Read and check a grid file.

    Args:
        path: the YAML file.
        overrides: ``a.b=value`` texts of ``--set``, values in YAML.

    Raises:
        UsageError: there is no such file, or an override is not of that form.
        ConfigError: every fault of the grid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read the grid ({error}); pass --grid FILE") from error
    document = yaml_nodes.parse(text, str(path))
    if not isinstance(document.value, dict):
        shape = document.problem((), "a grid is a mapping; see bench/grids/quick.yaml")
        raise ConfigError([*document.problems, shape])
    _override(document, overrides, "path.to.key=value")
    _check_schema(document)
    _anchor_weights(document.value, path.parent)
    found = list(plugin_faults(document))
    problems = [*document.problems, *(document.problem(*fault) for fault in found)]
    # What is wrong with an entry is said once, by what knows the plug-in.
    told = {document.place(path) for path, _ in found}
    told |= {document.place(path[:-2]) for path, _ in found if path[-1] == yaml_nodes.KEY}
    try:
        # Through JSON: strict mode then takes a list for a list and nothing else.
        grid = Grid.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        rest = [fault for fault in faults(error, Grid) if document.place(fault[0]) not in told]
        raise ConfigError([*problems, *(document.problem(*fault) for fault in rest)]) from error
    if problems:
        raise ConfigError(problems)
    return GridFile(grid, document)


def plugin_params(registry: Registry[Any], name: str, overrides: Sequence[str]) -> Parameters:
    """Parameters of plug-in ``name`` from ``key=value`` texts of ``--set``, values in YAML.

    Raises:
        UsageError: there is no such plug-in, or an override is not of that form.
        ConfigError: every fault of the values.
    """
    schema: type[Parameters] = registry.get(name).Params
    document = yaml_nodes.Document({}, "--set")
    _override(document, overrides, "key=value")
    problems = [*document.problems]
    problems += [document.problem(*fault) for fault in params_faults((), registry, name, document.value)]
    if problems:
        raise ConfigError(problems)
    return schema.of(document.value)


def _override(document: yaml_nodes.Document, overrides: Sequence[str], form: str) -> None:
    for override in overrides:
        key, equals, value = override.partition("=")
        path = tuple(key.split("."))
        if not equals or not all(path):
            raise UsageError(f"--set {override}: write it as --set {form}")
        document.set(path, yaml_nodes.parse(value, f"--set {override}"))


def _check_schema(document: yaml_nodes.Document) -> None:
    """Refuse a grid of another version, of which nothing else can be said."""
    version = document.value.get("schema")
    if type(version) is int and version > GRID_SCHEMA:
        newest = f"{GRID_SCHEMA}, the newest this version reads"
        message = f"schema {version} is newer than {newest}; update hash-pareto"
        raise ConfigError([document.problem(("schema",), message)])


def resolve(
    registry: Registry[Any], entry: _NamedPlugin, defaults: TrainingParameters | None = None
) -> Parameters:
    """The plug-in's parameters: its own defaults, then what the grid sets for all, then the entry's."""
    schema: type[Parameters] = registry.get(entry.name).Params
    shared = defaults.model_dump(exclude_unset=True) if defaults else {}
    if not issubclass(schema, TrainingParameters):
        shared = {}
    return schema.of({**shared, **entry.params})


def _anchor_weights(value: Any, folder: Path) -> None:
    """Make relative weight files relative to the grid, in place, wherever the command is started."""
    if isinstance(value, dict):
        weights = value.get("weights")
        if isinstance(weights, str) and weights not in {"none", "default"}:
            value["weights"] = str(folder / Path(weights).expanduser())
        for inner in value.values():
            _anchor_weights(inner, folder)
    elif isinstance(value, list):
        for inner in value:
            _anchor_weights(inner, folder)


def json_schema() -> dict[str, Any]:
    """JSON Schema of grid files, for editors; shipped as ``bench/grids/grid.schema.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Grid.model_json_schema(by_alias=True),
    }
