"""Which rows are the same, found without sorting: codes above all.

Trained codes pile up: of 20,000 there may be 1,000 different ones. Whatever depends on the code alone is
worked out once for all of its copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.hamming import scan
from bench.hamming.scan import Ints

Words = NDArray[np.uint64]


def _odd(rounds: int, words: int) -> Words:
    """Odd numbers that look random, as SplitMix64 (Steele et al., OOPSLA 2014) makes them."""
    mixed = np.arange(1, rounds * words + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
    return np.asarray((mixed ^ mixed >> np.uint64(31) | np.uint64(1)).reshape(rounds, words))


#: A row for each round, so that rows that one round puts into a slot are apart in the next.
_ODD = _odd(24, 4)


@dataclass(frozen=True)
class Copies:
    """Rows by which they are the same.

    Attributes:
        first: int64 (u,), a row of each kind: the first one that has it.
        number: int64 (n,), which kind each row is of.
    """

    first: Ints
    number: Ints

    def counts(self) -> Ints:
        """How many rows each kind has, int64 (u,)."""
        return np.bincount(self.number, minlength=len(self.first))


def copies(words: Words, most: int) -> Copies | None:
    """Find equal rows by a hash table that numpy fills; rows that meet others in a slot take part again.

    Args:
        words: uint64 (n, words).
        most: give up at more kinds than this.

    Returns:
        None where there are more, which one pass tells.
    """
    size = max(most, 64).bit_length() + 1
    columns = np.ascontiguousarray(words.T)
    number, known = np.empty(len(words), np.int64), np.empty(len(words), np.int64)
    table = np.empty(1 << size, np.int64)
    firsts: list[Ints] = []
    kinds, left, rows = 0, np.arange(len(words)), columns
    for odd in _ODD:
        slots = (_mixed(rows, odd) >> np.uint64(64 - size)).view(np.int64)
        table[slots[::-1]] = left[::-1]  # the last to be written stays: the first row of each slot
        met = table[slots]
        first = left[met == left]
        kinds += len(first)
        if kinds > most:
            return None
        known[first] = np.arange(kinds - len(first), kinds)
        firsts.append(first)
        same = columns[0][met] == rows[0]
        for column, of_rows in zip(columns[1:], rows[1:], strict=True):
            same &= column[met] == of_rows
        number[left[same]] = known[met[same]]
        left = left[~same]
        if not len(left):
            return Copies(np.concatenate(firsts), number)
        rows = columns[:, left]
    return None


def _mixed(rows: Words, odd: Words) -> Words:
    """A hash of each row, its upper bits the better ones: uint64 (n,), of (words, n)."""
    mixed = rows[0] * odd[0]
    for column, word in enumerate(rows[1:], start=1):
        mixed ^= mixed >> np.uint64(32)
        mixed += word
        mixed *= odd[column % len(odd)]
    mixed ^= mixed >> np.uint64(32)
    return np.asarray(mixed * odd[-1])


def as_words(codes: NDArray[Any]) -> Words:
    """Packed codes or masks, any unsigned type (n, columns), as uint64 (n, words)."""
    return scan.words(np.ascontiguousarray(codes).view(np.uint8)).view(np.uint64)


def identical(words: Words) -> Copies:
    """``copies``, however many there are."""
    return copies(words, len(words)) or every(len(words))


def every(rows: int) -> Copies:
    """No row is the same as another."""
    numbers = np.arange(rows)
    return Copies(numbers, numbers)
