"""What this process may use of its machine: cores and memory, as far as the system and a container say.

A container limits both by control groups (``cgroup``, versions 1 and 2), which Python does not look at: on a
machine of 64 cores, one with a quota of two would get 64 jobs.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def cores(root: Path = ROOT) -> int:
    """Cores that this process may keep busy, at least 1."""
    # Not everywhere is there an affinity.
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for folder in _groups(root, "cpu") if (quota := _quota(folder))]
    return max(1, min(found, *quotas)) if quotas else found


def available_memory(root: Path = ROOT) -> int | None:
    """Bytes that can be taken without swapping; None where nobody knows."""
    known = [room for folder in _groups(root, "memory") if (room := _room(folder)) is not None]
    free = re.search(r"^MemAvailable:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if free:
        known.append(1024 * int(free[1]))
    return max(0, min(known)) if known else None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, innermost first.

    A container often sees its own group as the outermost one, under a name that leads nowhere.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        here = top / path.strip("/")
        yield from (folder for folder in (here, *here.parents) if folder.is_relative_to(top))


def _quota(folder: Path) -> float | None:
    """Cores by quota."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _room(folder: Path) -> int | None:
    """Bytes up to the limit; what the system only keeps of files counts as free."""
    for limit, used, kept in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _text(folder / limit), _text(folder / used)
        if most.isdigit() and now.isdigit():
            files = re.search(rf"^{kept} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
            return int(most) - int(now) + (int(files[1]) if files else 0)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
