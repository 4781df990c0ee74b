"""Relational distillation: the student keeps the teacher's distances and angles between images.

W. Park et al., "Relational Knowledge Distillation", CVPR 2019. Nothing is compared across the two feature
spaces, so widths may differ, and no labels are used.

    method: [{name: rkd, params: {distance_weight: 25, angle_weight: 50}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.interfaces import Method
from bench.methods._spaces import ADAPTIVE
from bench.registry import METHODS
from bench.types import DistillationBatch, SharedViewsParameters, Space

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class Rkd(Method):
    """One frozen teacher; distance-wise and angle-wise terms, each a Huber loss."""

    version = 1
    teachers = (1, 1)
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "distance_weight": (1.0, 250.0, "log"),
        "angle_weight": (2.0, 500.0, "log"),
    }

    class Params(SharedViewsParameters):
        """Angles count twice as much as distances, as in the authors' metric-learning runs (1 and 2)."""

        distance_weight: float = Field(25.0, ge=0, description="of distances between two images")
        angle_weight: float = Field(
            50.0, ge=0, description="its term takes memory for all triples of a batch"
        )

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """Huber losses over all pairs and triples of the batch."""
        from torch.nn import functional as F

        teacher = batch.teachers[0]
        distance = F.smooth_l1_loss(scaled_distances(outputs), scaled_distances(teacher))
        angle = F.smooth_l1_loss(angles(outputs), angles(teacher))
        return {
            "distance": self.params.distance_weight * distance,
            "angle": self.params.angle_weight * angle,
        }


def scaled_distances(features: Tensor) -> Tensor:
    """Euclidean distances divided by their mean over pairs of different images: (n, d) -> (n, n)."""
    squares = features.square().sum(dim=1)
    squared = squares[:, None] + squares[None] - 2 * features @ features.T
    # The square root has no gradient at 0, where every image meets itself.
    distances = squared.clamp(min=1e-12).sqrt()
    count = len(features) * (len(features) - 1)
    away = 1 - features.new_ones(len(features)).diag()
    return distances * away / ((distances * away).sum() / count).clamp(min=1e-12)


def angles(features: Tensor) -> Tensor:
    """Cosine of the angle at image j between images i and k: (n, d) -> (n, n, n), first axis j."""
    from torch.nn import functional as F

    directions = F.normalize(features[None] - features[:, None], dim=2)
    return directions @ directions.transpose(1, 2)
