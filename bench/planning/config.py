"""grid.yaml -> Grid: strict, every fault at once with file:line:col, and nothing is ever executed.

This module alone reads grids. Plug-in names and parameters are checked here, so that a typo costs a
second and not a training run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from bench.errors import ConfigError, Problem, UsageError, shortened
from bench.planning import yaml_nodes, yaml_text
from bench.planning.grid_faults import Fault, faults
from bench.planning.plugin_faults import params_faults, plugin_faults
from bench.planning.points import too_many
from bench.planning.schema import GRID_SCHEMA, Grid, NamedPlugin
from bench.registry import Registry
from bench.types import Parameters, TrainingParameters


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
    document = yaml_nodes.parse(yaml_text.read(path, "the grid", "--grid"), str(path))
    if not isinstance(document.value, dict):
        shape = document.problem((), "a grid is a mapping; see bench/grids/quick.yaml")
        raise ConfigError([*document.problems, shape])
    _override(document, overrides, "path.to.key=value")
    _check_schema(document)
    _anchor_weights(document.value, path.parent)
    found = _unread(document, plugin_faults(document))
    problems = [*document.problems, *(document.problem(*fault) for fault in found)]
    # What is wrong with an entry is said once, by what read it or by what knows the plug-in.
    told = {document.place(path) for path, _ in found}
    told |= {document.place(path[:-2]) for path, _ in found if path[-1] == yaml_nodes.KEY}
    try:
        # Through JSON: strict mode then takes a list for a list and nothing else.
        grid = Grid.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        rest = (fault for fault in faults(error, Grid) if document.place(fault[0]) not in told)
        more = [document.problem(*fault) for fault in _unread(document, rest)]
        raise ConfigError([*problems, *more]) from error
    if problems:
        raise ConfigError(problems)
    if fault := too_many(grid):
        raise ConfigError([document.problem(*fault)])
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
    found = _unread(document, params_faults((), registry, name, document.value))
    problems += [document.problem(*fault) for fault in found]
    if problems:
        raise ConfigError(problems)
    return schema.of(document.value)


def _override(document: yaml_nodes.Document, overrides: Sequence[str], form: str) -> None:
    for override in overrides:
        key, equals, value = override.partition("=")
        path = tuple(key.split("."))
        if not equals or not all(path):
            raise UsageError(f"--set {shortened(override)}: write it as --set {form}")
        document.set(path, yaml_nodes.parse(value, f"--set {shortened(override)}"))


def _unread(document: yaml_nodes.Document, found: Iterable[Fault]) -> list[Fault]:
    """The faults of values that could be read at all: of others that is said already."""
    told = {(problem.file, problem.line, problem.column) for problem in document.problems}
    return [fault for fault in found if document.mark(fault[0]) not in told]


def _check_schema(document: yaml_nodes.Document) -> None:
    """Refuse a grid of another version, of which nothing else can be said."""
    version = document.value.get("schema")
    if type(version) is int and version > GRID_SCHEMA:
        newest = f"{GRID_SCHEMA}, the newest this version reads"
        message = f"schema {version} is newer than {newest}; update hash-pareto"
        raise ConfigError([document.problem(("schema",), message)])


def resolve(
    registry: Registry[Any], entry: NamedPlugin, defaults: TrainingParameters | None = None
) -> Parameters:
    """The plug-in's parameters: its own defaults, then what the grid sets for all, then the entry's."""
    schema: type[Parameters] = registry.get(entry.name).Params
    # Not its dump, which leaves out a field that joined later where it has its default.
    set_for_all = defaults.model_fields_set if defaults else ()
    shared = {name: to_jsonable_python(getattr(defaults, name)) for name in set_for_all}
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
