"""What methods share that leave a student with a linear layer of any width behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.interfaces import Method
from bench.types import DistillationTask

if TYPE_CHECKING:
    from torch import nn


class ProjectedMethod(Method):
    """``embedding`` of the params is the width of the layer; None = the student as it is."""

    params: Any

    def __init__(self, params: Any, task: DistillationTask) -> None:
        from models.layers.embeddings import embedded, embedding

        super().__init__(params, task)
        self._net = task.trunk
        if params.embedding:
            self._net = embedded(task.trunk, embedding("whitened", task.width, params.embedding))

    @classmethod
    def reshaped_by(cls, params: Any) -> bool:
        """By the layer."""
        return params.embedding is not None

    def network(self) -> nn.Module:
        """The student with the layer."""
        return self._net

    def student(self) -> tuple[nn.Module, dict[str, Any]]:
        """The layer stays with the student."""
        width = self.params.embedding
        return self._net, {"embedding": {"kind": "whitened", "width": width}} if width else {}


def vectors_undecayed(network: nn.Module) -> list[dict[str, Any]]:
    """Groups for an optimiser: weights with and vectors (biases, normalisation) without decay."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
