"""What a plug-in's source is: its file, and the modules that it imports from beside it or below a folder.

Other packages are no part of it; they have versions.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

#: The suite's own packages, wherever a checkout of it is: releases have versions, and nodes have their own.
SUITE = {"bench", "models"}


def digest(path: Path, roots: Iterable[Path] = ()) -> str:
    """sha256 of a Python file and of the modules that it imports from its own folder and from ``roots``.

    It does not depend on where the folders are. Modules are read once in a process, as Python imports them.
    """
    found = hashlib.sha256(content := path.read_bytes())
    others = _imported(path, content, tuple({path.parent: None, **dict.fromkeys(roots)}), {path})
    for other in sorted(others, key=lambda other: (other.name, _sha256(other))):
        found.update(f"\n{other.name} {_sha256(other)}".encode())
    return found.hexdigest()


def _imported(path: Path, content: bytes, roots: tuple[Path, ...], seen: set[Path]) -> list[Path]:
    """The files of modules that a file imports, and those that they import."""
    found = []
    for place in _candidates(path, content, roots):
        if place not in seen and place.is_file():
            seen.add(place)
            found += [place, *_imported(place, place.read_bytes(), roots, seen)]
    return found


def _candidates(path: Path, content: bytes, roots: tuple[Path, ...]) -> Iterator[Path]:
    """Where the modules would lie that a file imports, in functions as well."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):  # whoever imports it is told
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (parts := alias.name.split("."))[0] not in SUITE:
                    yield from _module(roots, parts)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            places = (path.parents[node.level - 1],) if 0 < node.level <= len(path.parents) else roots
            for alias in node.names:
                if node.level or parts[0] not in SUITE:
                    yield from _module(places, [*parts, alias.name])
                # ``from bench.losses._centers import x``, said by a neighbour.
                yield from _module((path.parent,), [*parts[-1:], alias.name])


def _module(places: Iterable[Path], parts: list[str]) -> Iterator[Path]:
    """Each package on the way to a module, and the module; the last part may be what is taken out of it."""
    for place in places:
        for length in range(1, len(parts) + 1):
            inner = place.joinpath(*parts[:length])
            yield inner.with_name(f"{inner.name}.py")
            yield inner / "__init__.py"


@functools.cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
