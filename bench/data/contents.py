"""What is in files: a digest of each, remembered until the file changes, and whether it can be decoded.

A file that has the path, size, times and inode that it had is taken to be what it was; a copy has the same
digest wherever it lies. What is remembered lies below the cache, one file for each folder tree, written whole
and with a checksum: one that is gone, damaged or out of date costs reading files again, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from bench import environment
from bench.data import decoding
from bench.errors import UsageError
from bench.storage import atomic, store

log = logging.getLogger(__name__)

#: Files that are read at once; digests and decoders let go of the interpreter.
THREADS = min(16, environment.cores())
#: Files and bytes that a plan reads at most: it should answer in seconds, whatever the disk.
QUICK_FILES, QUICK_BYTES = 10_000, 500_000_000
#: Seconds within which a file may change twice and have one time.
_TICK = 2.0
#: Seconds after which what has been found is kept, should the rest be interrupted.
_KEEP = 30.0
#: Files that a thread reads, and that it asks the system about, at a time.
_PIECE, _MANY = 64, 1024
#: Entries of files as they were before, beyond which the memory of a folder tree lets go of them.
_STALE = 100_000

_ENTRY = np.dtype([("state", "<u8", 2), ("digest", "<u8", 2), ("decodes", "?")])

_quick: ContextVar[bool] = ContextVar("quick", default=False)

#: Decodes the image with this place, from its open file; raises whatever is wrong with it.
Decode = Callable[[int, BufferedReader], None]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """What is known of some files.

    Attributes:
        digests: uint64 (n, 2), 128 bits of each file; 0 of those that are not known.
        failures: place -> why a file cannot be read, or not be decoded where that was asked.
        unseen, unseen_bytes: files that nobody has looked at, as there were too many for a plan.
    """

    digests: NDArray[np.uint64]
    failures: dict[int, Exception]
    unseen: int = 0
    unseen_bytes: int = 0

    def without(self, places: Collection[int]) -> Contents:
        """What is known of the other files."""
        gone = set(places)
        kept = [place for place in range(len(self.digests)) if place not in gone]
        number = {place: new for new, place in enumerate(kept)}
        failures = {number[place]: error for place, error in self.failures.items() if place in number}
        return replace(self, digests=self.digests[kept], failures=failures)


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """For a plan: many files are not looked at, and nothing is written."""
    token = _quick.set(True)
    try:
        yield
    finally:
        _quick.reset(token)


def look(
    paths: Sequence[str | os.PathLike[str]], decode: Decode | None = None, chosen: Indices | None = None
) -> Contents:
    """What is in files, read in threads where it is not remembered.

    Several processes that look at the same files at once, as the workers of a cluster do, share the work.

    Args:
        paths: of the files.
        decode: also asked of every file that it has not taken before.
        chosen: places of the files to look at; None = all.
    """
    names = [os.fspath(path) for path in paths]
    places = np.arange(len(names)) if chosen is None else np.asarray(chosen, np.int64)
    began = time.time()
    seen = _Seen(names, places)
    memory = _Memory(root_of(names))
    entries = np.zeros(len(names), _ENTRY)
    entries[places] = memory.find(seen.states[places])
    known = (entries["state"] == seen.states).all(axis=1)
    entries[~known] = np.zeros((), _ENTRY)
    wanted = ~known if decode is None else ~(known & entries["decodes"])
    wanted[list(seen.failures)] = False
    todo = places[wanted[places]]
    if len(todo) > _MANY:
        todo = np.roll(todo, secrets.randbelow(len(todo)))  # each begins elsewhere
    size = int(seen.sizes[todo].sum())
    if _quick.get() and (len(todo) > QUICK_FILES or size > QUICK_BYTES):
        return Contents(entries["digest"], seen.failures, len(todo), size)
    if not len(todo):
        return Contents(entries["digest"], seen.failures)
    entries["state"][todo] = seen.states[todo]
    # A file that changed just now may change again and keep its time.
    steady = np.zeros(len(names), bool) if _quick.get() else seen.changed < (began - _TICK) * 1e9
    settled = np.zeros(len(names), bool)
    kept, done = time.monotonic(), list[int]()
    try:
        for place, digest, error in _read(names, todo, size, decode, settled):
            if error is not None:
                seen.failures[place] = error
            if digest is None:
                continue
            entries["digest"][place] = np.frombuffer(digest, "<u8")
            entries["decodes"][place] |= decode is not None and error is None
            if steady[place]:
                done.append(place)
                known[place] = True
            if done and time.monotonic() - kept > _KEEP:
                memory.keep(entries[done], entries[known])
                others = memory.find(seen.states[todo])
                found = (others["state"] == seen.states[todo]).all(axis=1)
                found &= others["decodes"] | (decode is None)
                entries[todo[found]] = others[found]
                settled[todo[found]] = known[todo[found]] = True
                kept, done = time.monotonic(), []
    finally:
        if done:
            memory.keep(entries[done], entries[known])
    return Contents(entries["digest"], dict(sorted(seen.failures.items())))


def root_of(names: Sequence[str]) -> str:
    """The folder that all files lie below: what the first and the last name have in common, all have."""
    ends = (min(names), max(names)) if names else ()
    return os.path.commonpath([os.path.dirname(os.path.abspath(name)) for name in ends]) if ends else ""


class _Seen:
    """What the system says of files.

    Attributes:
        states: uint64 (n, 2), a digest of path, size, times and inode.
        sizes, changed: int64 (n,) in bytes, and when in nanoseconds.
        failures: place -> why it is no file.
    """

    def __init__(self, names: Sequence[str], places: Indices) -> None:
        self.states = np.zeros((len(names), 2), "<u8")
        self.sizes, self.changed = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
        self.failures: dict[int, Exception] = {}
        for some, found in _threaded(lambda some: [_state(names[place]) for place in some], places, _MANY):
            self.states[some] = np.frombuffer(b"".join(state for state, _, _, _ in found), "<u8").reshape(
                -1, 2
            )
            self.sizes[some] = [size for _, size, _, _ in found]
            self.changed[some] = [time for _, _, time, _ in found]
            self.failures |= {place: error for place, (*_, error) in zip(some, found, strict=True) if error}


def _state(name: str) -> tuple[bytes, int, int, Exception | None]:
    """Digest of what the system says, bytes, last change, and why it is no file."""
    try:
        found = os.stat(name)
        if not stat.S_ISREG(found.st_mode):
            with decoding.regular(name):
                pass
    except (OSError, ValueError) as error:
        return bytes(16), 0, 0, error
    # The second time changes with the content even where a program sets the first one back.
    times = found.st_mtime_ns, found.st_ctime_ns
    path = name if os.path.isabs(name) else os.path.abspath(name)
    facts = f"{found.st_size} {times} {found.st_ino} {path}".encode(errors="surrogateescape")
    return _digest(facts), found.st_size, max(times), None


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _read(
    names: Sequence[str], places: Indices, size: int, decode: Decode | None, settled: NDArray[np.bool_]
) -> Iterator[tuple[int, bytes | None, Exception | None]]:
    """Digest of each file, and why it has none or cannot be decoded; neither once it is ``settled``."""

    def content(place: int) -> tuple[int, bytes | None, Exception | None]:
        digest = None
        if settled[place]:
            return place, None, None
        # Decoders meet damage in many ways, each with an exception of its own.
        try:
            with decoding.regular(names[place]) as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
                if decode is not None:
                    file.seek(0)
                    decode(place, file)
        except Exception as error:
            error.__context__ = error.__cause__ = None  # its frames would keep the file, and the image
            return place, digest, error.with_traceback(None)
        return place, digest, None

    what = "looking into" if decode is None else "decoding"
    advance = _Advance(what, len(places), size)
    try:
        with decoding.quiet():
            for some, found in _threaded(lambda some: [content(place) for place in some], places, _PIECE):
                yield from found
                advance.tell(len(some))
    finally:
        settled[:] = True  # nobody waits for threads whose files nobody wants any more


def _threaded(
    work: Callable[[list[int]], list[Any]], places: Indices, at_once: int
) -> Iterator[tuple[list[int], list[Any]]]:
    """``work`` done in threads on some places after the other."""
    pieces = [places[start : start + at_once].tolist() for start in range(0, len(places), at_once)]
    if len(pieces) < 2:
        yield from ((piece, work(piece)) for piece in pieces)
        return
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from zip(pieces, pool.map(work, pieces), strict=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Advance:
    """Says how far it is, now and then and more and more seldom."""

    def __init__(self, what: str, files: int, size: int) -> None:
        self._what, self._files, self._size, self._done = what, files, size, 0
        self._began, self._last, self._pause = time.monotonic(), time.monotonic(), 2.0

    def tell(self, more: int) -> None:
        """So many files are done."""
        self._done += more
        now = time.monotonic()
        if now - self._last < self._pause or self._done == self._files:
            return
        self._last, self._pause = now, min(2 * self._pause, 60.0)
        rate = self._done / (now - self._began)
        log.info(
            "%s files: %s of %s (%.1f GB), %s a second, %.0f s left", self._what, f"{self._done:,}",
            f"{self._files:,}", self._size / 1e9, f"{rate:,.0f}", (self._files - self._done) / rate,
        )  # fmt: skip


class _Memory:
    """What is remembered of the files below a folder: entries by ascending states, behind two digests."""

    def __init__(self, root: str) -> None:
        name = hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()[:24]
        self._path = store.default_root() / "contents" / f"{name}.bin"
        self._entries = self._load()

    def find(self, states: NDArray[np.uint64]) -> NDArray[Any]:
        """The entries (n,) of ``states``, or any other one where there is none."""
        if not len(self._entries):
            return np.zeros(len(states), _ENTRY)
        at = np.searchsorted(self._entries["state"][:, 0], states[:, 0])
        return self._entries[np.minimum(at, len(self._entries) - 1)]

    def keep(self, entries: NDArray[Any], still: NDArray[Any]) -> None:
        """Remember ``entries``; of others those that ``still`` hold, or all while they are not far more."""
        others = self._load()  # another process may have added some
        if len(others) > 2 * len(still) + _STALE:
            others = still
        every = np.concatenate([entries, others])
        _, first = np.unique(every["state"][:, 0], return_index=True)
        self._entries = every[first]
        body = self._entries.tobytes()
        with contextlib.suppress(UsageError):
            atomic.write_bytes(self._path, _decoders() + _digest(body) + body)

    def _load(self) -> NDArray[Any]:
        with contextlib.suppress(OSError, ValueError):
            data = self._path.read_bytes()
            decoders, whole, body = data[:16], data[16:32], data[32:]
            entries = np.frombuffer(body, _ENTRY)
            if whole == _digest(body):
                return entries if decoders == _decoders() else _undecoded(entries)
        return np.zeros(0, _ENTRY)


def _decoders() -> bytes:
    """What one decoder takes, another may not."""
    return _digest(f"{decoding.VERSION} {PIL.__version__}".encode())


def _undecoded(entries: NDArray[Any]) -> NDArray[Any]:
    found = entries.copy()
    found["decodes"] = False
    return found
