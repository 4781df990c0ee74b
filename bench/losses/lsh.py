"""Random hyperplanes through the mean of features, at right angles to each other. No training, no labels.

M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002; at right angles: J. Ji et
al., "Super-Bit Locality-Sensitive Hashing", NIPS 2012. Codes may be longer than features: each so many planes
are then drawn anew.

    loss: [{name: lsh, params: {pool: train}}]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.losses._fitted import Fitted, Floats, orthonormal
from bench.registry import LOSSES


@LOSSES.register
class Lsh(Fitted):
    """A bit for each random direction; longer codes of a seed begin with the shorter ones."""

    version = 1

    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """Drawn from the seed; nothing but the mean depends on the features."""
        return orthonormal(self.task.bits, features.shape[1], np.random.default_rng(self.task.seed))
