"""Signs of features: the numbers of largest variance, each cut at its mean. No training, no labels.

What a feature says by itself, before anything is rotated or learnt.

    loss: [sign]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.losses._fitted import Floats, Limited
from bench.registry import LOSSES


@LOSSES.register
class Sign(Limited):
    """A bit for each of the numbers of a feature that differ most between images."""

    version = 1
    draws = False

    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """Unit vectors, that of the largest variance first, of equal ones the first."""
        variances = features.var(axis=0, dtype=np.float64)
        chosen = np.argsort(-variances, kind="stable")[: self.task.bits]
        self.note(variances[chosen])
        return np.eye(features.shape[1])[chosen]
