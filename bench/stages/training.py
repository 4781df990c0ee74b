"""The training loop: one for step 1 and for every loss of step 2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import CellError
from bench.types import TrainingParameters

Step = Callable[[int, NDArray[np.int64]], dict[str, Tensor]]
EndOfEpoch = Callable[[int], dict[str, float]]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators start from ``seed`` inside and are as before outside."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def fit(
    parameters: Iterable[nn.Parameter],
    settings: TrainingParameters,
    images: int,
    seed: int,
    step: Step,
    end_of_epoch: EndOfEpoch = lambda epoch: {},
) -> list[dict[str, Any]]:
    """Minimise the sum of the terms that ``step`` returns.

    Args:
        parameters: what is trained.
        settings: epochs, batch size, optimizer, schedule.
        images: size of the training set; order is drawn from (seed, epoch).
        seed: training seed.
        step: (epoch, positions in the training set) -> loss terms by name.
        end_of_epoch: called after every epoch; what it returns joins the history.

    Returns:
        One dict per epoch: mean of every term, and ``lr``.

    Raises:
        CellError: the loss is no longer finite.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = _optimizer(parameters, settings)
    # A batch of one or two left over would unsettle batch statistics and losses over pairs: it is dropped.
    per_epoch = max(1, images // settings.batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(settings, per_epoch))
    history: list[dict[str, Any]] = []
    for epoch in range(settings.epochs):
        order = np.random.default_rng([seed, epoch]).permutation(images)
        sums: dict[str, Tensor] = {}
        for i in range(per_epoch):
            terms = step(epoch, order[i * settings.batch_size : (i + 1) * settings.batch_size])
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
            for name, term in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(term)) + term.detach()
        means = {name: float(total) / per_epoch for name, total in sums.items()}
        bad = [name for name, mean in means.items() if not math.isfinite(mean)]
        if bad:
            where = f"in epoch {epoch + 1} of {settings.epochs}"
            cure = f"lower lr (now {settings.lr:g}) or use precision: fp32"
            raise CellError(f"loss term '{bad[0]}' is {means[bad[0]]} {where}; {cure}")
        history.append({**means, "lr": scheduler.get_last_lr()[0], **end_of_epoch(epoch)})
    return history


def _optimizer(parameters: list[nn.Parameter], settings: TrainingParameters) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, **options)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=0.9, fused=True, **options)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, fused=True, **options)


def _schedule(settings: TrainingParameters, per_epoch: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step."""
    if settings.schedule == "constant":
        return lambda step: 1.0
    total = settings.epochs * per_epoch
    warmup = max(1, min(per_epoch, total // 10))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return factor
