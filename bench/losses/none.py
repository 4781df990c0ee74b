"""No hashing: the student's feature after step 1 is the embedding, and cosine similarity compares it.

The reference without binary codes, and the way in which the systems of instance retrieval are judged. There
is no step 2 and no head; the code lengths of the grid do not apply.

    loss: [none]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import Parameters

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class NoHashing(Loss):
    """Trains nothing; needs no labels."""

    version = 1
    trains = False

    class Params(Parameters):
        """Nothing to set."""

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """No terms."""
        return {}
