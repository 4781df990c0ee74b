"""Signs of principal components after a random rotation, which spreads variance over bits. No labels.

Called PCA-RR in Y. Gong and S. Lazebnik, "Iterative Quantization", CVPR 2011; what they propose (``itq``)
starts with it.

    loss: [pca_rotation]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.losses._fitted import Floats, Limited, principal, rotation
from bench.registry import LOSSES


@LOSSES.register
class PcaRotation(Limited):
    """As many principal components as bits, all of them in every bit."""

    version = 1
    nests = False

    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """Rotated principal components; the seed draws the rotation."""
        found, variances = principal(features, mean, self.task.bits)
        self.note(variances)
        return rotation(self.task.bits, np.random.default_rng(self.task.seed)) @ found
