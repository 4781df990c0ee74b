"""What codes share that are read back as vectors: no head, a codebook, and what both cost and lose."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.interfaces import Loss
from bench.types import Codebook, FittingParameters


class Compressed(Loss):
    """Images of the database are stored as codes, and float queries are compared with what these say."""

    trains = False
    fitted = True
    compresses = True
    nests = False
    Params = FittingParameters

    def __init__(self, params: Any, task: Any) -> None:
        super().__init__(params, task)
        self.bytes = 0

    def codebook(self, features: NDArray[np.float32]) -> Codebook:
        """What is ``learnt``, in single precision."""
        found = {name: np.ascontiguousarray(one, np.float32) for name, one in self.learnt(features).items()}
        self.bytes = sum(array.nbytes for array in found.values())
        return found

    @abstractmethod
    def learnt(self, features: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """What codes are written and read with, from features (n, width) of length 1, without labels."""

    def summary(self) -> dict[str, Any]:
        """What is stored once for all images, in bytes."""
        return {"codebook_bytes": self.bytes}


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
