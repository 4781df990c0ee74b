"""The training loop: one for every method of step 1 and every loss of step 2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import CellError
from bench.types import TrainingParameters

#: (epoch, positions in the training set) -> loss terms by name
Step = Callable[[int, NDArray[np.int64]], dict[str, Tensor]]
#: epoch -> its batches, positions in the training set
Batches = Callable[[int], Iterable[NDArray[np.int64]]]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators start from ``seed`` inside and are as before outside."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def shuffled(images: int, batch_size: int, seed: int) -> Batches:
    """Every image once an epoch, in an order drawn from (seed, epoch).

    A batch of one or two left over would unsettle batch statistics and losses over pairs: it is dropped.
    """

    def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
        order = np.random.default_rng([seed, epoch]).permutation(images)
        for start in range(0, max(images - batch_size, 0) + 1, batch_size):
            yield order[start : start + batch_size]

    return batches


def fit(
    groups: Sequence[Mapping[str, Any]],
    settings: TrainingParameters,
    batches: Batches,
    step: Step,
    *,
    begin_epoch: Callable[[int], None] = lambda epoch: None,
    adjust_gradients: Callable[[int], None] = lambda epoch: None,
    end_of_epoch: Callable[[int], dict[str, float]] = lambda epoch: {},
) -> list[dict[str, Any]]:
    """Minimise the sum of the terms that ``step`` returns.

    Args:
        groups: what is trained, as torch's optimizers take it; ``lr_scale`` multiplies a group's rate.
        settings: epochs, optimizer, schedule.
        batches: every epoch has as many as the first.
        adjust_gradients: called between backward pass and optimizer.
        end_of_epoch: what it returns joins the history.

    Returns:
        One dict per epoch: mean of every term, and ``lr``.

    Raises:
        CellError: there is no batch, or the loss is no longer finite.
    """
    optimizer = _optimizer(groups, settings)
    per_epoch = len(list(batches(0)))
    if not per_epoch:
        raise CellError("there is nothing to train on: no batch can be formed; lower batch_size")
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(settings, per_epoch))
    history: list[dict[str, Any]] = []
    for epoch in range(settings.epochs):
        begin_epoch(epoch)
        sums: dict[str, Tensor] = {}
        for positions in batches(epoch):
            terms = step(epoch, positions)
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            adjust_gradients(epoch)
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


def _optimizer(groups: Sequence[Mapping[str, Any]], settings: TrainingParameters) -> torch.optim.Optimizer:
    scaled = []
    for group in groups:
        options = {name: value for name, value in group.items() if name != "lr_scale"}
        scaled.append({"lr": settings.lr * group.get("lr_scale", 1.0), **options})
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(scaled, **common)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(scaled, momentum=0.9, fused=True, **common)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(scaled, fused=True, **common)


def _schedule(settings: TrainingParameters, per_epoch: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step."""
    if settings.schedule == "constant":
        return lambda step: 1.0
    total = settings.epochs * per_epoch
    if settings.schedule == "cosine":
        warmup = descent = max(1, min(per_epoch, total // 10))
    else:
        warmup, descent = max(1, total // 12), max(1, total // 3)

    def factor(step: int) -> float:
        if step < descent:
            return min(1.0, (step + 1) / warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - descent) / max(1, total - descent))))

    return factor
