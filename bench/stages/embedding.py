"""What a network in eval mode makes of images, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from bench.stages.context import Context
from bench.training import allocator
from bench.training.micro_batches import Forward


def embed(net: nn.Module, inputs: Iterable[Tensor], context: Context, precision: str) -> Tensor:
    """Outputs of ``net`` in eval mode for all batches: float32 (n, d) on the CPU."""
    return torch.cat(list(embedded(net, inputs, context, precision)))


def embedded(net: nn.Module, inputs: Iterable[Tensor], context: Context, precision: str) -> Iterator[Tensor]:
    """The same, batch by batch as they are done."""
    forward = Forward(net.eval(), lambda: context.autocast(precision))
    with allocator.kept():
        for batch in inputs:
            yield forward(batch).cpu()
            context.advance(len(batch))
