"""What is wrong with the values of a grid, in plain words: pydantic's errors as a person would say them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from bench.errors import close, did_you_mean
from bench.planning.yaml_nodes import KEY, Path

#: Place and words of one fault.
Fault = tuple[Path, str]

#: What YAML calls the types that pydantic names as JSON does.
YAML_WORDS = {"an object": "a mapping", "a valid array": "a list", "False": "false", "True": "true"}


def faults(
    error: ValidationError, schema: type[BaseModel], prefix: Path = (), owner: str = ""
) -> Iterator[Fault]:
    """Place and plain words of every fault; what the members of a union say of one value is one fault.

    Args:
        schema: what was checked.
        prefix: where it stands.
        owner: whose values they are, ``" of loss 'csq'"``; nothing for those of the grid itself.
    """
    values: dict[Path, list[Any]] = defaultdict(list)
    details: list[dict[str, Any]] = [
        {**detail, "loc": _place(schema, detail["loc"])} for detail in error.errors()
    ]
    meant = {
        (*detail["loc"][:-1], choice)
        for detail in details
        if detail["type"] == "extra_forbidden"
        for choice in close(str(detail["loc"][-1]), _known_keys(schema, detail["loc"][:-1]))
    }
    for detail in details:
        location = detail["loc"]
        if detail["type"] == "too_short" and any(_below(one["loc"], location) for one in details):
            continue  # what is wrong with the items, of which pydantic then counts none
        if detail["type"] == "extra_forbidden":
            yield (*prefix, *location, KEY), _unknown(schema, location, owner)
        elif detail["type"] == "missing":
            if location not in meant:
                where, cure = owner or _of(location[:-1]), _needed(schema, location)
                yield (*prefix, *location[:-1]), f"missing key '{location[-1]}'{where}{cure}"
        elif detail["type"] == "value_error":
            whose = f"{owner.removeprefix(' of ')}: " if owner else ""
            yield (*prefix, *location), f"{whose}{detail['msg'].removeprefix('Value error, ')}"
        else:
            values[location].append(detail)
    for location, told in values.items():
        shown = json.dumps(told[0].get("input"), default=str)
        got = "" if len(shown) > 60 else f", not {shown}"
        field = ".".join(str(part) for part in location if isinstance(part, str)) or "grid"
        wanted = _wanted([one["msg"] for one in told])
        cure = _example(schema, location) if wanted == "be a mapping" else ""
        yield (*prefix, *location), f"{field}{owner} should {wanted}{got}{cure}"


def _place(schema: type[BaseModel], location: Path) -> Path:
    """``location`` without pydantic's names for the members of unions, which are no keys of a file."""
    definition = full = schema.model_json_schema(by_alias=True)
    found: Path = ()
    for part in location:
        inside = _follow(definition, full)
        # Of null and one other type pydantic names none.
        union = len(_members(definition)) > 1
        if isinstance(part, str) and part not in inside.get("properties", {}) and union:
            definition = inside  # of one member, whatever its name is
        else:
            found, definition = (*found, part), _inside(definition, part, full)
    return found


def _below(place: Path, location: Path) -> bool:
    return len(place) > len(location) and place[: len(location)] == location


def _wanted(messages: list[str]) -> str:
    """What a value should be or have, after all members of a union: ``be a valid integer or 'all'``."""
    texts = dict.fromkeys(message.partition(" should ")[2] or message for message in messages)
    short = [re.sub(r" after validation, not \d+$", "", text) for text in texts]
    first, *others = (YAML_WORDS.get(text.removeprefix("be "), text.removeprefix("be ")) for text in short)
    verb = "be " if short[0].startswith("be ") else ""
    return f"{verb}{' or '.join(dict.fromkeys((first, *others)))}"


def _needed(schema: type[BaseModel], location: Path) -> str:
    """What to write for a missing key, where only one value will do."""
    definition = full = schema.model_json_schema(by_alias=True)
    for part in location:
        definition = _inside(definition, part, full)
    return f"; write {location[-1]}: {definition['const']}" if "const" in definition else ""


def _example(schema: type[BaseModel], location: Path) -> str:
    """A mapping as it may stand there: one of its keys that has a default."""
    definition = full = schema.model_json_schema(by_alias=True)
    for part in location:
        definition = _inside(definition, part, full)
    for key, inside in _follow(definition, full).get("properties", {}).items():
        if isinstance(value := inside.get("default"), int | float | str) and value != "":
            shown = json.dumps(value).strip('"')
            return f"; for example {location[-1]}: {{{key}: {shown}}}" if location else ""
    return ""


def _unknown(schema: type[BaseModel], location: Path, owner: str) -> str:
    """What is wrong with a key that nothing reads, and what may have been meant."""
    name, known = str(location[-1]), _known_keys(schema, location[:-1])
    sections = [section for section, keys in _sections(schema) if name in keys and section]
    top = next(_sections(schema))[1]
    in_list = any(isinstance(part, int) for part in location)
    if sections and not owner and not in_list:
        return f"unknown key '{name}'; it belongs in {' or '.join(sections)}"
    if name in top and not owner and not in_list:
        return f"unknown key '{name}'; it belongs at the top, beside {location[0]}"
    listed = did_you_mean(name, known) or (f" (known: {', '.join(known)})" if known else "; it has none")
    return f"unknown key '{name}'{owner}{listed}"


def _of(location: Path) -> str:
    """Which part of the grid stands at ``location``."""
    inside = ".".join(part for part in location if isinstance(part, str))
    return f" in {inside}" if inside else ""


def _sections(schema: type[BaseModel]) -> Iterator[tuple[str, list[str]]]:
    """Every mapping inside ``schema`` that is in no list, as a dotted path, and its keys."""
    full = schema.model_json_schema(by_alias=True)
    waiting: list[tuple[str, dict[str, Any]]] = [("", full)]
    while waiting:
        path, definition = waiting.pop(0)
        properties = definition.get("properties", {})
        yield path, list(properties)
        for key, inner in properties.items():
            waiting.append((f"{path}.{key}".lstrip("."), _follow(inner, full)))


def _known_keys(schema: type[BaseModel], location: Path) -> list[str]:
    """Keys that the model at ``location`` inside ``schema`` accepts."""
    definition = full = schema.model_json_schema(by_alias=True)
    for part in location:
        definition = _inside(definition, part, full)
    return sorted(_follow(definition, full).get("properties", {}))


def _inside(definition: dict[str, Any], part: str | int, full: dict[str, Any]) -> dict[str, Any]:
    """What ``definition`` says of one of its keys or items."""
    definition = _follow(definition, full)
    if isinstance(part, int):
        return dict(definition.get("items", {}))
    named, others = definition.get("properties", {}), definition.get("additionalProperties")
    return dict(named.get(part, others if isinstance(others, dict) else {}))


def _follow(definition: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    """Resolve a reference; of several variants take the first that has keys, else the first but null."""
    if variants := _members(definition):
        return _follow(next((one for one in variants if "$ref" in one), variants[0]), full)
    if "$ref" in definition:
        return dict(full["$defs"][definition["$ref"].rpartition("/")[2]])
    return definition


def _members(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a union but null, in JSON Schema's two words for it."""
    found: list[dict[str, Any]] = definition.get("anyOf", definition.get("oneOf", []))
    return [one for one in found if one.get("type") != "null"]
