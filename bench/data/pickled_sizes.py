"""How large what a pickle builds may be, since a few shared parts can stand for endlessly many values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

#: How deep data nest at most; of the published ones four levels.
NESTING = 100
#: Parts of keys other than texts and small numbers in one file: whoever writes it chooses their hashes, and
#: keys of equal hashes are compared one with all others.
PARTS_OF_KEYS = 10_000
#: Values that come of a small file at most, and how often those of a large one may be used.
UNFOLDED, REUSED = 10_000_000, 10

_LEAVES = (int, float, complex, str, bytes, bytearray, np.generic, type(None))


class RefusedError(Exception):
    """The message names what was asked for."""


class NoData:
    """Stands for something that a pickle needs on its way and that is no data by itself."""

    what = "a function or class"


class Keys:
    """The keys of all mappings and the members of all sets of one file."""

    def __init__(self) -> None:
        self._left = PARTS_OF_KEYS

    def check(self, keys: Iterable[Any]) -> None:
        """Refuse what would take long to hash or to compare; nothing is hashed here."""
        for key in keys:
            if type(key) not in {str, bytes} and not (type(key) is int and abs(key) < 2**60):
                self._check_parts(key)

    def _check_parts(self, key: Any) -> None:
        level, depth = [key], 0
        while level:
            self._left -= len(level)
            depth += 1
            if self._left < 0 or depth > NESTING:
                raise RefusedError("keys of more parts than it can be trusted with")
            level = [part for one in level if isinstance(one, tuple | frozenset) for part in one]


def check_size(value: Any, size: int) -> None:
    """Refuse what is no data, nests too deep, or unfolds to far more than a file of ``size`` bytes holds.

    Raises:
        RefusedError: what is wrong.
    """
    most = UNFOLDED + REUSED * size
    # Height and unfolded size of lists and the like; None of those that are being looked through.
    known: dict[int, tuple[int, int] | None] = {}

    def measured(one: Any, depth: int) -> tuple[int, int]:
        if isinstance(one, _LEAVES):
            return 0, len(one) + 1 if isinstance(one, str | bytes | bytearray) else 1
        if isinstance(one, np.ndarray):
            return 0, one.nbytes + 1
        if not isinstance(one, list | tuple | dict | set | frozenset):
            raise RefusedError(one.what if isinstance(one, NoData) else f"a {type(one).__name__}")
        if id(one) not in known:
            if depth == NESTING:
                raise RefusedError(f"data that nest deeper than {NESTING} levels")
            known[id(one)] = None
            height, total = 0, 1
            for part in (*one.keys(), *one.values()) if isinstance(one, dict) else one:
                high, many = measured(part, depth + 1)
                height, total = max(height, high), total + many
            known[id(one)] = height + 1, total
        # A list within itself is the reader's to stop at.
        height, total = known[id(one)] or (0, 1)
        if depth + height > NESTING:
            raise RefusedError(f"data that nest deeper than {NESTING} levels")
        if total > most:
            raise RefusedError(f"data that unfold to {total:,} values and bytes from {size:,} bytes")
        return height, total

    measured(value, 0)
