"""How different codes are: what a network that has collapsed shows first."""

from __future__ import annotations

import numpy as np

from bench.hamming.copies import as_words, identical
from bench.hamming.scan import Codes, Ints


def code_counts(codes: Codes) -> Ints:
    """How often each distinct code occurs, int64; ``codes`` are packed, uint8 (n, bytes)."""
    return identical(as_words(codes)).counts()


def constant_bits(codes: Codes, bits: int) -> Ints:
    """Which bits are the same in all of ``codes``, packed uint8 (n, bytes): their places, the first is 0."""
    varied = np.bitwise_or.reduce(codes, axis=0) ^ np.bitwise_and.reduce(codes, axis=0)
    return np.flatnonzero(np.unpackbits(varied, count=bits) == 0)
