"""What killed processes have left: temporary files and folders that nobody is at work on any more.

A process that is killed cannot tidy up, and what it wrote under a temporary name would lie there for good:
its artifact may have been made by another one meanwhile, or never be wanted again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.storage.store import Store

#: Files that ``atomic`` writes, until they have their names.
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.(tmp|new)")
#: Folders of a store that hold no artifacts.
_NO_KINDS = {"claims", "damaged", "partial"}


def tidy_store(store: Store) -> int:
    """Remove temporary artifacts whose claims nobody holds, what is left of others, and claims of the dead.

    Returns:
        How many there were.
    """
    finished: set[str] = set()
    left: dict[Path, list[Path]] = {}
    for kind in _folders(store.root):
        for name in os.listdir(kind):
            if not name.startswith("."):
                finished.add(name)
            elif owner := name[1:].rpartition(".")[0]:
                left.setdefault(kind / owner, []).append(kind / name)
    partial = store.root / "partial"
    for name in os.listdir(partial) if partial.is_dir() else ():
        owner = name.removeprefix(".").rpartition(".")[0]
        if owner in finished:
            left.setdefault(partial / owner, []).append(partial / name)
    removed = 0
    for folder, those in left.items():
        with store.claim(folder) as claim:  # who makes it holds it
            if claim is not None:
                for path in those:
                    shutil.rmtree(path, ignore_errors=True)
                    removed += not path.exists()
    with contextlib.suppress(OSError):  # there are none, or they can only be read
        store.claims.clear()
    return removed


def tidy_files(folders: Iterable[Path], older_than: float | None = None) -> int:
    """Remove temporary files that lie in ``folders``, whose writers are known to be gone.

    Args:
        older_than: a time of a file on the same server; what is younger stays.

    Returns:
        How many there were.
    """
    removed = 0
    for folder in folders:
        for path in _temporary(folder):
            with contextlib.suppress(OSError):
                if older_than is None or path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
    return removed


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir() and path.name not in _NO_KINDS]
    except OSError:
        return []


def _temporary(folder: Path) -> Iterator[Path]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    yield from (folder / name for name in names if TEMPORARY.fullmatch(name))
