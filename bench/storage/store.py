"""Content-addressed artifacts: finished work under the hash of everything that determines it.

An artifact is a folder ``<root>/<kind>/<slug>-<12 hex digits>``. It is written under a temporary name,
checksummed and renamed, so it is there whole or not at all. What does not match its checksums, or whose index
(``artifact_index``) does not match its own, is set aside with a warning and made again. Tensors are
safetensors, the rest is JSON; nothing is unpickled.

Who makes an artifact holds the claim on it, see ``claims``. Should two make it all the same, as one was
thought dead, renaming decides: what the first has put there stays.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from bench.errors import UsageError
from bench.storage import artifact_index, claims
from bench.storage.artifact_index import INDEX
from bench.storage.claims import Claim, ClaimLostError, Claims
from bench.storage.keys import KEY_DIGITS, file_name
from bench.storage.permissions import FORBIDDEN, why_unwritable
from bench.storage.sealed import file_sha256

log = logging.getLogger(__name__)


def default_root() -> Path:
    """``$BENCH_CACHE`` or the platform's cache folder for this program."""
    return Path(os.environ.get("BENCH_CACHE") or user_cache_path("hash-pareto"))


class Store:
    """Artifacts below ``root``; processes of several machines may use one store at a time.

    Args:
        lease: seconds of silence after which what a process makes may be made by another one.
    """

    def __init__(self, root: Path, lease: float = claims.LEASE) -> None:
        self.root, self.claims = root, Claims(root / "claims", lease)
        self._verified: set[str] = set()
        self._held: dict[str, Claim] = {}

    def __reduce__(self) -> tuple[type[Store], tuple[Path, float]]:
        """What this process holds, another one does not."""
        return Store, (self.root, self.claims.lease)

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
        return artifact_index.read(folder)

    def verify(self, folder: Path) -> dict[str, Any] | None:
        """The index of an intact artifact; None if there is none. A damaged one is set aside first."""
        index = self.intact(folder)
        if index is None and os.path.lexists(folder):
            with self.claim(folder) as claim:  # it looks damaged while another run puts it there
                index = self.intact(folder)
                if claim is not None and index is None and os.path.lexists(folder):
                    self._set_aside(folder)
        return index

    def intact(self, folder: Path) -> dict[str, Any] | None:
        """The same, and a damaged artifact stays where it is: for who only reads."""
        index = self.index(folder)
        if index is None or str(folder) in self._verified:
            return index
        files = index["files"].items()
        if any(file_sha256(folder / name) != expected["sha256"] for name, expected in files):
            return None
        self._verified.add(str(folder))
        return index

    def partial(self, folder: Path) -> Path:
        """A folder for what an unfinished artifact wants to find again after an interruption.

        It belongs to the claim that this process holds, with what earlier holders have left, and goes when
        the artifact is there.

        Raises:
            ClaimLostError: another process makes the artifact by now.
        """
        claim = self._held.get(folder.name)
        place = self.root / "partial" / f"{folder.name}.{claim.token if claim else 0}"
        if not place.exists():
            if claim and not claim.held():  # what is there is another process's
                raise ClaimLostError
            place.parent.mkdir(parents=True, exist_ok=True)
            left = max(self._left(folder), key=_changed, default=None)
            if left is None:
                place.mkdir(exist_ok=True)
            elif claim and claim.doubtful:
                # Who may be at work still has these files open: they must not be ours.
                theirs = left.rename(left.with_name(f".{place.name}"))
                try:
                    shutil.copytree(theirs, place)
                except OSError:  # it is at work, and has taken files away meanwhile
                    shutil.rmtree(place, ignore_errors=True)
                    place.mkdir()
            else:
                left.rename(place)
        return place

    def unfinished(self, folder: Path) -> bool:
        """Whether somebody has begun with an artifact and left what the next one can go on with."""
        return any(any(left.iterdir()) for left in self._left(folder))

    def forget_partial(self, folder: Path) -> None:
        """Remove what unfinished artifacts have left."""
        for left in (*self._left(folder), *self._left(folder, hidden=True)):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def lock(self, folder: Path) -> Iterator[Claim]:
        """Hold the artifact, also twice: a second process waits here and then finds the work done."""
        with self._holding(folder, wait=True) as claim:
            assert claim is not None
            yield claim

    @contextmanager
    def claim(self, folder: Path) -> Iterator[Claim | None]:
        """The same, but None at once while another process holds it."""
        with self._holding(folder, wait=False) as claim:
            yield claim

    def unwritable(self, error: OSError) -> UsageError:
        """What is told when something cannot be written, or looked at."""
        return UsageError(why_unwritable(error, self.root))

    def forbids(self, error: OSError) -> bool:
        """Whether ``error`` says that this user may not write here, whatever the artifact is."""
        if error.errno not in FORBIDDEN or error.filename is None:
            return False
        return Path(os.fsdecode(error.filename)).is_relative_to(self.root)

    @contextmanager
    def _holding(self, folder: Path, *, wait: bool) -> Iterator[Claim | None]:
        name = folder.name
        if name in self._held:
            yield self._held[name]
            return
        try:
            claim = (
                self.claims.wait(name, lambda: log.info("waiting for another run that makes %s", name))
                if wait
                else self.claims.take(name)
            )
        except OSError as error:
            raise self.unwritable(error) from error
        if claim is None:
            yield None
            return
        self._held[name] = claim
        try:
            yield claim
        finally:
            del self._held[name]
            claim.release()

    @contextmanager
    def write(self, folder: Path, about: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Fill a temporary folder, then make it the artifact at once; hold the lock.

        What is there when this begins is replaced; what another process puts there meanwhile stays.

        Yields:
            The folder to write files into, and a dict to put the artifact's JSON summary into, with
            ``seconds_before`` if earlier runs had a share in it. If the block raises, nothing is left
            behind but the partial folder.

        Raises:
            ClaimLostError: another process makes the artifact by now.
        """
        claim, replacing = self._held.get(folder.name), folder.exists()
        temporary = own_name(folder)
        for left_by_who_has_lost_it in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(left_by_who_has_lost_it, ignore_errors=True)
        temporary.mkdir(parents=True)
        summary: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            yield temporary, summary
            files = {
                str(path.relative_to(temporary)): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
                for path in sorted(temporary.rglob("*"))
                if path.is_file()
            }
            before = float(summary.pop("seconds_before", 0.0))
            seconds = round(time.perf_counter() - started + before, 3)
            index = {**about, "seconds": seconds, "created": time.time(), "summary": summary, "files": files}
            (temporary / INDEX).write_text(artifact_index.text(index), encoding="utf-8")
            # Libraries that write tensors keep them from everybody else, whatever the user's mask says.
            for name in files:
                (temporary / name).chmod((temporary / INDEX).stat().st_mode)
            if claim is not None and not claim.held():
                raise ClaimLostError
            self.put(temporary, folder, replacing=replacing)
            self.forget_partial(folder)
        except Exception as error:
            if claim is not None and not claim.held():  # who has it now has tidied up below our feet
                raise ClaimLostError from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def put(self, temporary: Path, folder: Path, *, replacing: bool) -> None:
        """Make a folder beside ``folder`` the artifact at once, unless another process was first.

        Args:
            replacing: whether what is there has to go.
        """
        replaced = folder.with_name(f".{folder.name}.replaced")
        if replacing and folder.exists():
            folder.rename(replaced)  # not removed yet: who reads it must not find half of it
        _put(temporary, folder)
        shutil.rmtree(replaced, ignore_errors=True)
        self._verified.discard(str(folder))

    def copy(self, folder: Path, to: Store) -> None:
        """Copy an artifact into another store, where it is then whole or not at all.

        Raises:
            OSError: it cannot be read or written, or the copy is not what its checksums say.
        """
        copied = to.root / folder.relative_to(self.root)
        temporary = own_name(copied)
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

    def names(self, kind: str) -> set[str]:
        """Names of the folders of a kind's finished artifacts, by one look that opens none."""
        try:
            return {name for name in os.listdir(self.root / kind) if not name.startswith(".")}
        except FileNotFoundError:
            return set()

    def _left(self, folder: Path, *, hidden: bool = False) -> list[Path]:
        found = (self.root / "partial").glob(f"{'.' if hidden else ''}{folder.name}.*")
        return [left for left in found if left.is_dir()]

    def _set_aside(self, folder: Path) -> None:
        aside = self.root / "damaged" / f"{folder.name}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        # Rows that an interrupted run has left may be the same file by another name.
        self.forget_partial(folder)
        log.warning("%s is damaged or incomplete; set aside as %s and made again", folder.name, aside)


def own_name(folder: Path) -> Path:
    """A name beside ``folder`` that no other process has, on whichever machine."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")


def _put(temporary: Path, folder: Path) -> None:
    """Rename, unless another process was first."""
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        log.info("%s has been made by another process meanwhile; that is taken", folder.name)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
