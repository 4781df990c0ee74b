"""Who may write what is stored: one user, or the group that shares a cache; and what to say who may not."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bench.errors import escaped

#: What the system says where another user, or nobody, may write.
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
#: What it says where something else lies than what belongs there.
FOREIGN = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY)


@contextlib.contextmanager
def as_its_folder(root: Path) -> Iterator[None]:
    """What is written inside may be written by the group, too, if ``root`` may be."""
    try:
        shared = bool(root.stat().st_mode & stat.S_IWGRP)
    except OSError:
        shared = False
    if not shared:
        yield
        return
    before = os.umask(0)
    os.umask(before & ~stat.S_IRWXG)
    try:
        yield
    finally:
        os.umask(before)


def why_unwritable(error: OSError, root: Path) -> str:
    """What cannot be written below ``root``, why, and the cure."""
    path = Path(os.fsdecode(error.filename)) if error.filename else root
    what = f"{escaped(str(path))}: cannot write ({error.strerror or error})"
    if error.errno in FOREIGN:  # of the path, or of one above it
        return (
            f"{what}; something else lies where the store has its own: remove it, or set BENCH_CACHE to a "
            "writable folder"
        )
    if error.errno in FORBIDDEN and (owner := _owner(path)):
        return (
            f"{what}; it is {owner}'s: set BENCH_CACHE to a folder of your own, or have {owner} share this "
            f"one with a group: chgrp -R GROUP {escaped(str(root))} && chmod -R g+rwXs {escaped(str(root))}"
        )
    return f"{what}; set BENCH_CACHE to a writable folder"


def _owner(path: Path) -> str | None:
    """The other user who owns what a path leads to, or the first folder above it that is there."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError, KeyError, NotImplementedError):
            return None if place.stat().st_uid == os.geteuid() else _name(place)
    return None


def _name(place: Path) -> str:
    try:
        return place.owner()
    except KeyError:  # a user of another machine
        return f"user {place.stat().st_uid}"
