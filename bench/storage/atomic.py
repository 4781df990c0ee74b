"""Write files at once or not at all, so that a crash never leaves half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.errors import UsageError


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which takes its place when the block ends; makes the folder too.

    Raises:
        UsageError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if path.is_dir():
            raise UsageError(f"{path}: a folder lies in the place of this file; remove it") from error
        raise UsageError(
            f"{path}: cannot write ({error.strerror or error}); choose a writable folder (--out, BENCH_CACHE)"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files below ``folder``, by their names in it: all, or none as long as there is no room for all.

    Raises:
        UsageError: the folder cannot be written.
    """
    with contextlib.ExitStack() as waiting:
        for name, data in contents.items():
            waiting.enter_context(written(folder / name)).write_bytes(data)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; see ``written``."""
    with written(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see ``written``."""
    write_bytes(path, text.encode("utf-8"))


def write_changed(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 unless the file has it already, which then only counts as written just now.

    So a finished run may be repeated where nothing can be written.

    Raises:
        UsageError: it is to be written, and the folder cannot be.
    """
    try:
        same = path.read_bytes() == text.encode("utf-8")
    except OSError:
        same = False
    if not same:
        write_text(path, text)
        return
    with contextlib.suppress(OSError):
        os.utime(path)


def write_new(path: Path, text: str) -> bool:
    """Write ``text`` as UTF-8 unless there is such a file: of several who try, the first one does.

    Returns:
        Whether it was written.
    """
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    write_text(own, text)
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:  # not every file system has links
        own.replace(path)
    finally:
        own.unlink(missing_ok=True)
    return True
