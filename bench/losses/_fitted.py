"""What codes without training share: a linear map of centred features, principal components, rotations."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bench.interfaces import Loss
from bench.types import FittingParameters

Floats = NDArray[np.float64]

#: Images whose features are held in double precision at a time.
_BLOCK = 4096
#: A variance below this share of the largest is rounding.
_ROUNDING = 1e-9


class Fitted(Loss):
    """Bits say on which side of their mean features lie, along ``bits`` directions of a class's choice."""

    trains = False
    fitted = True
    Params = FittingParameters

    def fit(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The directions, float32 (bits, width), and what centres them: the bias is minus their mean."""
        mean = features.mean(axis=0, dtype=np.float64)
        weight = self.directions(features, mean)
        return weight.astype(np.float32), -(weight @ mean).astype(np.float32)

    @abstractmethod
    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """(bits, width), for features (n, width) of this mean."""


class Limited(Fitted):
    """Codes of at most as many bits as a feature has numbers; records warn of bits that add nothing."""

    def __init__(self, params: Any, task: Any) -> None:
        super().__init__(params, task)
        self.idle = 0

    @classmethod
    def check_width(cls, bits: int, width: int) -> str | None:
        """There are no more directions at right angles than numbers."""
        return (
            f"makes at most {width} bits of features of {width} numbers, not {bits}" if bits > width else None
        )

    def note(self, variances: Floats) -> None:
        """Count those of the directions (bits,) along which features do not differ."""
        self.idle = int((variances <= _ROUNDING * max(variances.max(), np.finfo(float).tiny)).sum())

    def summary(self) -> dict[str, Any]:
        """How many directions there are too few."""
        if not self.idle:
            return {}
        bits = self.task.bits
        sentence = (
            f"{self.idle} of {bits} bits add nothing: the images that codes were fitted to differ along "
            f"{bits - self.idle} directions alone; take shorter codes or more images"
        )
        return {"idle_bits": self.idle, "warnings": [sentence]}


def principal(features: NDArray[np.float32], mean: Floats, count: int) -> tuple[Floats, Floats]:
    """Principal components, those of the largest variance first: directions (count, width), variances.

    Unlike FAISS's, they are those of all images, in double precision; the largest entry of each is positive.
    """
    width = features.shape[1]
    covariance = np.zeros((width, width))
    for start in range(0, len(features), _BLOCK):
        centred = features[start : start + _BLOCK] - mean
        covariance += centred.T @ centred
    chosen = (width - count, width - 1)
    variances, vectors = linalg.eigh(covariance / len(features), subset_by_index=chosen, overwrite_a=True)
    directions = vectors.T[::-1]
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[np.arange(count), largest])[:, None], variances[::-1]


def rotation(size: int, generator: np.random.Generator) -> Floats:
    """A random orthogonal matrix (size, size), every one as likely as every other (Haar).

    Its first rows depend on the first numbers that are drawn alone: they are those of a larger one, cut.
    """
    return orthonormal(size, size, generator)


def orthonormal(rows: int, width: int, generator: np.random.Generator) -> Floats:
    """Random directions (rows, width): each ``width`` of them at right angles to each other.

    J. Ji et al., "Super-Bit Locality-Sensitive Hashing", NIPS 2012, with the greatest depth.
    """
    drawn = generator.standard_normal((rows, width))
    found = []
    for start in range(0, rows, width):
        q, r = np.linalg.qr(drawn[start : start + width].T)
        found.append((q * np.sign(np.diag(r))).T)  # so that QR is unique, and the draw uniform
    return np.concatenate(found)
