"""The training loop: one for every method of step 1 and every loss of step 2."""

from __future__ import annotations

import itertools
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.errors import CellError
from bench.interfaces import Stateful
from bench.training import allocator
from bench.training.checkpoints import Checkpoints
from bench.training.declared import Declared
from bench.training.micro_batches import Batch, Passes
from bench.training.rates import factors
from bench.training.state import Parts, Progress, Randomness, Weights
from bench.types import Advance, Incomplete, TrainingParameters, cut, untold

log = logging.getLogger(__name__)

#: epoch -> its batches, positions in the training set
Order = Callable[[int], Iterable[NDArray[np.int64]]]
#: (epoch, positions) of a whole training, one after the other -> what is done with each. It may read ahead.
Show = Callable[[Iterable[tuple[int, NDArray[np.int64]]]], Iterator[Batch]]


class DivergedError(CellError):
    """What is trained is no longer finite."""


@dataclass(frozen=True)
class Fitted:
    """What a training leaves beside the weights.

    Attributes:
        history: one dict per epoch: mean of every term, and ``lr``.
        images: how many were shown, those of every epoch counted.
        micro_batch: images that the network saw at a time where a batch did not fit into memory.
        seconds_before: that earlier runs spent on it.
    """

    history: list[dict[str, Any]]
    images: int
    micro_batch: int | None
    seconds_before: float

    def summary(self) -> dict[str, Any]:
        """For the artifact, see ``Store.write``: plain JSON values."""
        sometimes = {"micro_batch": self.micro_batch, "seconds_before": self.seconds_before}
        return {"history": self.history, **{name: value for name, value in sometimes.items() if value}}


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators start from ``seed`` inside and are as before outside.

    A GPU does the same every time inside, so that the seed decides there as it does on a CPU.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _repeatable(device):
        torch.manual_seed(seed)
        yield


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Sums on a GPU in one order, where torch can: not in the gradient of attention over long sequences."""
    if device.type != "cuda":
        yield
        return
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # it is for finding faults, and takes time
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*deterministic", UserWarning)
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=warn_only)
        memory.fill_uninitialized_memory = before[1]


def shuffled(images: int, batch_size: int, seed: int, incomplete: Incomplete = "drop") -> Order:
    """Every image once an epoch, in an order drawn from (seed, epoch), ``cut`` into batches.

    A batch of a few left over unsettles batch statistics and losses over pairs; published code mostly has it.
    """

    def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
        order = np.random.default_rng([seed, epoch]).permutation(images)
        return (order[part] for part in cut(images, batch_size, incomplete))

    return batches


def fit(
    passes: Passes,
    groups: Sequence[Mapping[str, Any]],
    settings: TrainingParameters,
    order: Order,
    show: Show,
    *,
    advance: Advance = untold,
    begin_epoch: Callable[[int], None] = lambda epoch: None,
    adjust_gradients: Callable[[int], None] = lambda epoch: None,
    end_of_epoch: Callable[[int], dict[str, float]] = lambda epoch: {},
    checkpoints: Checkpoints | None = None,
    keeps: Mapping[str, Stateful] | None = None,
) -> Fitted:
    """Minimise the sum of the terms of every batch.

    Args:
        passes: around the network that is trained.
        groups: what is trained, as torch's optimizers take it; ``lr_scale`` multiplies a group's rate, which
            rises from 0 in the share ``warmup`` of all steps. The rate of the first is told.
        settings: epochs, optimizer, schedule.
        order: asked for every epoch twice, as rates depend on how many steps there will be.
        show: makes a batch from its positions.
        advance: called with the number of images of every batch that is done; and before, with those that an
            earlier run has done and the seconds that it took.
        adjust_gradients: called between backward pass and optimizer.
        end_of_epoch: what it returns joins the history.
        checkpoints: what to go on from, and where to keep how far this is; None = neither.
        keeps: by name, what else changes as this goes on.

    Raises:
        CellError: there is no batch, the loss is no longer finite (``DivergedError``), memory is not enough,
            or a checkpoint does not fit.
    """
    optimizer = _optimizer(groups, settings)
    counts = [sum(1 for _ in order(epoch)) for epoch in range(settings.epochs)]
    if not min(counts):
        raise CellError("there is nothing to train on: no batch can be formed; lower batch_size")
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factors(settings, groups, counts))
    device = optimizer.param_groups[0]["params"][0].device
    checkpoints, done = checkpoints or Checkpoints(None), Progress()
    state = _state(passes, optimizer, scheduler, done, Randomness(device), keeps or {})
    if found := checkpoints.found(device):
        done.load_state_dict(found["progress"])
        log.info("%s goes on at epoch %d of %d", checkpoints.name, done.epoch + 1, settings.epochs)
        advance(done.images, checkpoints.seconds_before)
    batches = show(_every_epoch(order, counts, done.epoch, done.step))
    with allocator.kept(), checkpoints.kept(state) as step_done:
        for epoch in range(done.epoch, settings.epochs):
            done.epoch = epoch
            begin_epoch(epoch)
            if found:  # what that did belongs to it
                checkpoints.load(found, state)
                found = None
            for batch in itertools.islice(batches, counts[epoch] - done.step):
                terms = passes(batch, optimizer.zero_grad)
                adjust_gradients(epoch)
                optimizer.step()
                scheduler.step()
                for name, term in terms.items():
                    done.sums[name] = done.sums.get(name, torch.zeros_like(term)) + term
                done.images += len(batch.inputs)
                done.step += 1
                advance(len(batch.inputs))
                step_done()
            means = {name: float(total) / counts[epoch] for name, total in done.sums.items()}
            bad = [name for name, mean in means.items() if not math.isfinite(mean)]
            if bad:
                where = f"in epoch {epoch + 1} of {settings.epochs}"
                begun = "" if epoch else ", or begin with other weights"
                cure = f"lower lr (now {settings.lr:g}) or use precision: fp32{begun}"
                raise DivergedError(f"loss term '{bad[0]}' is {means[bad[0]]} {where}; {cure}")
            done.history.append({**means, "lr": scheduler.get_last_lr()[0], **end_of_epoch(epoch)})
            done.step, done.sums = 0, {}
    return Fitted(done.history, done.images, passes.piece, checkpoints.seconds_before)


def _state(
    passes: Passes,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
    done: Progress,
    randomness: Randomness,
    keeps: Mapping[str, Stateful],
) -> Parts:
    """All that decides how a training goes on."""
    weights = Weights(passes.net, optimizer)
    declared = {name: Declared(one, weights.tensors()) for name, one in keeps.items()}
    ours = {"progress": done, "weights": weights, "optimizer": optimizer, "schedule": scheduler}
    return Parts({**ours, "passes": passes, **declared, "randomness": randomness})


def _every_epoch(
    order: Order, counts: Sequence[int], first: int, done: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """All batches, but for those of epochs before ``first``, and the ``done`` first ones of that."""
    for epoch, count in list(enumerate(counts))[first:]:
        batches = list(order(epoch))
        # Batches are made ahead of time: with another number of them, epochs would run into each other.
        if len(batches) != count:
            raise CellError(
                f"epoch {epoch + 1} has {len(batches)} batches, and had {count} when they were counted"
            )
        for positions in batches[done if epoch == first else 0 :]:
            yield epoch, positions


def _optimizer(groups: Sequence[Mapping[str, Any]], settings: TrainingParameters) -> torch.optim.Optimizer:
    scaled = []
    for group in groups:
        options = {name: value for name, value in group.items() if name not in {"lr_scale", "warmup"}}
        scaled.append({"lr": settings.lr * group.get("lr_scale", 1.0), **options})
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(scaled, **common)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(scaled, momentum=0.9, fused=True, **common)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(scaled, fused=True, **common)
