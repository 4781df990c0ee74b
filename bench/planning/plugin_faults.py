"""What is wrong with the plug-ins that a grid names: unknown names, and parameters they do not take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticUndefined, to_jsonable_python

from bench.errors import UsageError, close, shortened
from bench.planning.grid_faults import Fault, faults
from bench.planning.yaml_nodes import KEY, Document, Path
from bench.registry import DATASETS, LOSSES, METHODS, METRICS, STUDENTS, TEACHERS, Registry
from bench.types import Parameters

#: Axis -> where its names are looked up. ``bits`` and ``seed`` are numbers.
AXES: dict[str, Registry[Any]] = {
    "dataset": DATASETS,
    "teacher": TEACHERS,
    "student": STUDENTS,
    "method": METHODS,
    "loss": LOSSES,
}
#: Keys of an entry that is more than a name.
ENTRY = ("name", "params")
#: Characters of a mapping that a message repeats.
LONGEST = 60


def plugin_faults(document: Document) -> Iterator[Fault]:
    """Every fault of a plug-in, wherever a grid names one; wrong shapes are left to the model of grids."""
    for path, registry, entry in _named(document.value, "axes", "include"):
        if isinstance(entry, dict):
            yield from _entry_faults(path, registry, entry)
        elif isinstance(entry, str):
            yield from name_faults(path, registry, entry)
    for path, registry, name in _named(document.value, "exclude"):
        if isinstance(name, str):
            yield from name_faults(path, registry, name)
    measure = document.value.get("measure")
    for name, params in measure.items() if isinstance(measure, dict) else ():
        if isinstance(params, dict):
            yield from params_faults(("measure", name), METRICS, name, params)
        elif unknown := [*name_faults(("measure", name), METRICS, name)]:
            yield from unknown
        elif params is not False:
            yield _no_mapping(("measure", name), METRICS, name, params, " or false")


def name_faults(path: Path, registry: Registry[Any], name: str) -> Iterator[Fault]:
    """The fault of a name that the registry does not have."""
    try:
        registry.get(name)
    except UsageError as error:
        yield path, str(error)


def params_faults(path: Path, registry: Registry[Any], name: str, params: dict[str, Any]) -> Iterator[Fault]:
    """Faults of the parameters of a plug-in, which stand at ``path``, and of its name."""
    try:
        schema = registry.get(name).Params
        schema.of(params)
    except UsageError as error:
        yield path, str(error)
    except ValidationError as error:
        yield from faults(error, schema, path, f" of {registry.kind} '{name}'")


def _no_mapping(path: Path, registry: Registry[Any], name: str, value: Any, also: str = "") -> Fault:
    """The fault of what stands in place of parameters, with some that the plug-in has."""
    field = ".".join(part for part in path if isinstance(part, str))
    example = f"{path[-1]}: {_flow(_some(registry.get(name).Params))}"
    shown = shortened(json.dumps(value, default=str), LONGEST)
    return path, f"{field} should be a mapping{also}, not {shown}; for example {example}"


def _some(schema: type[Parameters]) -> dict[str, Any]:
    """A parameter with its default; none where all are to be chosen."""
    fixed = ((name, field.default) for name, field in schema.model_fields.items() if not field.is_required())
    plain = ((name, to_jsonable_python(one)) for name, one in fixed if one is not PydanticUndefined)
    return dict([*((name, one) for name, one in plain if one is not None)][:1])


def _named(value: dict[str, Any], *sections: str) -> Iterator[tuple[Path, Registry[Any], Any]]:
    """Everything that stands where a plug-in is named: place, where it is looked up, what stands there."""
    for section in sections:
        inside = value.get(section)
        mappings = list(enumerate(inside)) if isinstance(inside, list) else [(None, inside)]
        for i, mapping in mappings:
            path: Path = (section,) if i is None else (section, i)
            for axis, registry in AXES.items():
                if isinstance(mapping, dict) and axis in mapping:
                    for place, entry in _entries((*path, axis), mapping[axis]):
                        yield place, registry, entry


def _entries(path: Path, value: Any) -> list[tuple[Path, Any]]:
    if not isinstance(value, list):
        return [(path, value)]
    return [found for i, item in enumerate(value) for found in _entries((*path, i), item)]


def _entry_faults(path: Path, registry: Registry[Any], entry: dict[str, Any]) -> Iterator[Fault]:
    """Faults of ``{name: ..., params: {...}}``, and of what is taken for it."""
    name, params, strays = (
        entry.get("name"),
        entry.get("params", {}),
        [key for key in entry if key not in ENTRY],
    )
    if name is None and len(entry) == 1 and strays:
        yield from _nameless(path, registry, strays[0], entry[strays[0]])
    if not isinstance(name, str):
        return
    if isinstance(params, dict):
        yield from params_faults(path if "params" not in entry else (*path, "params"), registry, name, params)
    elif not [*name_faults(path, registry, name)]:
        yield _no_mapping((*path, "params"), registry, name, params)
    try:
        known = list(registry.get(name).Params.model_fields)
    except UsageError:
        return
    for stray in strays:
        meant = [stray] if stray in known else close(stray, [*ENTRY, *known])
        if meant and meant[0] in known:
            cure = f"belongs in params: {{name: {name}, params: {_flow({meant[0]: entry[stray]})}}}"
            what = f"'{stray}' is a parameter of {registry.kind} '{name}' and"
            if stray not in known:
                what = f"unknown key '{stray}'; did you mean '{meant[0]}'? It"
            yield (*path, stray, KEY), f"{what} {cure}"


def _nameless(path: Path, registry: Registry[Any], key: str, value: Any) -> Iterator[Fault]:
    """The fault of ``csq: {lr: 1e-3}`` and of ``timm: resnet18``, which YAML takes for mappings."""
    if key in registry.families and isinstance(value, str):
        yield (*path, key, KEY), f"write {key}:{value} without a blank behind the colon"
    elif key in registry.names():
        cure = f"{{name: {key}, params: {_flow(value)}}}" if isinstance(value, dict) else key
        yield (*path, key, KEY), f"a {registry.kind} is a name, or a mapping with a name; write {cure}"


def _flow(value: dict[str, Any]) -> str:
    """A mapping as one would write it in a grid; what is long is left out."""
    text = json.dumps(value).replace('"', "")
    return text if len(text) <= LONGEST else f"{{{', '.join(f'{key}: ...' for key in value)}}}"
