"""A loss for each code length of one network: the first bits of a code are codes, too.

All lengths are learnt at once, by the weighted sum of a loss each, which has centers, weights or memory of
its own. A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022, did so with embeddings and a
classifier each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from bench.interfaces import Loss
from bench.training.declared import Declared
from bench.types import HashingParameters, HashingTask


def views_per_step(loss: Any) -> int:
    """In how many views a loss, or its class, is shown an image; interfaces need not be inherited from."""
    return int(getattr(loss, "views_per_step", Loss.views_per_step))


class NestedLoss:
    """As one hashing loss of the longest codes.

    Args:
        plugin: the loss of every length.
        params: its parameters, the same for all lengths; ``length_weights`` is a number for each.
        task: of the longest codes.
        lengths: ascending.
    """

    def __init__(
        self, plugin: type[Loss], params: HashingParameters, task: HashingTask, lengths: Sequence[int]
    ) -> None:
        self.params, self.task = params, task
        self.views_per_step = views_per_step(plugin)
        self._losses = {bits: plugin(params, replace(task, bits=bits)) for bits in lengths}
        self._weights = params.length_weights or [1 / len(lengths)] * len(lengths)
        self._declared = {bits: Declared(loss, loss.parameters()) for bits, loss in self._losses.items()}

    def trained_head(self, linear: nn.Linear) -> nn.Module:
        """That of the loss of the longest codes: there is one for all."""
        # Interfaces need not be inherited from.
        longest = self._losses[self.task.bits]
        head: nn.Module = getattr(longest, "trained_head", lambda linear: linear)(linear)
        return head

    def parameters(self) -> Iterable[nn.Parameter]:
        """Those of all lengths."""
        return [parameter for loss in self._losses.values() for parameter in loss.parameters()]

    def begin_epoch(self, epoch: int) -> None:
        """Tell every length."""
        for loss in self._losses.values():
            loss.begin_epoch(epoch)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Those of every length on its first bits, ``center@16``, times its weight."""
        return dict(self._terms(codes, labels, index))

    def _terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> Iterator[tuple[str, Tensor]]:
        for (bits, loss), weight in zip(self._losses.items(), self._weights, strict=True):
            for name, term in loss.terms(codes[:, :bits], labels, index).items():
                yield f"{name}@{bits}", weight * term

    def summary(self) -> dict[str, Any]:
        """What each length has to say; warnings of all of them."""
        found = {bits: dict(loss.summary()) for bits, loss in self._losses.items()}
        warnings = [
            f"{bits} bits: {sentence}" for bits, one in found.items() for sentence in one.pop("warnings", [])
        ]
        told = {f"{name}@{bits}": value for bits, one in found.items() for name, value in one.items()}
        return {**told, **({"warnings": warnings} if warnings else {})}

    def state_dict(self) -> dict[str, Any]:
        """Of every length, by its bits."""
        return {str(bits): one.state_dict() for bits, one in self._declared.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give each its own."""
        for bits, one in self._declared.items():
            one.load_state_dict(state[str(bits)])
