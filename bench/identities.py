"""What training on identities shares: parameters, and batches of several images of each identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.types import DistillationParameters


class IdentityParameters(DistillationParameters):
    """Published settings of capacity dynamic distillation (arXiv 2303.09230) on MSMT17."""

    epochs: int = Field(120, ge=1)
    batch_size: int = Field(96, ge=4)
    images_per_identity: int = Field(6, ge=2, description="of a batch")
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "sgd"
    lr: float = Field(0.01, gt=0)
    head_lr_scale: float = Field(1.5, gt=0, description="factor of lr for the layers behind the trunk")
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["constant", "cosine", "flat_cosine"] = "flat_cosine"
    pool: Literal["database", "train"] = "train"
    embedding: int = Field(512, ge=2, description="width of the retrieval feature")
    margin: float = Field(0.35, ge=0, description="of the triplet loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1)

    def shared(self) -> dict[str, Any]:
        """The fields of this class, as plain JSON values."""
        return self.model_dump(mode="json", include=set(IdentityParameters.model_fields))


def batches(
    labels: NDArray[np.int64], params: IdentityParameters, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """Positions of batches in which every identity has ``images_per_identity`` images.

    An identity with fewer images left over fills up with images that it has shown already. Small sets are
    one batch.

    Args:
        labels: int64 (n,) identity of each image.
    """
    generator = np.random.default_rng([seed, epoch])
    size = params.images_per_identity
    groups = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        padded = np.resize(members, -(-len(members) // size) * size)
        groups.append(padded.reshape(-1, size))
    shuffled = generator.permutation(np.concatenate(groups))
    count = max(1, params.batch_size // size)
    for start in range(0, max(len(shuffled) - count, 0) + 1, count):
        yield shuffled[start : start + count].reshape(-1)
