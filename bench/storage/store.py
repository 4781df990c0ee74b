"""Content-addressed artifacts: finished work under the hash of everything that determines it.

An artifact is a folder ``<root>/<kind>/<slug>-<12 hex digits>``. It is written under a temporary name,
checksummed and renamed, so it is there whole or not at all. What does not match its checksums is set
aside with a warning and made again. Tensors are safetensors, the rest is JSON; nothing is unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from bench.errors import UsageError
from bench.storage.keys import KEY_DIGITS, file_name

log = logging.getLogger(__name__)

INDEX = "artifact.json"


def default_root() -> Path:
    """``$BENCH_CACHE`` or the platform's cache folder for this program."""
    return Path(os.environ.get("BENCH_CACHE") or user_cache_path("hash-pareto"))


class Store:
    """Artifacts below ``root``; several processes may use one store at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    def path(self, kind: str, slug: str, key: str) -> Path:
        """Folder of an artifact, whether it exists or not."""
        return self.root / kind / file_name(slug, key)

    def find(self, kind: str, key: str) -> Path | None:
        """Folder of the finished artifact with the full ``key``, whatever its slug; None if there is none."""
        for index in sorted(self.root.glob(f"{kind}/*-{key[:KEY_DIGITS]}/{INDEX}")):
            if (self.index(index.parent) or {}).get("key") == key:
                return index.parent
        return None

    def index(self, folder: Path) -> dict[str, Any] | None:
        """What ``artifact.json`` says, None if there is no finished artifact of any use in ``folder``."""
        try:
            content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and "files" in content else None

    def verify(self, folder: Path) -> dict[str, Any] | None:
        """The index of an intact artifact; None if there is none. A damaged one is set aside first."""
        index = self.intact(folder)
        if index is None and folder.exists():
            with self.lock(folder):  # it looks damaged while another run puts it there
                index = self.intact(folder)
                if index is None and folder.exists():
                    self._set_aside(folder)
        return index

    def intact(self, folder: Path) -> dict[str, Any] | None:
        """The same, and a damaged artifact stays where it is: for who only reads."""
        index = self.index(folder)
        if index is None or str(folder) in self._verified:
            return index
        files = index["files"].items()
        if any(_sha256(folder / name) != expected["sha256"] for name, expected in files):
            return None
        self._verified.add(str(folder))
        return index

    def partial(self, folder: Path) -> Path:
        """A folder for what an unfinished artifact wants to find again after an interruption.

        It belongs to who holds the lock, and goes when the artifact is there.
        """
        place = self.root / "partial" / folder.name
        place.mkdir(parents=True, exist_ok=True)
        return place

    @contextmanager
    def lock(self, folder: Path) -> Iterator[None]:
        """Hold the artifact, also twice: a second process waits here and then finds the work done."""
        path = self.root / "locks" / f"{folder.name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, is_singleton=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                log.info("waiting for another run that makes %s", folder.name)
                lock.acquire()
        except OSError as error:
            raise UsageError(
                f"{self.root}: cannot write ({error.strerror or error}); set BENCH_CACHE to a writable folder"
            ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def write(self, folder: Path, about: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Fill a temporary folder, then make it the artifact at once; hold the lock.

        Yields:
            The folder to write files into, and a dict to put the artifact's JSON summary into, with
            ``seconds_before`` if earlier runs had a share in it. If the block raises, nothing is left
            behind but the partial folder.
        """
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        for left_by_a_killed_run in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
        temporary.mkdir(parents=True)
        summary: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            yield temporary, summary
            files = {
                str(path.relative_to(temporary)): {"sha256": _sha256(path), "bytes": path.stat().st_size}
                for path in sorted(temporary.rglob("*"))
                if path.is_file()
            }
            before = float(summary.pop("seconds_before", 0.0))
            seconds = round(time.perf_counter() - started + before, 3)
            index = {**about, "seconds": seconds, "created": time.time(), "summary": summary, "files": files}
            (temporary / INDEX).write_text(json.dumps(index, indent=1, allow_nan=False), encoding="utf-8")
            # Libraries that write tensors keep them from everybody else, whatever the user's mask says.
            for name in files:
                (temporary / name).chmod((temporary / INDEX).stat().st_mode)
            replaced = folder.with_name(f".{folder.name}.replaced")
            if folder.exists():
                folder.rename(replaced)  # not removed yet: who reads it must not find half of it
            temporary.rename(folder)
            for done_with in (replaced, self.root / "partial" / folder.name):
                shutil.rmtree(done_with, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._verified.discard(str(folder))

    def copy(self, folder: Path, to: Store) -> None:
        """Copy an artifact into another store, where it is then whole or not at all.

        Raises:
            OSError: it cannot be read or written, or the copy is not what its checksums say.
        """
        copied = to.root / folder.relative_to(self.root)
        temporary = copied.with_name(f".{copied.name}.{os.getpid()}")
        for left_by_a_killed_run in copied.parent.glob(f".{copied.name}.*"):
            shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
        index = self.index(folder) or {"files": {}}
        try:
            for name in (*index["files"], INDEX):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, temporary / name)
            if to.intact(temporary) is None:
                raise OSError(errno.EIO, "the copy differs from what was copied", str(copied))
            if copied.exists():
                shutil.rmtree(copied)
            temporary.rename(copied)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def history(self) -> Iterator[dict[str, Any]]:
        """The index of every finished artifact, for estimating what work costs."""
        for path in sorted(self.root.glob(f"*/*/{INDEX}")):
            index = self.index(path.parent)
            if index is not None:
                yield index

    def _set_aside(self, folder: Path) -> None:
        aside = self.root / "damaged" / f"{folder.name}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        # Rows that an interrupted run has left may be the same file by another name.
        shutil.rmtree(self.root / "partial" / folder.name, ignore_errors=True)
        log.warning("%s is damaged or incomplete; set aside as %s and made again", folder.name, aside)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
