"""Whether machines of a cluster can share a folder: what claims and artifacts rely on, tried there.

One machine alone cannot see everything: it finds a file system that does not keep its promises even here, and
one that no other machine has.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "doubt", "bad"]

#: File systems of one machine, and those that are known to create and rename files in several steps.
LOCAL = {"btrfs", "ext2", "ext3", "ext4", "exfat", "overlay", "ramfs", "tmpfs", "vfat", "xfs", "zfs"}
UNSAFE = {"fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "fuse.s3fs"}
#: Processes that try at once, and how often.
RIVALS, ROUNDS = 8, 20
#: Bytes that a grid should find free at least.
ROOM = 10e9
#: Seconds that the clock of the file server may be off, and that its times may be coarse.
SKEW, COARSE = 5.0, 1.0
#: File operations of a worker for a stage, and seconds of them that nobody notices.
OPERATIONS, UNNOTICED = 15, 0.6


@dataclass(frozen=True)
class Finding:
    """What was found of one thing that is relied on.

    Attributes:
        verdict: ``doubt`` = works with what the text says; ``bad`` = workers must not share this folder.
    """

    name: str
    verdict: Verdict
    text: str


def examine(folder: Path) -> list[Finding]:
    """Try everything in a folder of its own inside ``folder``, and leave nothing there; takes seconds.

    Raises:
        OSError: there is no such folder, or it cannot be written at all.
    """
    place = folder / f".doctor.{secrets.token_hex(8)}"
    place.mkdir()
    try:
        checks = (_creation, _renames, _links, _clock, _speed, _room)
        return [_kind(folder), *(check(place) for check in checks)]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _kind(folder: Path) -> Finding:
    found = file_system(folder)
    if found in LOCAL:
        text = f"{found}, a disk of this machine: others see another folder here"
        return Finding("file system", "doubt", text)
    if found in UNSAFE:
        return Finding("file system", "bad", f"{found} renames and creates files in several steps")
    return Finding("file system", "ok", found or "unknown")


def file_system(folder: Path) -> str:
    """Type of the file system that holds ``folder``, as Linux names it; empty elsewhere."""
    where, found, longest = str(folder.resolve()), "", -1
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, mounted, kind, *_ = line.split()
            mounted = mounted.encode().decode("unicode_escape")  # spaces are \040 there
            inside = where == mounted or where.startswith(mounted.rstrip("/") + "/")
            if inside and len(mounted) >= longest:  # the last one hides those below it
                found, longest = kind, len(mounted)
    return found


def _creation(place: Path) -> Finding:
    def create(path: Path) -> bool:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        return True

    winners = [_winners([partial(create, place / f"claim{n}")] * RIVALS) for n in range(ROUNDS)]
    if set(winners) == {1}:
        return Finding("claims", "ok", f"one of {RIVALS} wins, in {ROUNDS} rounds")
    text = f"{max(winners)} of {RIVALS} have created the same file: two workers would make the same stage"
    return Finding("claims", "bad", text)


def _renames(place: Path) -> Finding:
    """Of files, which one process can take away; of folders, which must not replace one that has content."""

    def take(path: Path, number: int) -> bool:
        try:
            path.rename(path.with_name(f"taken{number}"))
        except FileNotFoundError:
            return False
        return True

    for _ in range(ROUNDS):
        (path := place / "one").write_bytes(b"1")
        if (count := _winners([partial(take, path, number) for number in range(RIVALS)])) != 1:
            return Finding("rename", "bad", f"{count} of {RIVALS} have renamed the same file")
    first, second = place / "first", place / "second"
    for made in (first, second):
        made.mkdir()
        (made / "file").write_bytes(made.name.encode())
    try:
        second.rename(first)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            return Finding("rename", "bad", f"folders: {error.strerror or error}")
    if (first / "file").read_bytes() != b"first":
        return Finding("rename", "bad", "a folder takes the place of another one: artifacts could be mixed")
    (third := place / "third").write_bytes(b"new")
    (old := place / "old").write_bytes(b"old")
    third.replace(old)
    if old.read_bytes() != b"new":
        return Finding("rename", "bad", "a file that was replaced has its old content")
    return Finding("rename", "ok", f"one of {RIVALS} wins, in {ROUNDS} rounds; folders are never mixed")


def _links(place: Path) -> Finding:
    (path := place / "linked").write_bytes(b"1")
    try:
        os.link(path, place / "link")
    except OSError as error:
        why = error.strerror or str(error)
        return Finding("hard links", "doubt", f"none ({why}): of two records of a cell, the last one stays")
    return Finding("hard links", "ok", "kept")


def _clock(place: Path) -> Finding:
    """Whether the server notes when a file was written, how exactly, and how far its clock is off."""
    path = place / "clock"
    path.write_bytes(b"0")
    before, skew = path.stat().st_mtime_ns, path.stat().st_mtime - time.time()
    began, step = time.monotonic(), 0.0
    with path.open("r+b", buffering=0) as file:
        while (now := time.monotonic() - began) < 3 * COARSE:
            file.seek(0)
            file.write(b"1")
            if os.fstat(file.fileno()).st_mtime_ns > before:
                step = now
                break
            time.sleep(0.005)
        else:
            text = "a file that is written keeps its time: every worker would seem dead"
            return Finding("signs of life", "bad", text)
    said = f"times move within {max(1e3 * step, 1):.0f} ms"
    if step > COARSE:
        return Finding("signs of life", "doubt", f"{said}: pass --lease 60 or more")
    harm = ", which does no harm" if abs(skew) > SKEW else ""
    off = f"{skew:+.1f} s off{harm}" if abs(skew) >= 0.05 else "right"
    return Finding("signs of life", "ok", f"{said}; the server's clock is {off}")


def _speed(place: Path) -> Finding:
    began = time.perf_counter()
    for n in range(ROUNDS):
        path = place / f"quick{n}"
        path.write_bytes(b"1")
        path.read_bytes()
        path.rename(path.with_suffix(".renamed"))
        path.with_suffix(".renamed").unlink()
        os.listdir(place)
    each = (time.perf_counter() - began) / (5 * ROUNDS)
    text = f"{1e3 * each:.2g} ms an operation, about {1e3 * OPERATIONS * each:.2g} ms a stage"
    return Finding("speed", "ok" if OPERATIONS * each <= UNNOTICED else "doubt", text)


def _room(place: Path) -> Finding:
    space = os.statvfs(place)
    free, files = space.f_bavail * space.f_frsize, space.f_favail
    text = f"{free / 1e9:,.0f} GB free"
    if space.f_files and files < 100_000:
        return Finding("room", "doubt", f"{text}, but for {files:,} files only")
    return Finding("room", "ok" if free >= ROOM else "doubt", text)


def _winners(rivals: list[Callable[[], bool]]) -> int:
    """How many of those that start at once succeed."""
    with ThreadPoolExecutor(len(rivals)) as pool:
        return sum(pool.map(lambda rival: rival(), rivals))
