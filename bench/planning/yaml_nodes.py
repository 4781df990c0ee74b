"""Read YAML into plain values and remember where each one stood.

Differences to PyYAML's safe loader, all of them traps in a grid: ``1e-4`` is a number, ``on`` and ``yes``
are text, ``010`` is no octal number, a repeated key is an error. No tag ever constructs anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bench.errors import ConfigError, Problem, shortened
from bench.planning import yaml_text
from bench.planning.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES

Path = tuple[str | int, ...]
Mark = tuple[str, int, int]

#: As the last part of a path: the key itself, not its value.
KEY = "<key>"


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
        ConfigError: the text is not YAML, or larger than any grid; faults that leave something to work with
            are in ``problems``.
    """
    node = yaml_text.nodes(text, file)
    document = Document(None, file)
    if node is not None:
        document.value = _Walk(file, document).value(node, (), ())
    return document


class _Walk:
    """Turns nodes into values, noting marks and faults in the document."""

    def __init__(self, file: str, document: Document) -> None:
        self.file, self.document, self.characters = file, document, 0

    def value(self, node: yaml.Node, path: Path, parents: tuple[int, ...]) -> Any:
        mark = (self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.marks[path] = mark
        if id(node) in parents:
            raise ConfigError([Problem(*mark, "an alias that contains itself; write what it stands for")])
        # PyYAML has counted what is written; aliases can make more of it.
        if len(parents) > MAX_DEPTH or len(self.document.marks) > MAX_VALUES or self.characters > MAX_BYTES:
            raise ConfigError([Problem(*mark, "far too many values; divide the grid into several")])
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
            key = self._text(key_node, place)
            if key in result:
                self.document.problems.append(Problem(*place, f"duplicate key '{key}'; remove one of them"))
                continue
            result[key] = self.value(value_node, (*path, key), parents)
            self.document.marks[(*path, key, KEY)] = place
        return result

    def _scalar(self, node: yaml.Node, mark: Mark) -> Any:
        kind = node.tag.rpartition(":")[2]
        text = self._text(node, mark)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in {"int", "float"}:
            return self._number(text, kind, mark)
        if kind != "str":
            self.document.problems.append(
                Problem(*mark, f"tag {node.tag} is not allowed; write plain values")
            )
        return text

    def _number(self, text: str, kind: str, mark: Mark) -> int | float | str:
        """What ``text`` says; itself, after noting a fault, where that is no number or larger than any."""
        try:
            number = int(text) if kind == "int" else float(text)
            if math.isfinite(float(number)):
                return number
            fault = f"{shortened(text, 40)} is larger than any number can be"
        except OverflowError:
            fault = f"{shortened(text, 40)} is larger than any number can be"
        except ValueError:  # an explicit tag before something else, or thousands of digits
            fault = f"'{shortened(text, 40)}' is no number"
        self.document.problems.append(Problem(*mark, f"{fault}; write a plain one"))
        return text

    def _text(self, node: yaml.Node, mark: Mark) -> str:
        """What stands at ``node``, after noting characters that came by an escape and belong nowhere."""
        text = str(node.value)
        self.characters += len(text)
        if unfit := yaml_text.UNFIT.search(text):
            message = f"character {yaml_text.named(unfit[0])}, by an escape; leave it out"
            self.document.problems.append(Problem(*mark, message))
            return yaml_text.UNFIT.sub("", text)
        return text
