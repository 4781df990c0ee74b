"""Write files at once or not at all, so that a crash never leaves half of one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to, which takes its place at the end; makes the folder if needed.

    If the block raises, ``path`` is as before, and nothing else is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` through a temporary file beside it; makes the folder if needed.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot write ({error.strerror or error}); choose a writable folder (--out, BENCH_CACHE)"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see ``write_bytes``."""
    write_bytes(path, text.encode("utf-8"))
