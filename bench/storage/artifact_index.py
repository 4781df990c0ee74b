"""``artifact.json``: what an artifact is and which files it has. It is believed if it is as it was written.

Format 2 ends in a digest of itself, see ``sealed``. What earlier versions have written has none: it is
believed if it is made of what it should be made of, so that nobody has to train again.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from bench.storage import sealed
from bench.storage.keys import KEY_DIGITS

INDEX = "artifact.json"

#: Raised by one when earlier versions would misread it.
FORMAT = 2


def text(content: dict[str, Any]) -> str:
    """The file for ``content``: what was made of what, ``seconds``, ``summary`` and ``files``."""
    return sealed.sealed({"format": FORMAT, **content})


def read(folder: Path) -> dict[str, Any] | None:
    """What the index in an artifact's folder says; None where it is of no use, or another artifact's."""
    try:
        path = folder / INDEX
        if not path.is_file():  # a pipe would be waited for
            return None
        content = path.read_bytes()
    except OSError:
        return None
    index = parsed(content)
    return index if index is not None and _is_of(index, folder) else None


def parsed(content: bytes) -> dict[str, Any] | None:
    """What an index says; None where it is not as it was written."""
    state = sealed.state(content)
    if state == "changed":
        return None
    try:
        index = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(index, dict) or (state == "unsealed" and "format" in index):
        return None
    index.pop(sealed.SEAL, None)
    return index if _is_one(index) else None


def _is_one(index: dict[str, Any]) -> bool:
    """Whether everybody who reads it finds what is looked for."""
    files, seconds = index.get("files"), index.get("seconds")
    return (
        isinstance(files, dict)
        and all(_is_file(name, entry) for name, entry in files.items())
        and isinstance(seconds, int | float)
        and isinstance(index.get("summary"), dict)
        and isinstance(index.get("inputs", {}), dict)
        and isinstance(index.get("images", 0), int)
    )


def _is_file(name: str, entry: Any) -> bool:
    path = PurePosixPath(name)
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    return (
        inside
        and isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("bytes"), int)
    )


def _is_of(index: dict[str, Any], folder: Path) -> bool:
    """Whether an index lies where it belongs: under its kind, and in a folder named by its key.

    While it is made, or is on its way, that folder's name has a dot before it and an ending.
    """
    name = folder.name[1:].rpartition(".")[0] if folder.name.startswith(".") else folder.name
    kind, key = index.get("kind", folder.parent.name), index.get("key")
    return kind == folder.parent.name and (key is None or name.endswith(f"-{str(key)[:KEY_DIGITS]}"))
