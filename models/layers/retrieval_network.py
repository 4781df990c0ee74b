"""A network that learns to tell identities apart: trunk, embedding and classifier, and their losses.

Source: capacity dynamic distillation, arXiv 2303.09230.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.embeddings import embedding


@dataclass(frozen=True)
class RetrievalOutputs:
    """What the three parts say of a batch.

    Attributes:
        feature: float (n, feature_dim), of the trunk.
        embedding: float (n, width).
        logits: float (n, classes).
    """

    feature: Tensor
    embedding: Tensor
    logits: Tensor


class RetrievalNetwork(nn.Module):
    """Trunk -> neck -> classifier without bias; the neck is part of the student, the classifier is not."""

    def __init__(self, trunk: nn.Module, feature_dim: int, width: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.neck = embedding("neck", feature_dim, width)
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Tensor) -> RetrievalOutputs:
        """Float (n, 3, s, s) -> outputs in float32."""
        feature = self.trunk(images).float()
        embedded = self.neck(feature).float()
        return RetrievalOutputs(feature, embedded, self.classifier(embedded).float())


def identity_loss(logits: Tensor, labels: Tensor, smoothing: float, *, several: bool = False) -> Tensor:
    """Cross-entropy with label smoothing; for several labels per image, binary cross-entropy per class.

    Args:
        logits: float (n, classes).
        labels: float (n, classes) 0/1.
        several: whether images of the set have several labels, or none.
    """
    if not several:
        return F.cross_entropy(logits, labels.argmax(dim=1), label_smoothing=smoothing)
    smoothed = labels * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, smoothed)


def triplet_loss(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Batch-hard triplets: the farthest image of the same identity against the nearest of another one.

    Euclidean distances of the features as they are. Images that share a label are of one identity; images
    without a negative in the batch cost nothing.

    Args:
        features: float (n, d).
        labels: float (n, classes) 0/1.
    """
    same = labels @ labels.T > 0
    squares = features.square().sum(dim=1)
    squared = squares[:, None] + squares[None] - 2 * features @ features.T
    distances = squared.clamp(min=1e-12).sqrt()
    # Of equal distances one has the whole gradient, as in the public code; amax would share it out.
    hardest = distances.masked_fill(~same, 0).max(dim=1).values
    nearest = distances.masked_fill(same, torch.inf).min(dim=1).values
    return F.relu(margin + hardest - nearest).mean()
