"""Claims on things that several processes could do, told by files in a folder that they share.

A claim is a file that only one process can create, and that its holder touches now and then. Who has been
silent for longer than the claim says is taken to be gone, and another process may take the claim over. How
old a claim is, no machine's clock says: times of files that the file server has written are compared with one
another. Locks, which not every network file system keeps, are not used.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import functools
import json
import logging
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

#: Seconds of silence after which a claim may be taken over, and signs of life in that time.
LEASE, BEATS = 60.0, 6
#: Seconds between two looks at a claim that is waited for: more and more, up to this.
PAUSE = 2.0
#: Times that the folder of claims is made, should another process remove it each time as it has become empty.
TRIES = 3


class ClaimLostError(Exception):
    """Another process has taken a claim over, as this one gave no sign of life for too long."""


@dataclass(frozen=True)
class Holder:
    """Who holds a claim, as its file says.

    Attributes:
        machine: the same for all processes of a machine, whatever containers they run in.
        processes: where ``pid`` is the number of a process; empty where nobody can tell.
        lease: seconds of silence that it allows itself.
        about: what else it says.
        deaths: how many have held the claim before it, one after the other, and gone without releasing it.
    """

    token: str
    host: str
    machine: str
    processes: str
    pid: int
    started: str
    lease: float
    about: dict[str, Any]
    deaths: int = 0

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}, since {self.started}"

    @property
    def gone(self) -> bool:
        """Whether its process is no more, as far as that is seen from here."""
        if not self.processes or self.processes != _processes():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class Claim:
    """A claim that this process holds; gives signs of life until it is released.

    Attributes:
        token: of this claim alone.
        doubtful: whether it was taken over from a process that may still be at work.
        deaths: how many have held it just before, and gone without releasing it.
        lost: whether another process was seen to have it.
    """

    def __init__(self, path: Path, holder: Holder, *, doubtful: bool) -> None:
        self.token, self.doubtful, self.deaths, self.lost = holder.token, doubtful, holder.deaths, False
        self._path = path
        self._released = threading.Event()
        beat = threading.Thread(target=self._beat, args=(holder.lease / BEATS,), daemon=True)
        beat.start()

    def held(self) -> bool:
        """Ask the file server whether it is still this process's; a sign of life, if it is."""
        try:
            # Opening asks the server, where looking at a path may be answered from memory.
            with self._path.open("r+b", buffering=0) as file:
                content = file.read()
                holder = _parsed(content)
                self.lost = holder is None or holder.token != self.token
                if not self.lost:
                    # The server notes when that was; a time that is set may be that of a machine.
                    file.seek(0)
                    file.write(content[:1])
        except FileNotFoundError:
            self.lost = True
        except OSError as error:  # a server that does not answer may do so the next time
            log.debug("%s: %s", self._path, error)
        return not self.lost

    def check(self) -> None:
        """Ask nobody, and go on unless the claim was seen to be lost.

        Raises:
            ClaimLostError: it was.
        """
        if self.lost:
            raise ClaimLostError

    def release(self) -> None:
        """Let others have it."""
        self._released.set()
        with contextlib.suppress(OSError):
            _take_away(self._path, self.token)

    def _beat(self, seconds: float) -> None:
        while not self._released.wait(seconds) and self.held():
            pass


class Claims:
    """Claims by name.

    Args:
        folder: where their files lie; made when it is needed.
        lease: seconds of silence after which others may take a claim over.
    """

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self.folder, self.lease = folder, lease

    def take(self, name: str, **about: Any) -> Claim | None:
        """A claim on ``name``; None while another process holds it.

        Raises:
            OSError: the folder cannot be written.
        """
        path = self._path(name)
        if (claim := self._create(path, about)) is not None:
            return claim
        try:
            holder, stale = self._judge(path)
        except FileNotFoundError:  # released just now
            return self._create(path, about)
        if not stale:
            return None
        if holder is not None and not holder.gone:
            log.warning("%s: no sign of life from %s; it is taken over", name, holder)
        _take_away(path, holder.token if holder else "")
        return self._create(path, about, after=holder)

    def wait(self, name: str, waiting: Callable[[], None] = lambda: None, **about: Any) -> Claim:
        """The claim on ``name``, as soon as nobody else has it; ``waiting`` is called once if somebody does.

        Raises:
            OSError: the folder cannot be written.
        """
        pause = 0.05
        while (claim := self.take(name, **about)) is None:
            waiting()
            waiting = _nothing
            time.sleep(pause)
            pause = min(PAUSE, 1.5 * pause)
        return claim

    def names(self) -> set[str]:
        """What is claimed, by the living or the dead."""
        try:
            return {name for name in os.listdir(self.folder) if not name.startswith(".")}
        except FileNotFoundError:
            return set()

    def alive(self, name: str) -> bool:
        """Whether somebody holds ``name`` and has given a sign of life in time."""
        try:
            return not self._judge(self._path(name))[1]
        except FileNotFoundError:
            return False

    def holders(self) -> list[Holder]:
        """Who holds anything and has given a sign of life in time."""
        return [holder for _, holder, stale in self._judged() if holder is not None and not stale]

    def clear(self) -> None:
        """Remove the claims of those who have given no sign of life in time, which nobody would take over.

        What they were about to take away, and has another name for that, goes as well once it is as old.
        """
        for path, holder, stale in self._judged():
            if stale:
                _take_away(path, holder.token if holder else "")
        hidden = [entry for entry in os.scandir(self.folder) if entry.name.startswith(".")]
        now = self._now() if hidden else 0.0
        for entry in hidden:
            with contextlib.suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime > self.lease:
                    os.unlink(entry.path)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _create(self, path: Path, about: dict[str, Any], after: Holder | None = None) -> Claim | None:
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")  # for people
        holder = Holder(
            secrets.token_hex(8), socket.gethostname(), machine(), _processes(), os.getpid(), now, self.lease,
            about, after.deaths + 1 if after else 0,
        )  # fmt: skip
        try:
            descriptor = self._opened(path)
        except FileExistsError:
            return None
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(vars(holder), file)
        except OSError:  # the disk is full: nobody has it
            path.unlink(missing_ok=True)
            raise
        return Claim(path, holder, doubtful=after is not None and not after.gone)

    def _opened(self, path: Path) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        for _ in range(TRIES):
            with contextlib.suppress(FileNotFoundError):
                return os.open(path, flags, 0o666)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError as error:  # which would be read as a claim that somebody has
                raise NotADirectoryError(errno.ENOTDIR, "no folder", str(self.folder)) from error
        return os.open(path, flags, 0o666)

    def _judged(self) -> Iterator[tuple[Path, Holder | None, bool]]:
        """Every claim with its holder, if its file says who, and whether that is nobody any more."""
        now = functools.cache(self._now)  # asked once, however many there are
        for name in sorted(self.names()):
            with contextlib.suppress(FileNotFoundError):
                yield self._path(name), *self._judge(self._path(name), now)

    def _judge(self, path: Path, now: Callable[[], float] | None = None) -> tuple[Holder | None, bool]:
        """Who holds a claim, if its file says so, and whether that is nobody any more.

        Args:
            now: the time by the file server's clock; None = it is asked.

        Raises:
            FileNotFoundError: there is no such claim.
        """
        content, touched = _read(path)
        holder = _parsed(content)
        if holder is not None and holder.gone:
            return holder, True
        return holder, (now or self._now)() - touched > (holder.lease if holder else self.lease)

    def _now(self) -> float:
        """The time by the file server's clock."""
        probe = self.folder / f".{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"?")
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)


@functools.cache
def machine() -> str:
    """The same for all processes of this machine until it is started again, if the system tells."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


@functools.cache
def _processes() -> str:
    """The same for processes that see one another by the same numbers; empty where nobody can tell."""
    try:
        return f"{machine()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _take_away(path: Path, token: str) -> None:
    """Remove the claim that has ``token``; of several who try, one can rename it."""
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if _of_another(path, token):  # who would find it gone for a moment, and give up
            return
        path.rename(own)
    except FileNotFoundError:
        return
    try:
        if _of_another(own, token):  # claimed anew a moment ago
            # Where this fails, its holder will notice.
            with contextlib.suppress(OSError):
                os.link(own, path)
    finally:
        own.unlink()


def _read(path: Path) -> tuple[bytes, float]:
    """What a claim's file says, and when its holder has given a sign of life.

    Raises:
        OSError: it cannot be read, or something else lies there; a pipe would be waited for without end.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise FileExistsError(errno.EEXIST, "no claim, and no file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(), state.st_mtime
    finally:
        os.close(descriptor)


def _of_another(path: Path, token: str) -> bool:
    """Whether a claim's file says that somebody has it who has another token."""
    found = _parsed(_read(path)[0])
    return found is not None and found.token != token


def _parsed(content: bytes) -> Holder | None:
    """What a claim's file says; None if its holder has not come to write it."""
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _nothing() -> None:
    """Done nothing about."""
