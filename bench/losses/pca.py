"""Signs of the first principal components of features. No training, no labels.

Called PCA-Direct in Y. Gong and S. Lazebnik, "Iterative Quantization", CVPR 2011, where it is a baseline.

    loss: [pca]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.losses._fitted import Floats, Limited, principal
from bench.registry import LOSSES


@LOSSES.register
class Pca(Limited):
    """A bit for each of the directions along which images differ most."""

    version = 1
    draws = False

    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """Principal components, that of the largest variance first."""
        found, variances = principal(features, mean, self.task.bits)
        self.note(variances)
        return found
