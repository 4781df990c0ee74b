"""What ``ls`` shows of one plug-in: what it is, its parameters, and what ``tune`` searches of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

#: What stands in place of the default of a parameter that has none.
REQUIRED = "required"


def card(kind: str, name: str, summary: str) -> dict[str, Any]:
    """Everything that can be said of a plug-in before it is made, as JSON.

    Args:
        kind: as ``ls`` has it.
        name: in the registry of that kind.
        summary: the plug-in in one line.

    Raises:
        UsageError: there is no such plug-in.
    """
    from bench.registry import REGISTRIES

    plugin = REGISTRIES[kind].get(name)
    about: dict[str, Any] = {"kind": kind, "name": name, "summary": summary}
    if kind in {"losses", "methods"}:
        searched = {key: list(one) for key, one in getattr(plugin, "space", {}).items()}
        # Interfaces need not be inherited from.
        trains, fitted = getattr(plugin, "trains", True), getattr(plugin, "fitted", False)
        about |= {"trains": trains, "fitted": fitted, "space": searched if trains else {}}
    return {**about, "parameters": list(_parameters(getattr(plugin, "Params", None)))}


def lines(about: dict[str, Any]) -> Iterator[str]:
    """A card for people."""
    from bench.results.tuning import space_words

    yield f"{about['name']}: {about['summary']}"
    if "trains" in about:
        how = "does not train: its codes are fitted to features" if about["fitted"] else "does not train"
        yield f"It {'trains' if about['trains'] else how}."
    if about.get("space"):
        of = "tune: {of: [method, loss]}" if about["kind"] == "methods" else "tune"
        yield f"By default, {of} searches: {space_words(about['space'])}."
    parameters: Sequence[dict[str, Any]] = about["parameters"]
    yield "" if parameters else "It has no parameters."
    rows = [(one["name"], _written(one), one["description"]) for one in parameters]
    rows = [("parameter", "default", "meaning"), *rows] if rows else []
    name, default = (max(map(len, column)) for column in [*zip(*rows, strict=True)][:2]) if rows else (0, 0)
    yield from (f"{row[0]:{name}}  {row[1]:{default}}  {row[2]}".rstrip() for row in rows)


def _parameters(schema: Any) -> Iterator[dict[str, Any]]:
    """Name, default and description; a field that a class declares anew has that of its parents."""
    from pydantic_core import to_jsonable_python

    for name, field in schema.model_fields.items() if schema else ():
        parents = [one.model_fields for one in schema.__mro__ if hasattr(one, "model_fields")]
        told = (fields[name].description for fields in parents if name in fields)
        row = {"name": name, "description": next(filter(None, told), "")}
        if not field.is_required():
            row["default"] = to_jsonable_python(_default(schema, name))
        choices = schema.model_json_schema()["properties"][name].get("enum")
        yield {**row, **({"choices": choices} if choices else {})}


def _default(schema: Any, name: str) -> Any:
    """Of a field that follows from others, what it is where these have their defaults, too."""
    field = schema.model_fields[name]
    if field.default_factory_takes_validated_data:
        return getattr(schema(), name)
    return field.get_default(call_default_factory=True)


def _written(parameter: dict[str, Any]) -> str:
    """The default as a grid would have it, and what else there is to choose from."""
    if "default" not in parameter:
        return REQUIRED
    value = parameter["default"]
    others = [str(one) for one in parameter.get("choices", ()) if one != value]
    shown = value if isinstance(value, str) else json.dumps(value).replace('"', "")
    return f"{shown} (or {', '.join(others)})" if others else shown
