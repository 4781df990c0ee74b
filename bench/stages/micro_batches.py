"""Forward and backward pass of one batch: whole where it fits into memory, else in pieces.

A loss over pairs must see the whole batch. In pieces, the outputs of all images are therefore computed
first, without a graph; the loss gives their gradient; then every piece goes through the network once more,
and its share of that gradient back through it. The gradient is that of the whole batch (L. Gao et al.,
"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", arXiv 2101.06983).

It would be another one where images of a batch meet inside the network, as in batch normalisation: such a
network is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import CellError

log = logging.getLogger(__name__)

#: Outputs of the network -> loss terms by name.
Terms = Callable[[Any], dict[str, Tensor]]


@dataclass(frozen=True)
class Batch:
    """What the network is shown, float (n, 3, s, s), and what is asked of its outputs."""

    inputs: Tensor
    terms: Terms


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory, of a GPU or of the machine, was not enough."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


class Passes:
    """Gradients of batch after batch; once a batch has not fitted, all later ones go in pieces.

    Args:
        net: in training mode.
        autocast: makes the context of every forward pass.

    Attributes:
        piece: images per piece; None while whole batches fit.
    """

    def __init__(self, net: nn.Module, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        self.net, self._autocast = net, autocast
        self.piece: int | None = None

    def __call__(self, batch: Batch, clear: Callable[[], None]) -> dict[str, Tensor]:
        """Leave the gradients of the sum of the terms where the optimizer finds them.

        Args:
            clear: forgets gradients; called before every attempt.

        Returns:
            The terms, without a graph.

        Raises:
            CellError: not even one image fits, or the network cannot be shown pieces.
        """
        while True:
            clear()
            try:
                if self.piece is None:
                    return self._whole(batch)
                return self._in_pieces(batch, self.piece)
            except Exception as error:
                if not out_of_memory(error):
                    raise
            # Outside of the block above: the traceback of the error holds on to the tensors of the attempt.
            self._shrink(batch)

    def _forward(self, inputs: Tensor) -> Any:
        with self._autocast():
            outputs = self.net(inputs)
        # Losses subtract similar numbers: products of features in bfloat16 would leave noise.
        return outputs.float() if isinstance(outputs, Tensor) else outputs

    def _whole(self, batch: Batch) -> dict[str, Tensor]:
        terms = batch.terms(self._forward(batch.inputs))
        _sum(terms).backward()  # type: ignore[no-untyped-call]
        return {name: term.detach() for name, term in terms.items()}

    def _in_pieces(self, batch: Batch, size: int) -> dict[str, Tensor]:
        pieces, states, found = torch.split(batch.inputs, size), [], []
        with torch.no_grad():
            for piece in pieces:
                states.append(_random_state(piece.device))
                outputs = self._forward(piece)
                if not isinstance(outputs, Tensor):
                    raise _refusal(batch, "the method looks at more than the network's output")
                found.append(outputs)
        outputs = torch.cat(found).requires_grad_()
        terms = batch.terms(outputs)
        _sum(terms).backward()  # type: ignore[no-untyped-call]
        assert outputs.grad is not None
        after = _random_state(outputs.device)
        for piece, state, gradient in zip(pieces, states, torch.split(outputs.grad, size), strict=True):
            _restore(piece.device, state)  # so that dropout drops the same
            self._forward(piece).backward(gradient)
        _restore(outputs.device, after)
        return {name: term.detach() for name, term in terms.items()}

    def _shrink(self, batch: Batch) -> None:
        layer = _meeting(self.net)
        if layer is not None:
            raise _refusal(batch, f"{layer} mixes the images of a batch")
        size = self.piece or len(batch.inputs)
        if size == 1:
            raise _refusal(batch, "not even one image fits")
        self.piece = -(-size // 2)
        if batch.inputs.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("out of memory: batches of %d go in pieces of %d", len(batch.inputs), self.piece)


def _sum(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _meeting(net: nn.Module) -> str | None:
    """A layer in which the images of a batch meet, by its class; None if there is none."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            return type(module).__name__
    return None


def _refusal(batch: Batch, reason: str) -> CellError:
    size = f"{len(batch.inputs)} images of {batch.inputs.shape[-1]} pixels"
    return CellError(
        f"out of memory with a batch of {size}, and {reason}, so pieces of it would train another network; "
        "lower batch_size or image_size"
    )


def _random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _restore(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
