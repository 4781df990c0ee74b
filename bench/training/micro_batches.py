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
from bench.training.state import random_state, restore_random

log = logging.getLogger(__name__)

#: Outputs of the network -> loss terms by name.
Terms = Callable[[Any], dict[str, Tensor]]


@dataclass(frozen=True)
class Batch:
    """What the network is shown, images (n, 3, h, w) or features (n, width), and what is asked of it."""

    inputs: Tensor
    terms: Terms


#: What libraries say when they get no memory, other than by torch's own error.
_SHORTAGES = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory, of a GPU or of the machine, was not enough."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _SHORTAGES)
    )


class Forward:
    """Outputs of a network in eval mode; in pieces where they need be, as no image knows of another.

    Args:
        autocast: makes the context of every forward pass.
    """

    def __init__(self, net: nn.Module, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        self._net, self._autocast = net, autocast
        self._piece: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """How much has fitted: pieces are rounded differently."""
        return {"piece": self._piece}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with pieces of that size."""
        self._piece = state["piece"]

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Float32 (n, d) on the device of ``inputs``."""
        while True:
            try:
                pieces = torch.split(inputs, self._piece or len(inputs))
                outputs = [self._one(piece) for piece in pieces]
                return torch.cat(outputs) if len(outputs) > 1 else outputs[0]
            except Exception as error:
                if not out_of_memory(error) or self._piece == 1:
                    raise
            self._piece = _halved(self._piece or len(inputs), inputs)

    def _one(self, inputs: Tensor) -> Tensor:
        with self._autocast():
            outputs: Tensor = self._net(inputs)
        return outputs.float()


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
        self._in_loss = False

    def state_dict(self) -> dict[str, Any]:
        """As that of ``Forward``."""
        return {"piece": self.piece}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As that of ``Forward``."""
        self.piece = state["piece"]

    def __call__(self, batch: Batch, clear: Callable[[], None]) -> dict[str, Tensor]:
        """Leave the gradients of the sum of the terms where the optimizer finds them.

        Args:
            clear: forgets gradients; called before every attempt.

        Returns:
            The terms, without a graph.

        Raises:
            CellError: not even one image fits, or the network cannot be shown pieces.
        """
        random = random_state(batch.inputs.device)
        while True:
            clear()
            self._in_loss = False
            try:
                if self.piece is None:
                    return self._whole(batch)
                return self._in_pieces(batch, self.piece)
            except Exception as error:
                if not out_of_memory(error):
                    raise
            # Outside of the block above: the traceback of the error holds on to the tensors of the attempt.
            self._shrink(batch)
            restore_random(batch.inputs.device, random)

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
                states.append(random_state(piece.device))
                outputs = self._forward(piece)
                if not isinstance(outputs, Tensor):
                    raise _refusal(batch, "the method looks at more of the network than its output")
                found.append(outputs)
        outputs = torch.cat(found).requires_grad_()
        self._in_loss = True
        terms = batch.terms(outputs)
        _sum(terms).backward()  # type: ignore[no-untyped-call]
        self._in_loss = False
        assert outputs.grad is not None
        after = random_state(outputs.device)
        for piece, state, gradient in zip(pieces, states, torch.split(outputs.grad, size), strict=True):
            restore_random(piece.device, state)  # so that dropout drops the same
            self._forward(piece).backward(gradient)
        restore_random(outputs.device, after)
        return {name: term.detach() for name, term in terms.items()}

    def _shrink(self, batch: Batch) -> None:
        layer = _meeting(self.net)
        if layer is not None:
            raise _refusal(batch, f"pieces of it would train another network: {layer} mixes its images")
        if self._in_loss:
            raise _refusal(batch, "the loss, which must see all of it, does not fit")
        if self.piece == 1:
            raise _refusal(batch, "not even one image fits")
        self.piece = _halved(self.piece or len(batch.inputs), batch.inputs)


def _halved(size: int, inputs: Tensor) -> int:
    """Images of the next attempt; gives back what the last one has left."""
    if inputs.device.type == "cuda":
        torch.cuda.empty_cache()
    half = -(-size // 2)
    log.warning("out of memory: batches of %d images go in pieces of %d", len(inputs), half)
    return half


def _sum(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _meeting(net: nn.Module) -> str | None:
    """A layer in which the images of a batch meet, by its class; None if there is none."""
    for module in net.modules():
        # Whatever keeps a running variance computes one over the batch, evolved normalisations, too.
        meets = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if module.training and (meets or getattr(module, "running_var", None) is not None):
            return type(module).__name__
    return None


def _refusal(batch: Batch, reason: str) -> CellError:
    many, width = len(batch.inputs), batch.inputs.shape[-1]
    # A head that is trained alone is shown features in place of images.
    what, cure = f"{many} images of {width} pixels", "lower batch_size or image_size"
    if batch.inputs.ndim == 2:
        what, cure = f"{many} features of {width} numbers", "lower batch_size"
    return CellError(f"out of memory with a batch of {what}, and {reason}; {cure}")
