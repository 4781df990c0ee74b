"""From the bytes of a YAML file to its nodes, whatever the bytes are: within bounds, and with a place.

A grid may come from anywhere. Nothing in it may cost more than a moment or end in anything but one line: not
its size, nor its depth, nor characters that no text has.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from bench.errors import ConfigError, Problem, UsageError, close

#: More than any grid needs: bytes of a file, mappings and lists inside each other, values. An alias counts as
#: often as it is used, and so do its characters, of which there may be as many as bytes.
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1_000_000, 64, 20_000

#: What YAML allows nowhere but as an escape, which is no part of a name, a path or a number either.
UNFIT = yaml.reader.Reader.NON_PRINTABLE
#: Where PyYAML begins a new line.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def read(path: Path, what: str, option: str) -> str:
    """The text of a file.

    Args:
        what: it is, for messages.
        option: by which it was given.

    Raises:
        UsageError: it cannot be read.
        ConfigError: it is no text, or too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        cure = _meant(path) or f"; pass {option} FILE"
        raise UsageError(f"{path}: cannot read {what} ({reason}){cure}") from error
    except ValueError as error:  # a NUL in its name
        raise UsageError(f"{path}: cannot read {what} ({error}); pass {option} FILE") from error
    if len(data) > MAX_BYTES:
        message = f"more than {MAX_BYTES:,} bytes, which {what} never needs; divide it into several files"
        raise ConfigError([Problem(str(path), 1, 1, message)])
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in {data[:1], data[1:2]}:
        raise ConfigError([Problem(str(path), 1, 1, "this is UTF-16 or UTF-32; save the file as UTF-8")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        message = f"byte 0x{data[error.start]:02x} is no part of UTF-8; save the file as UTF-8"
        raise ConfigError([Problem(str(path), *_place(before), message)]) from error


def _meant(path: Path) -> str:
    """Files of nearly that name, beside it, here, or among the shipped grids."""
    folders = (Path("bench/grids"), Path(), path.parent)
    found = {file.name: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    near = [path.name] if path.name in found else close(path.name, found)
    return f"; did you mean {' or '.join(repr(str(found[name])) for name in near)}?" if near else ""


def nodes(text: str, file: str) -> yaml.Node | None:
    """The nodes of one YAML document; None of an empty one.

    Raises:
        ConfigError: it is none, or larger or deeper than any grid.
    """
    if unfit := UNFIT.search(text):
        message = f"character {named(unfit[0])}, which YAML does not allow; remove it"
        raise ConfigError([Problem(file, *_place(text[: unfit.start()]), message)])
    loader = _Loader(text)
    loader.name = file
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark or loader.get_mark()
        message = f"not valid YAML: {error.problem}"
        if str(error.problem).endswith("but got '['"):
            message += '; what has brackets in itself takes quotes: "map[unseen]"'
    except (
        ValueError,
        OverflowError,
    ) as error:  # an escape beyond the last character, a version of thousands of digits
        place, message = loader.get_mark(), f"not valid YAML: {error}"
    raise ConfigError([Problem(file, place.line + 1, place.column + 1, message)])


def named(character: str) -> str:
    """A character as one may look it up: ``U+001B``."""
    return f"U+{ord(character):04X}"


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows ``before``."""
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


class _Loader(yaml.SafeLoader):
    """Plain scalars by the YAML 1.2 core schema; stops where a document has more than any grid."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own class attribute)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node; counted, because PyYAML calls itself for every level."""
        self._values += 1
        if self._depth == MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} lists and mappings inside each other; a grid has a few")
        if self._values > 2 * MAX_VALUES:  # keys are nodes, too
            self._refuse(f"more than {MAX_VALUES:,} values; divide the grid into several")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, message: str) -> NoReturn:
        mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        raise ConfigError([Problem(self.name, mark.line + 1, mark.column + 1, message)])


_PLAIN = [
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
]
for _name, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), ["" if c == "\0" else c for c in _first]
    )
