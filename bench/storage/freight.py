"""Artifacts that go from one machine's store to another's in pieces, where no folder is shared.

The machine of a run has a ``Depot``, which every other one reads from and writes to through a ``Carrier`` of
its own. What carries the calls and what they return is up to whoever sets the two up.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.storage import artifact_index
from bench.storage.artifact_index import INDEX
from bench.storage.store import Store, own_name

#: Bytes of a piece, and how many of them are on their way for one machine's artifact.
PIECE, IN_FLIGHT = 16 * 2**20, 2
#: Times that an artifact is sent whose arrival another run on the same store has disturbed.
TRIES = 3

#: Kind, slug and key, as ``Store.path`` takes them.
Place = tuple[str, str, str]


def content(store: Store, place: Place) -> str:
    """The index file of an artifact; what it says is compared, not when or where it was made."""
    return (store.path(*place) / INDEX).read_text(encoding="utf-8")


def _files(content: str) -> dict[str, Any]:
    """Those that an index tells of.

    Raises:
        OSError: it is not as it was written.
    """
    index = artifact_index.parsed(content.encode())
    if index is None:
        raise OSError(errno.EIO, f"{INDEX} is damaged")
    files: dict[str, Any] = index["files"]
    return files


class Arrival:
    """An artifact that is on its way: a folder that fills, and is the artifact when it is as it should be.

    Args:
        content: of its index file.
        replacing: whether what is there has to go then.
        alone: whether nobody else writes it, so that what is left of earlier arrivals can go.
    """

    def __init__(self, store: Store, folder: Path, content: str, *, replacing: bool, alone: bool) -> None:
        self._store, self._folder, self._content, self._replacing = store, folder, content, replacing
        self._files = _files(content)
        self._temporary = own_name(folder)
        if alone:
            for left in folder.parent.glob(f".{folder.name}.*"):
                shutil.rmtree(left, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        for name in self._files:
            path = self._temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def missing(self) -> Iterator[tuple[str, int, int]]:
        """File, offset and size of every piece."""
        return pieces(self._files)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Put a piece in its place; in any order.

        Raises:
            FileNotFoundError: another run has removed the folder.
        """
        with (self._temporary / name).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def finish(self) -> dict[str, Any]:
        """Check all files and make them the artifact; the index of what is there then.

        Raises:
            OSError: they are not what the index says, or no longer there.
        """
        try:
            (self._temporary / INDEX).write_text(self._content, encoding="utf-8")
            if self._store.intact(self._temporary) is None:
                raise OSError(errno.EIO, "what has arrived is not what was sent", str(self._folder))
            self._store.put(self._temporary, self._folder, replacing=self._replacing)
        finally:
            self.drop()
        index = self._store.index(self._folder)
        if index is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))
        return index

    def drop(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._temporary, ignore_errors=True)


class Depot:
    """The store of a run, as other machines see it: several may call at once. Holds no piece for longer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._arrivals: dict[str, tuple[Arrival, contextlib.ExitStack]] = {}
        self._said: list[tuple[str, Any]] = []
        self._lock = threading.Lock()

    def read(self, place: Place, name: str, offset: int, size: int) -> bytes:
        """A piece of a file."""
        with (self._store.path(*place) / name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def begin(self, ticket: str, place: Place, content: str, *, fresh: bool) -> dict[str, Any] | None:
        """Expect an artifact; its index, and nothing is expected, if it is there.

        Args:
            ticket: names the arrival.
            content: of its index file.
            fresh: replace what is there, unless it is the same.
        """
        folder = self._store.path(*place)
        found = self._store.verify(folder)
        if found is not None and (not fresh or found["files"] == _files(content)):
            return found
        with contextlib.ExitStack() as stack:
            # Another run may be making it: then whoever is first puts it there.
            alone = stack.enter_context(self._store.claim(folder)) is not None
            arrival = Arrival(self._store, folder, content, replacing=fresh, alone=alone)
            stack.callback(arrival.drop)
            self._arrivals[ticket] = arrival, stack.pop_all()
        return None

    def write(self, ticket: str, name: str, offset: int, data: bytes) -> None:
        """Take a piece of what is expected."""
        self._arrivals[ticket][0].write(name, offset, data)

    def finish(self, ticket: str) -> dict[str, Any]:
        """All pieces are here; the index of the artifact."""
        arrival, stack = self._arrivals.pop(ticket)
        with stack:
            return arrival.finish()

    def drop(self, ticket: str) -> None:
        """Nothing more will come."""
        if ticket in self._arrivals:
            self._arrivals.pop(ticket)[1].close()

    def tell(self, ticket: str, message: Any) -> None:
        """Keep a message for the run."""
        with self._lock:
            self._said.append((ticket, message))

    def heard(self) -> list[tuple[str, Any]]:
        """Messages that have come since this was asked last, with who has sent them."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def close(self) -> None:
        """Drop whatever is on its way."""
        for ticket in list(self._arrivals):
            self.drop(ticket)


class Carrier:
    """A machine's way from its own store to a depot and back, with a few pieces on the way at a time.

    Args:
        call: begins a call of the depot's method of that name.
        get: waits for what a call returns.
    """

    def __init__(self, store: Store, call: Callable[..., Any], get: Callable[[Any], Any]) -> None:
        self._store, self._call, self._get = store, call, get

    def fetch(self, place: Place, content: str) -> None:
        """Have an artifact as the depot has it; what the own store has under its name goes if it differs.

        Raises:
            OSError: it cannot be written here.
        """
        folder, wanted = self._store.path(*place), _files(content)

        def there() -> bool:
            found = self._store.verify(folder)
            return found is not None and bool(found["files"] == wanted)

        if there():
            return
        with self._store.lock(folder):  # another process of this machine may be fetching it
            if there():
                return
            arrival = Arrival(self._store, folder, content, replacing=True, alone=True)
            try:
                asked = list(arrival.missing())
                reading = in_flight(functools.partial(self._call, "read", place, *piece) for piece in asked)
                for (name, offset, _), data in zip(asked, reading, strict=True):
                    arrival.write(name, offset, self._get(data))
                arrival.finish()
            finally:
                arrival.drop()

    def send(self, ticket: str, place: Place, *, fresh: bool) -> dict[str, Any]:
        """Have the depot get an artifact of the own store; the index of what it has then.

        Raises:
            OSError: it cannot be read here, or written there.
        """
        for left in reversed(range(TRIES)):
            try:
                return self._sent(ticket, place, fresh=fresh)
            except FileNotFoundError:  # another run on the depot's store makes it, and has tidied up
                self._get(self._call("drop", ticket))
                if not left:
                    raise
        raise AssertionError

    def _sent(self, ticket: str, place: Place, *, fresh: bool) -> dict[str, Any]:
        folder, text = self._store.path(*place), content(self._store, place)
        index: dict[str, Any] | None = self._get(self._call("begin", ticket, place, text, fresh=fresh))
        if index is None:
            for written in in_flight(self._pieces(ticket, folder, _files(text))):
                self._get(written)
            index = self._get(self._call("finish", ticket))
        assert index is not None
        return index

    def _pieces(self, ticket: str, folder: Path, files: dict[str, Any]) -> Iterator[Callable[[], Any]]:
        for name, offset, size in pieces(files):
            with (folder / name).open("rb") as file:
                file.seek(offset)
                data = file.read(size)
            yield functools.partial(self._call, "write", ticket, name, offset, data)


def pieces(files: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    """File, offset and size of every piece of the files of an index."""
    for name, file in files.items():
        for offset in range(0, file["bytes"], PIECE):
            yield name, offset, min(PIECE, file["bytes"] - offset)


def in_flight(calls: Iterable[Callable[[], Any]], most: int = IN_FLIGHT) -> Iterator[Any]:
    """What calls begin, in their order; at most so many are begun and not yet taken."""
    begun: deque[Any] = deque()
    for call in calls:
        begun.append(call())
        if len(begun) >= most:
            yield begun.popleft()
    yield from begun
