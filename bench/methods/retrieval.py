"""No teacher: the student learns the labels with the usual retrieval losses. A supervised reference.

Cross-entropy over identities and batch-hard triplets, as published work on re-identification trains; the
live teacher of ``cdd`` is trained in this way (arXiv 2303.09230).

    method: [{name: retrieval, params: {epochs: 60}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.methods._identities import IDENTITIES, IdentityMethod, IdentityParameters
from bench.registry import METHODS

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class Retrieval(IdentityMethod):
    """Labels of the training images only."""

    version = 2
    teachers = (0, 0)
    space = IDENTITIES

    class Params(IdentityParameters):
        """Nothing beside what identities need."""

    def tensors(self) -> dict[str, Tensor]:
        """The classifier, for those who learn from this network."""
        return {"classifier": self.net.classifier.weight}
