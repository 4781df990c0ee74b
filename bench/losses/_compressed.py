"""What codes share that are read back as vectors: a codebook and no head, distances as products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.interfaces import Loss
from bench.types import FittingParameters


class Compressed(Loss):
    """Images of the database are stored as codes, and float queries are compared with what these say."""

    trains = False
    fitted = True
    compresses = True
    nests = False
    Params = FittingParameters


def by_distance(
    query: NDArray[np.float32], database: NDArray[np.float32], squares: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors (q, m + 2) and (n, m + 2) whose inner products are 1 - d²/2, a cosine if lengths are 1.

    Args:
        query, database: (q, m) and (n, m).
        squares: (n,), what d² = |q|² + square - 2 qx has for the square of what is read back.
    """
    own = 1 - np.square(query).sum(axis=1) / 2
    asked = np.column_stack([query, own, np.ones_like(own)])
    return asked, np.column_stack([database, np.ones_like(squares), -squares / 2])
