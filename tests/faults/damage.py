"""What may become of a file: ways to damage it, each done for real."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

#: So many times as many damages of each kind are tried.
FAULTS = int(os.environ.get("FAULTS", "1"))

Damage = Callable[[Path, random.Random], None]


def flip(path: Path, drawn: random.Random) -> None:
    """Another byte in one place."""
    content = bytearray(path.read_bytes())
    content[drawn.randrange(len(content))] ^= drawn.randrange(1, 256)
    path.write_bytes(content)


def cut(path: Path, drawn: random.Random) -> None:
    """The end is lost."""
    content = path.read_bytes()
    path.write_bytes(content[: drawn.randrange(1, len(content))])


def last_byte(path: Path, drawn: random.Random) -> None:
    """The last byte is lost."""
    path.write_bytes(path.read_bytes()[:-1])


def more(path: Path, drawn: random.Random) -> None:
    """Something stands behind the end."""
    path.write_bytes(path.read_bytes() + drawn.randbytes(drawn.randrange(1, 9)))


def empty(path: Path, drawn: random.Random) -> None:
    """Nothing is in it."""
    path.write_bytes(b"")


def delete(path: Path, drawn: random.Random) -> None:
    """It is gone."""
    path.unlink()


def directory(path: Path, drawn: random.Random) -> None:
    """A folder lies in its place."""
    path.unlink()
    path.mkdir()


def dangling(path: Path, drawn: random.Random) -> None:
    """A link to nothing lies in its place."""
    path.unlink()
    path.symlink_to("nothing")


def digit(path: Path, drawn: random.Random) -> None:
    """A number is another one; of JSON, where it stays JSON."""
    text = path.read_text()
    place = drawn.choice([found.start() for found in re.finditer(r"[0-9]", text)])
    path.write_text(text[:place] + str((int(text[place]) + drawn.randrange(1, 10)) % 10) + text[place + 1 :])


def brackets(path: Path, drawn: random.Random) -> None:
    """JSON that no parser takes to the end."""
    path.write_text("[" * 100_000)


ANY = [flip, cut, last_byte, more, empty, delete, directory, dangling]
JSON = [*ANY, digit, brackets]

#: Those that draw nothing, so that one try is all there is.
ONCE = {last_byte, empty, delete, directory, dangling, brackets}


def damages(path: Path) -> list[Damage]:
    """What can happen to a file of its kind."""
    if path.suffix != ".json":
        return ANY
    return JSON if re.search(rb"[0-9]", path.read_bytes()) else [*ANY, brackets]


def tries(damage: Damage, usual: int) -> int:
    """How often a damage is tried."""
    return 1 if damage in ONCE else usual * FAULTS
