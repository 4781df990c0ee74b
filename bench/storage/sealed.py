"""JSON files that say of themselves whether they are as they were written.

The last entry of the object is a digest of every byte before it, on a line of its own. A file that was cut,
changed or written by hand has none, or a wrong one; and a reader who knows nothing of this finds JSON.
Line ends do not count: git and archivers turn them into those of their system.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

#: What a reader finds: the digest is right, or wrong, or there is none.
State = Literal["whole", "changed", "unsealed"]

#: The name of the last entry.
SEAL = "sealed"

_END = re.compile(rb',\n "sealed": "([0-9a-f]{64})"\n}\n')
_LENGTH = len(b',\n "sealed": ""\n}\n') + 64


def sealed(value: dict[str, Any]) -> str:
    """The JSON of an object with at least one entry, with its digest at the end.

    Raises:
        ValueError: it holds a number that is none.
    """
    text = json.dumps(value, indent=1, allow_nan=False).removesuffix("\n}")
    return f'{text},\n "{SEAL}": "{sha256(text.encode())}"\n}}\n'


def state(content: bytes) -> State:
    """Whether the content of a file is what ``sealed`` has made."""
    content = unix_lines(content)
    end = _END.fullmatch(content, max(0, len(content) - _LENGTH))
    if end is None:
        return "changed" if f'"{SEAL}"'.encode() in content[-2 * _LENGTH :] else "unsealed"
    return "whole" if sha256(content[: end.start()]) == end[1].decode() else "changed"


def unix_lines(content: bytes) -> bytes:
    """A text with the line ends that it was written with; JSON has no others inside of its texts."""
    return content.replace(b"\r\n", b"\n")


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, or is none: of a pipe the end never comes.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path.read_bytes()


def file_sha256(path: Path) -> str | None:
    """The digest of a file, in hex; None where there is no regular file that can be read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
