"""File systems of a few kilobytes, which are full when a test says so."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A file system in memory, mounted at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kilobytes: int) -> None:
        """Give it another size."""
        _mount("-o", f"remount,size={kilobytes}k", self.path)

    def lock(self) -> None:
        """Let nobody write to it, the superuser neither."""
        _mount("-o", "remount,ro", self.path)


@contextlib.contextmanager
def mounted(path: Path, kilobytes: int) -> Iterator[Disk]:
    """A disk at ``path``; the test is skipped where nobody may mount one."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)
