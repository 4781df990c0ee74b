"""Iterative quantization: principal components, turned so that signs lose as little as can be. No labels.

Y. Gong and S. Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes", CVPR 2011:
from a random rotation, codes and rotation are found in turn, 50 times. FAISS has an ``ITQMatrix``,
whose error does not fall from turn to turn (1.15.1), so that SciPy solves the Procrustes problem here.

    loss: [{name: itq, params: {iterations: 50}}]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import orthogonal_procrustes

from bench.losses._fitted import Floats, Limited, principal, rotation
from bench.registry import LOSSES
from bench.types import FittingParameters, HashingTask


@LOSSES.register
class Itq(Limited):
    """The rotation of principal components with the smallest quantization error, found by turns."""

    version = 1
    nests = False

    class Params(FittingParameters):
        """As published."""

        iterations: int = Field(50, ge=1, le=10_000, description="turns of codes and rotation")

    params: Params

    def __init__(self, params: Params, task: HashingTask) -> None:
        super().__init__(params, task)
        self.errors: list[float] = []

    def directions(self, features: NDArray[np.float32], mean: Floats) -> Floats:
        """Rotated principal components; the seed draws the rotation that the first turn begins with."""
        found, variances = principal(features, mean, self.task.bits)
        self.note(variances)
        projected = (features - mean.astype(np.float32)) @ found.T.astype(np.float32)
        start = rotation(self.task.bits, np.random.default_rng(self.task.seed))
        return self.turned(projected.astype(np.float64), start) @ found

    def turned(self, projected: Floats, start: Floats) -> Floats:
        """The rotation R (bits, bits) with a small error |sign(V R') - V R'|² per image of V (n, bits)."""
        turn = start
        for _ in range(self.params.iterations):
            outputs = projected @ turn.T
            codes = np.where(outputs < 0, -1.0, 1.0)
            self.errors.append(float(np.square(codes - outputs).sum(axis=1).mean()))
            turn = orthogonal_procrustes(projected, codes)[0].T
        return turn

    def summary(self) -> dict[str, Any]:
        """The error before the first turn and before the last one."""
        return {"quantization_error": [self.errors[0], self.errors[-1]], **super().summary()}
