"""grid.yaml -> Grid: strict, every fault at once with file:line:col, and nothing is ever executed.

This module alone reads grids. Plug-in names and parameters are checked here, so that a typo costs a
second and not a training run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench import yaml_nodes
from bench.errors import ConfigError, Problem, UsageError, did_you_mean
from bench.registry import DATASETS, LOSSES, METHODS, METRICS, STUDENTS, TEACHERS, Registry
from bench.types import Parameters, TrainingParameters

#: Axis -> where its names are looked up. ``bits`` and ``seed`` are numbers.
AXES: dict[str, Registry[Any]] = {
    "dataset": DATASETS,
    "teacher": TEACHERS,
    "student": STUDENTS,
    "method": METHODS,
    "loss": LOSSES,
}

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
    return {"name": value} if isinstance(value, str) else value


class _NamedPlugin(_Strict):
    name: str
    params: dict[str, Any] = Field(default_factory=dict)


Entry = Annotated[_NamedPlugin, BeforeValidator(_as_entry)]
Entries = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]
Teachers = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]
Bits = Annotated[int, Field(ge=1, le=4096)]
Seed = Annotated[int, Field(ge=0)]
ImageSize = Annotated[int, Field(ge=16, le=2048)]


class Axes(_Strict):
    """The full product of these lists; an entry is a name, or a name with params."""

    dataset: Entries
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        description="a list inside the list is several teachers at once"
    )
    student: Entries
    method: Entries
    loss: Entries
    bits: Annotated[list[Bits], BeforeValidator(_as_list), Field(min_length=1)]
    seed: Annotated[list[Seed], BeforeValidator(_as_list), Field(min_length=1)] = [0]


class Overlay(_Strict):
    """Extra cells: the axes with some of them replaced, and on wish another image size."""

    dataset: Entries | None = None
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list)] | None = None
    student: Entries | None = None
    method: Entries | None = None
    loss: Entries | None = None
    bits: Annotated[list[Bits], BeforeValidator(_as_list)] | None = None
    seed: Annotated[list[Seed], BeforeValidator(_as_list)] | None = None
    image_size: ImageSize | None = None


class Match(_Strict):
    """Cells to leave out: all that agree with every key given."""

    dataset: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    teacher: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    student: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    method: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    loss: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    bits: Annotated[list[int], BeforeValidator(_as_list)] | None = None
    seed: Annotated[list[int], BeforeValidator(_as_list)] | None = None


class Defaults(_Strict):
    """Settings that all cells share."""

    image_size: ImageSize = Field(224, description="input side of the student, pixels")
    precision: Literal["fp32", "bf16"] = "fp32"
    distill: TrainingParameters = Field(TrainingParameters(), description="for every method that trains")
    finetune: TrainingParameters = Field(TrainingParameters(), description="for every loss")


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
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="names the results folder"
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
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {override}: write it as --set path.to.key=value")
        document.set(tuple(key.split(".")), yaml_nodes.parse(value, f"--set {override}"))
    problems = [*document.problems]
    if not isinstance(document.value, dict):
        raise ConfigError(
            [*problems, document.problem((), "a grid is a mapping; see bench/grids/quick.yaml")]
        )
    _anchor_weights(document.value, path.parent)
    problems += _plugin_problems(document)
    try:
        # Through JSON: strict mode then takes a list for a list and nothing else.
        grid = Grid.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        raise ConfigError(problems + _structure_problems(error, document)) from error
    if problems:
        raise ConfigError(problems)
    return GridFile(grid, document)


def resolve(
    registry: Registry[Any], entry: _NamedPlugin, defaults: TrainingParameters | None = None
) -> Parameters:
    """The plug-in's parameters: its own defaults, then what the grid sets for all, then the entry's."""
    schema: type[Parameters] = registry.get(entry.name).Params
    shared = defaults.model_dump(exclude_unset=True) if defaults else {}
    if not issubclass(schema, TrainingParameters):
        shared = {}
    return schema.of({**shared, **entry.params})


def _plugin_problems(document: yaml_nodes.Document) -> list[Problem]:
    """Unknown names and wrong params, wherever plug-ins are named; shape errors are left to pydantic."""
    problems: list[Problem] = []
    value = document.value
    places: list[tuple[yaml_nodes.Path, Registry[Any], Any]] = []
    sections: list[tuple[yaml_nodes.Path, Any]] = [(("axes",), value.get("axes"))]
    if isinstance(value.get("include"), list):
        sections += [(("include", i), overlay) for i, overlay in enumerate(value["include"])]
    for section, mapping in sections:
        for axis, registry in AXES.items():
            if isinstance(mapping, dict) and axis in mapping:
                places += _entries((*section, axis), registry, mapping[axis])
    for path, registry, entry in places:
        name = entry.get("name") if isinstance(entry, dict) else entry
        params = entry.get("params", {}) if isinstance(entry, dict) else {}
        if isinstance(name, str) and isinstance(params, dict):
            problems += _check_plugin(document, path, registry, {"name": name, "params": params})
    measure = value.get("measure")
    for name, params in measure.items() if isinstance(measure, dict) else ():
        if isinstance(params, dict):
            problems += _check_plugin(document, ("measure", name), METRICS, {"name": name, "params": params})
    return problems


def _entries(
    path: yaml_nodes.Path, registry: Registry[Any], value: Any
) -> list[tuple[yaml_nodes.Path, Registry[Any], Any]]:
    if not isinstance(value, list):
        return [(path, registry, value)]
    return [found for i, item in enumerate(value) for found in _entries((*path, i), registry, item)]


def _check_plugin(
    document: yaml_nodes.Document, path: yaml_nodes.Path, registry: Registry[Any], entry: dict[str, Any]
) -> list[Problem]:
    try:
        schema = registry.get(entry["name"]).Params
    except UsageError as error:
        return [document.problem(path, str(error))]
    try:
        schema.of(entry["params"])
    except ValidationError as error:
        inside = path if path[0] == "measure" else (*path, "params")
        owner = f" of {registry.kind} '{entry['name']}'"
        return [document.problem(*told) for told in _told(error, schema, inside, owner)]
    return []


def _structure_problems(error: ValidationError, document: yaml_nodes.Document) -> list[Problem]:
    return [document.problem(*told) for told in _told(error, Grid, (), "")]


def _told(
    error: ValidationError, schema: type[BaseModel], prefix: yaml_nodes.Path, where: str
) -> Iterator[tuple[yaml_nodes.Path, str]]:
    """Place and plain words of every fault; what the members of a union say of one value is one fault."""
    values: dict[yaml_nodes.Path, list[Any]] = defaultdict(list)
    for detail in error.errors():
        if detail["type"] in {"extra_forbidden", "missing", "value_error"}:
            yield _explain(detail, schema, prefix, where)
            continue
        location = tuple(detail["loc"])
        # Members of unions add a last part that is no key of the file.
        if (
            location
            and isinstance(location[-1], str)
            and location[-1] not in _known_keys(schema, location[:-1])
        ):
            location = location[:-1]
        values[location].append(detail)
    for location, details in values.items():
        wanted = dict.fromkeys(detail["msg"].removeprefix("Input should be ") for detail in details)
        yield _explain({**details[0], "loc": location, "msg": " or ".join(wanted)}, schema, prefix, where)


def _explain(
    detail: Any, schema: type[BaseModel], prefix: yaml_nodes.Path, where: str
) -> tuple[yaml_nodes.Path, str]:
    """Place and plain words for one pydantic error."""
    location = tuple(detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _known_keys(schema, location[:-1])
        name = str(location[-1])
        listed = did_you_mean(name, known) or (f" (known: {', '.join(known)})" if known else "; it has none")
        return (*prefix, *location, "<key>"), f"unknown key '{name}'{where}{listed}"
    if detail["type"] == "missing":
        return (*prefix, *location[:-1]), f"missing key '{location[-1]}'{where}"
    if detail["type"] == "value_error":
        return (*prefix, *location), f"{detail['msg'].removeprefix('Value error, ')}{where}"
    shown = json.dumps(detail.get("input"), default=str)
    got = "" if len(shown) > 60 else f", not {shown}"
    field = ".".join(str(part) for part in location if isinstance(part, str)) or "grid"
    message = detail["msg"].removeprefix("Input should be ")
    return (*prefix, *location), f"{field}{where} should be {message}{got}"


def _known_keys(schema: type[BaseModel], location: yaml_nodes.Path) -> list[str]:
    """Keys that the model at ``location`` inside ``schema`` accepts."""
    definition = full = schema.model_json_schema(by_alias=True)
    for part in location:
        definition = _follow(definition, full)
        if isinstance(part, int):
            definition = definition.get("items", {})
        else:
            definition = definition.get("properties", {}).get(part, {})
    return sorted(_follow(definition, full).get("properties", {}))


def _follow(definition: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    """Resolve a reference; of an optional value take the variant that is not null."""
    for variant in definition.get("anyOf", []):
        if variant.get("type") != "null":
            return _follow(variant, full)
    if "$ref" in definition:
        return dict(full["$defs"][definition["$ref"].rpartition("/")[2]])
    return definition


def _anchor_weights(value: Any, folder: Path) -> None:
    """Make relative weight files relative to the grid, in place, wherever the command is started."""
    if isinstance(value, dict):
        weights = value.get("weights")
        if isinstance(weights, str) and weights not in {"none", "default"}:
            value["weights"] = str(folder / weights)
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
