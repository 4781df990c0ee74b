"""No teacher: the student learns the labels with the usual retrieval losses. A supervised reference.

Cross-entropy over identities and batch-hard triplets, as published work on re-identification trains; the
live teacher of ``cdd`` is trained in this way (arXiv 2303.09230).

    method: [{name: retrieval, params: {epochs: 60}}]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import identities
from bench.interfaces import Method
from bench.registry import METHODS
from bench.types import DistillationBatch, DistillationTask

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.retrieval_network import RetrievalOutputs


@METHODS.register
class Retrieval(Method):
    """Labels of the training images only."""

    version = 1
    teachers = (0, 0)
    reshapes = True

    class Params(identities.IdentityParameters):
        """Nothing beside what identities need."""

    def __init__(self, params: Params, task: DistillationTask) -> None:
        from models.retrieval_network import RetrievalNetwork

        super().__init__(params, task)
        assert task.labels is not None
        self._labels = task.labels.argmax(dim=1).cpu().numpy()
        self._net = RetrievalNetwork(task.trunk, task.width, params.embedding, task.labels.shape[1])

    @classmethod
    def uses_labels(cls, params: Params) -> bool:
        """Always."""
        return True

    def network(self) -> nn.Module:
        """Trunk, embedding and classifier."""
        return self._net

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """The layers behind the trunk learn faster."""
        head = [*self._net.neck.parameters(), *self._net.classifier.parameters()]
        scaled = {"params": head, "lr_scale": self.params.head_lr_scale}
        return [{"params": list(self._net.trunk.parameters())}, scaled]

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Several images of each identity."""
        return identities.batches(self._labels, self.params, self.task.seed, epoch)

    def terms(self, outputs: RetrievalOutputs, batch: DistillationBatch) -> dict[str, Tensor]:
        """Identity and triplet loss."""
        from models.retrieval_network import identity_loss, triplet_loss

        assert batch.labels is not None
        return {
            "identity": identity_loss(outputs.logits, batch.labels, self.params.label_smoothing),
            "triplet": triplet_loss(outputs.feature, batch.labels, self.params.margin),
        }

    def student(self) -> tuple[nn.Module, dict[str, Any]]:
        """Trunk and embedding."""
        from models.reshape import embedded

        kept = embedded(self._net.trunk, self._net.neck)
        return kept, {"embedding": {"kind": "neck", "width": self.params.embedding}}

    def tensors(self) -> dict[str, Tensor]:
        """The classifier, for those who learn from this network."""
        return {"classifier": self._net.classifier.weight}
