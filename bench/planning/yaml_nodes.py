"""Read YAML into plain values and remember where each one stood.

Differences to PyYAML's safe loader, all of them traps in a grid: ``1e-4`` is a number, ``on`` and ``yes``
are text, ``010`` is no octal number, a repeated key is an error. No tag ever constructs anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bench.errors import ConfigError, Problem

Path = tuple[str | int, ...]
Mark = tuple[str, int, int]

#: As the last part of a path: the key itself, not its value.
KEY = "<key>"

#: More values than any grid needs; aliases that multiply stop here instead of filling the memory.
MAX_VALUES = 20_000


class _Loader(yaml.SafeLoader):
    """Plain scalars by the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own class attribute)


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


@dataclass
class Document:
    """Plain values, the place (file, line, column; from 1) of every value and key, and faults found."""

    value: Any
    file: str
    marks: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: Path) -> Mark:
        """Where the value at ``path`` stands, or the nearest thing around it."""
        path = self.place(path)
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, (self.file, 1, 1))

    def place(self, path: Path) -> Path:
        """``path`` as the file has it: a single value that stands for a list of one has no index."""
        value, found = self.value, []
        for part in path:
            if isinstance(part, str):
                value = value.get(part) if isinstance(value, dict) else None
            elif isinstance(value, list):
                value = value[part] if part < len(value) else None
            else:
                continue
            found.append(part)
        return tuple(found)

    def problem(self, path: Path, message: str) -> Problem:
        """A fault at ``path``."""
        return Problem(*self.mark(path), message)

    def set(self, path: Path, other: Document) -> None:
        """Replace the value at ``path`` by another document (``--set``), making mappings on the way.

        The value and the mappings that were made stand where ``other`` does.
        """
        target, depth, made = self.value, 0, len(path)
        while depth < len(path) - 1 and isinstance(target, dict):
            depth += 1
            if path[depth - 1] not in target:
                made = min(made, depth)
            target = target.setdefault(path[depth - 1], {})
        if not isinstance(target, dict):
            whole = ".".join(map(str, path[:depth]))
            message = f"{whole} is no mapping, and parts of it cannot be set; give all of it: {whole}=..."
            self.problems.append(other.problem((), message))
            return
        target[path[-1]] = other.value
        self.marks = {old: mark for old, mark in self.marks.items() if old[: len(path)] != path}
        for depth in range(made, len(path) + 1):
            self.marks[path[:depth]] = self.marks[(*path[:depth], KEY)] = other.mark(())
        self.marks.update({(*path, *inner): mark for inner, mark in other.marks.items()})
        self.problems += other.problems


def parse(text: str, file: str) -> Document:
    """Parse one YAML document.

    Raises:
        ConfigError: the text is not YAML; faults that leave something to work with are in ``problems``.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (1, 1)
        raise ConfigError([Problem(file, line, column, f"not valid YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(file, 1, 1, f"not valid YAML: {error}")]) from error
    document = Document(None, file)
    if node is not None:
        document.value = _Walk(file, loader, document).value(node, (), ())
    return document


class _Walk:
    """Turns nodes into values, noting marks and faults in the document."""

    def __init__(self, file: str, loader: _Loader, document: Document) -> None:
        self.file, self.loader, self.document = file, loader, document

    def value(self, node: yaml.Node, path: Path, parents: tuple[int, ...]) -> Any:
        mark = (self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.marks[path] = mark
        if id(node) in parents or len(self.document.marks) > MAX_VALUES:
            raise ConfigError([Problem(*mark, "an alias that contains itself, or far too many values")])
        inside = (*parents, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i), inside) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, inside)
        return self._scalar(node, mark)

    def _mapping(self, node: yaml.MappingNode, path: Path, parents: tuple[int, ...]) -> Mapping[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = (self.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.problems.append(Problem(*place, "a key must be plain text"))
                continue
            key = str(key_node.value)
            if key in result:
                self.document.problems.append(Problem(*place, f"duplicate key '{key}'; remove one of them"))
                continue
            result[key] = self.value(value_node, (*path, key), parents)
            self.document.marks[(*path, key, KEY)] = place
        return result

    def _scalar(self, node: yaml.Node, mark: Mark) -> Any:
        kind = node.tag.rpartition(":")[2]
        text = str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            if kind in {"int", "float"}:
                return int(text) if kind == "int" else float(text)
        except ValueError:
            kind = node.tag
        if kind != "str":
            self.document.problems.append(
                Problem(*mark, f"tag {node.tag} is not allowed; write plain values")
            )
        return text
