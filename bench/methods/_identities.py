"""What training on identities shares: parameters, network, losses, batches of several images of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.interfaces import Method
from bench.methods._sampling import distinct, filled
from bench.methods._spaces import DESCENT
from bench.types import (
    AnySchedule,
    DistillationBatch,
    DistillationParameters,
    DistillationTask,
    RateSchedule,
    Space,
    later,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.layers.retrieval_network import RetrievalOutputs


#: What a tuning searches of methods that are nothing else.
IDENTITIES: Space = {**DESCENT, "margin": (0.05, 1.0, "log"), "triplet_weight": (0.1, 10.0, "log")}


class IdentityParameters(DistillationParameters):
    """Published settings of capacity dynamic distillation (arXiv 2303.09230) on MSMT17."""

    epochs: int = Field(120, ge=1)
    batch_size: int = Field(96, ge=4)
    images_per_identity: int = Field(6, ge=2, description="of a batch")
    sampler: Literal["filled", "distinct"] = later(
        "filled",
        description="filled: images that are left over fill up with others of their identity, which may be "
        "twice in a batch; distinct: never twice, and what is left over is left out, as published",
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "sgd"
    lr: float = Field(0.01, gt=0)
    head_lr_scale: float = Field(1.5, gt=0, description="factor of lr for the layers behind the trunk")
    weight_decay: float = Field(5e-4, ge=0)
    schedule: AnySchedule = RateSchedule(
        fall="cosine", warmup=1 / 12, warmup_from=0.1, level=1 / 3, final_lr=1e-7, per="epoch"
    )
    pool: Literal["database", "train"] = "train"
    embedding: int = Field(512, ge=2, le=65_536, description="width of the retrieval feature")
    triplet_weight: float = Field(1.0, ge=0, description="of the triplet loss")
    margin: float = Field(0.35, ge=0, description="of the triplet loss")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target that all classes have")

    def shared(self) -> dict[str, Any]:
        """The fields of this class, as plain JSON values."""
        return self.model_dump(mode="json", include=set(IdentityParameters.model_fields))


def batches(
    labels: NDArray[np.int64], params: IdentityParameters, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """Positions of batches of groups: ``images_per_identity`` images of one identity each.

    Args:
        labels: int64 (n,) identity of each image.
    """
    generator = np.random.default_rng([seed, epoch])
    size, count = params.images_per_identity, max(1, params.batch_size // params.images_per_identity)
    members = [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    drawn = distinct if params.sampler == "distinct" else filled
    return drawn(members, size, count, params.incomplete, generator)


class IdentityMethod(Method):
    """A method that trains trunk, embedding and classifier with labels of the training images."""

    reshapes = True
    params: Any

    def __init__(self, params: IdentityParameters, task: DistillationTask) -> None:
        from models.layers.retrieval_network import RetrievalNetwork

        super().__init__(params, task)
        assert task.labels is not None
        self._labels = task.first_labels()
        self._several = task.labels.ndim == 2 and bool((task.labels.sum(axis=1) != 1).any())
        self.net = RetrievalNetwork(task.trunk, task.width, params.embedding, task.classes)

    @classmethod
    def uses_labels(cls, params: Any) -> bool:
        """Always."""
        return True

    @classmethod
    def check(cls, params: Any) -> str | None:
        """A batch must hold two groups for the triplet loss to have a negative."""
        if 2 * params.images_per_identity > params.batch_size:
            return (
                f"images_per_identity {params.images_per_identity} leaves room for one identity in a batch "
                f"of {params.batch_size}; lower it"
            )
        return None

    def network(self) -> nn.Module:
        """Trunk, embedding and classifier."""
        return self.net

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """The layers behind the trunk learn faster."""
        head = [*self.net.neck.parameters(), *self.net.classifier.parameters()]
        scaled = {"params": head, "lr_scale": self.params.head_lr_scale}
        return [{"params": list(self.net.trunk.parameters())}, scaled]

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Several images of each identity; of images with several labels, the first counts."""
        return batches(self._labels, self.params, self.task.seed, epoch)

    def terms(self, outputs: RetrievalOutputs, batch: DistillationBatch) -> dict[str, Tensor]:
        """Identity and triplet loss."""
        from models.layers.retrieval_network import identity_loss, triplet_loss

        p = self.params
        assert batch.labels is not None
        return {
            "identity": identity_loss(outputs.logits, batch.labels, p.label_smoothing, several=self._several),
            "triplet": p.triplet_weight * triplet_loss(outputs.feature, batch.labels, p.margin),
        }

    def student(self) -> tuple[nn.Module, dict[str, Any]]:
        """Trunk and embedding."""
        from models.layers.embeddings import embedded

        kept = embedded(self.net.trunk, self.net.neck)
        return kept, {"embedding": {"kind": "neck", "width": self.params.embedding}}
