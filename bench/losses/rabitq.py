"""RaBitQ: signs of randomly rotated features, and two numbers that make them distances. No labels.

J. Gao and C. Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
Approximate Nearest Neighbor Search", SIGMOD 2024, by FAISS's ``IndexRaBitQ``. An image takes a bit for each
direction and 8 bytes, so that codes of ``bits`` look along ``bits - 64`` directions: principal components,
turned at random. Distances along them are estimated for queries that are not quantized (``qb = 0``). The
index makes 0 of estimates below 0, which ties images; here they stay as they are.

    loss: [rabitq]
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.losses._compressed import Compressed, by_distance
from bench.losses._fitted import principal, rotation
from bench.registry import LOSSES
from bench.types import Codebook

#: Bits of the two numbers beside the signs.
NUMBERS_BITS = 64


@LOSSES.register
class Rabitq(Compressed):
    """A bit for each of ``bits - 64`` rotated principal components, and two numbers; float queries."""

    version = 1

    @classmethod
    def check(cls, bits: int) -> str | None:
        """There is a direction at least."""
        if bits > NUMBERS_BITS:
            return None
        return f"rabitq stores {NUMBERS_BITS} bits of numbers beside its signs, not {bits} in all; take 128"

    @classmethod
    def check_width(cls, bits: int, width: int) -> str | None:
        """There are no more directions at right angles than numbers."""
        if bits <= (most := width + NUMBERS_BITS):
            return None
        return f"stores at most {most} bits of features of {width} numbers, not {bits}"

    def codebook(self, features: NDArray[np.float32]) -> Codebook:
        """``directions`` (bits - 64, width) and ``mean`` (width,); the seed draws the rotation."""
        mean = features.mean(axis=0, dtype=np.float64)
        found, _ = principal(features, mean, self.task.bits - NUMBERS_BITS)
        turn = rotation(len(found), np.random.default_rng(self.task.seed))
        return {"directions": (turn @ found).astype(np.float32), "mean": mean.astype(np.float32)}

    def stored(self, codebook: Codebook, features: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Packed signs, then the squared distance from the mean and the factor of the signs, float32 each."""
        codes: NDArray[np.uint8] = _index(codebook).sa_encode(_turned(codebook, features))
        return codes

    def compared(
        self, codebook: Codebook, query: NDArray[np.float32], codes: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Queries along the directions, and signs times their factor; codes know the squares themselves."""
        squares = codes[:, -NUMBERS_BITS // 8 :].copy().view(np.float32)[:, 0]
        return by_distance(_turned(codebook, query), _index(codebook).sa_decode(codes), squares)


def _turned(codebook: Codebook, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Along the directions, from the mean."""
    return np.ascontiguousarray((features - codebook["mean"]) @ codebook["directions"].T)


def _index(codebook: Codebook) -> Any:
    """Its own center is 0: features are centred."""
    index = faiss.IndexRaBitQ(directions := len(codebook["directions"]))
    index.train(np.zeros((1, directions), np.float32))
    return index
