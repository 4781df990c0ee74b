"""Dataclasses read from JSON, strictly: the same keys on both sides, and values that pass a check.

A field with a check is ``Annotated[type, check]``; one with a default may be absent. Programs that encode run
without pydantic, which checks the suite's other files.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from bench.errors import did_you_mean, shortened

Block = TypeVar("Block")
#: Takes a JSON value and what it is called; returns what the field holds, or raises ``BlockError``.
Check = Callable[[Any, str], Any]


class BlockError(Exception):
    """What is wrong with an object or a value in it."""


def read(kind: type[Block], data: Any, name: str = "") -> Block:
    """A ``kind`` from a JSON object of its checked fields.

    Raises:
        BlockError: not an object, unknown or missing keys, or a value that its field does not take.
    """
    if not isinstance(data, dict):
        raise BlockError(f"{name or 'it'} must be an object, not {shown(data)}")
    checks, inside = _checks(kind), f" in {name}" if name else ""
    for key in data:
        if key not in checks:
            raise BlockError(f"unknown key '{_key(key)}'{inside}{did_you_mean(key, checks)}")
    usual = _defaults(kind)
    if missing := next((key for key in checks if key not in data and key not in usual), None):
        raise BlockError(f"no key '{missing}'{inside}")
    given = {key: check for key, check in checks.items() if key in data}
    return kind(**{key: check(data[key], f"{name}.{key}" if name else key) for key, check in given.items()})


def to_json(block: Any) -> dict[str, Any]:
    """The JSON object that ``read`` makes the same block of, without what has its default."""
    usual = _defaults(type(block))
    found = {name: getattr(block, name) for name in _checks(type(block))}
    return {name: _plain(value) for name, value in found.items() if name not in usual or value != usual[name]}


def _defaults(kind: type[Any]) -> dict[str, Any]:
    fields = dataclasses.fields(kind)
    return {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}


def _checks(kind: type[Any]) -> dict[str, Check]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated}


def shown(value: Any) -> str:
    """A JSON value as it is written, its middle left out where it is long."""
    try:
        return shortened(json.dumps(value), 60)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def whole(least: int, most: int) -> Check:
    """A whole number from ``least`` to ``most``."""

    def check(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BlockError(f"{name} must be a whole number from {least} to {most}, not {shown(value)}")
        return value

    return check


def side_or_sides(most: int) -> Check:
    """The side of a square in pixels, or height and width, each at most ``most``."""

    def check(value: Any, name: str) -> int | tuple[int, int]:
        side = whole(1, most)
        if not isinstance(value, list):
            return cast(int, side(value, name))
        height, width = listed(side, 2)(value, name)
        return height, width

    return check


def real(least: float, most: float) -> Check:
    """A number from ``least`` to ``most``."""

    def check(value: Any, name: str) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not least <= value <= most:
            raise BlockError(f"{name} must be a number from {least:g} to {most:g}, not {shown(value)}")
        return float(value)

    return check


def truth(value: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BlockError(f"{name} must be true or false, not {shown(value)}")
    return value


def text(value: Any, name: str) -> str:
    """Any string."""
    if not isinstance(value, str):
        raise BlockError(f"{name} must be a string, not {shown(value)}")
    return value


def matching(pattern: str, what: str) -> Check:
    """A string that is ``what``, as the whole of ``pattern`` says."""

    def check(value: Any, name: str) -> str:
        if not re.fullmatch(pattern, text(value, name)):
            raise BlockError(f"{name} must be {what}, not {shown(value)}")
        return str(value)

    return check


def one_of(*choices: str) -> Check:
    """One of some strings."""

    def check(value: Any, name: str) -> str:
        if value not in choices:
            raise BlockError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}")
        return str(value)

    return check


def optional(inner: Check) -> Check:
    """null, or what ``inner`` takes."""
    return lambda value, name: None if value is None else inner(value, name)


def listed(inner: Check, length: int | None = None) -> Check:
    """A list, of ``length`` if that is given, of what ``inner`` takes; a tuple in the block."""

    def check(value: Any, name: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != (len(value) if length is None else length):
            which = "a list" if length is None else f"a list of {length}"
            raise BlockError(f"{name} must be {which}, not {shown(value)}")
        return tuple(inner(item, f"{name}[{place}]") for place, item in enumerate(value))

    return check


def mapping(inner: Check) -> Check:
    """An object whose values ``inner`` takes, under any keys."""

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BlockError(f"{name} must be an object, not {shown(value)}")
        return {key: inner(item, f"{name}.{_key(key)}") for key, item in value.items()}

    return check


def anything(value: Any, _: str) -> Any:
    """Whatever JSON holds."""
    return value


def block(kind: type[Any]) -> Check:
    """An object that is read as ``kind``."""
    return lambda value, name: read(kind, value, name)


def _key(key: str) -> str:
    return shortened(json.dumps(key)[1:-1], 60)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
