"""Stage ``finetune`` (step 2): student and hash head learn codes from labels, with one hashing loss."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data.loading import LoadedDataset
from bench.hamming import Codes, average_precision, first_bits, pack_signs
from bench.interfaces import Loss
from bench.planning.stage import TRUNK, Stage
from bench.registry import LOSSES
from bench.stages import networks, tune
from bench.stages.context import Context
from bench.stages.encode import outputs_of
from bench.stages.memory import FLOAT, Needs
from bench.stages.nested import NestedLoss, views_per_step
from bench.stages.trunk import features_for, held
from bench.training import views
from bench.training.loop import DivergedError, fit, seeded, shuffled
from bench.training.micro_batches import Batch, Passes, Terms
from bench.types import HashingParameters, HashingTask, ImageSet, Preprocessing, untold
from models.layers.heads import hash_network
from models.weights import restore, stored_tensors

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 3


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Train on the labelled images, mostly in a fresh random view every epoch; never sees a query image.

    Where the trunk is frozen, the head alone is trained, on its features of the evaluation view.
    """
    chosen = tune.winner(stage, context, "loss")
    net, summary = train(stage, context, chosen)
    networks.save(net, folder / networks.NETWORK)
    networks.save_architecture(networks.architecture(networks.taken_up(stage), context), folder)
    return {**summary, **({"tuned": dict(chosen)} if chosen else {})}


def train(
    stage: Stage, context: Context, chosen: Mapping[str, Any], *, judged: bool = False
) -> tuple[nn.Module, dict[str, Any]]:
    """The network as step 2 leaves it, and the summary of its training.

    Args:
        chosen: parameters of the loss beside those of the spec.
        judged: whether validation images are held out whatever is chosen by them, and the summary has the
            mAP of the kept epoch on them (``val_map``).

    Raises:
        CellError: as ``training.loop.fit``; outputs that are not finite are a ``DivergedError``, too.
    """
    checkpoints = context.checkpoints(stage, chosen)
    spec, seed, before = stage.spec, stage.spec["seed"], networks.taken_up(stage)
    dataset, student = context.dataset(spec["dataset"]), context.student(spec["student"])
    plugin = LOSSES.get(spec["loss"]["name"])
    params = plugin.Params.of({**spec["loss"]["params"], **chosen})
    assert isinstance(params, HashingParameters)
    splits = dataset.splits
    # Nothing is chosen when the last epoch is kept, so nothing needs to be held out.
    held_out = judged or params.select == "val"
    train = splits.train if held_out else np.union1d(splits.train, splits.val)
    labels = torch.from_numpy(dataset.images.multi_hot(train)).float().to(context.device)
    multi_label = bool((labels.sum(dim=1) != 1).any())
    name, nested = spec["dataset"]["name"], spec.get("nested")
    task = HashingTask(spec["bits"], dataset.images.classes, len(train), seed, multi_label, name)

    with seeded(seed, context.device):
        trunk, width = networks.distilled(student, spec["image_size"], before, context)
        net = hash_network(trunk, width, spec["bits"], params.head_start)
        loss = NestedLoss(plugin, params, task, nested) if nested else plugin(params, task)
        # Interfaces need not be inherited from.
        head: nn.Module = getattr(loss, "trained_head", lambda linear: linear)(net.head)
        net.head = head
        context.place(net)
        features = features_for(stage, context)
        learning = head if features else net
        own = list(loss.parameters())
        for parameter in own:
            parameter.data = parameter.data.to(context.device)

        def begin_epoch(epoch: int) -> None:
            learning.train()
            loss.begin_epoch(epoch)

        batches: _Batches | _FeatureBatches
        aside = dataclasses.replace(context, advance=untold)  # progress counts training
        if features:
            outputs = functools.partial(features.outputs, learning, spec=spec, context=aside)
            batches = _FeatureBatches(features.of(train).to(context.device), labels, loss)
        else:
            outputs = functools.partial(
                outputs_of, net, student.preprocessing, dataset, spec=spec, context=aside
            )
            batches = _Batches(spec, context, dataset.images, train, labels, student.preprocessing, loss)
        best = _Best(spec, dataset, params, learning, outputs)
        fitted = fit(
            Passes(learning, lambda: context.autocast(spec["precision"])),
            _groups(net, own, params, distilled=before is not None)[: 1 if features else None],
            params,
            shuffled(len(train), params.batch_size, seed, params.incomplete),
            batches.show,
            advance=context.advance,
            begin_epoch=begin_epoch,
            end_of_epoch=best.end_of_epoch,
            checkpoints=checkpoints,
            keeps={"loss": loss, "best": best},
        )
    best.restore()
    found = {"val_map": best.judge()} if judged else {}
    net.head = getattr(head, "folded", lambda: head)()
    return net, {
        **fitted.summary(),
        "images": len(train),
        "kept_epoch": best.epoch,
        **found,
        **loss.summary(),
    }


def memory(stage: Stage, needs: Needs) -> float:
    """The network in training, or the features of a frozen trunk; and the labels of all its images."""
    block = stage.spec["loss"]
    params, parts = block["params"], views_per_step(LOSSES.get(block["name"]))
    images: float = stage.images / params["epochs"] / parts
    labels = (FLOAT + 1) * needs.classes(stage.spec["dataset"]) * images
    if TRUNK in stage.inputs:
        return held(stage, needs, images) + labels
    return needs.trained(stage.spec, {**params, "batch_size": parts * params["batch_size"]}) + labels


def _groups(
    net: Any, own: list[nn.Parameter], params: HashingParameters, *, distilled: bool
) -> list[dict[str, Any]]:
    """What is trained: the head and what the loss brought, then the trunk, which may have something to lose.

    Adam and its kind move every weight by about the rate, however little the gradient means. As long as the
    head is random, that is noise to the trunk, and a few dozen such steps undo step 1.

    Args:
        distilled: whether step 1 has trained the trunk. Published weights gain nothing from this (measured).
    """
    head = {"params": [*net.head.parameters(), *own], "lr_scale": params.head_lr_scale}
    return [
        head,
        {"params": list(net.trunk.parameters()), "warmup": params.trunk_warmup if distilled else 0.0},
    ]


class _Batches:
    """Shows the training images, every epoch in other views, and what the loss says of their codes."""

    def __init__(
        self, spec: Mapping[str, Any], context: Context, images: ImageSet, train: NDArray[np.int64],
        labels: Tensor, preprocessing: Preprocessing,
        loss: Loss | NestedLoss,
    ) -> None:  # fmt: skip
        self.spec, self.context, self.images, self.train = spec, context, images, train
        self.labels, self.preprocessing, self.loss = labels, preprocessing, loss
        self.parts = views_per_step(loss)
        # Reading is an epoch ahead now and then.
        self._crops = functools.lru_cache(maxsize=2 * self.parts)(self._drawn)

    def _drawn(self, epoch: int, part: int) -> NDArray[np.float64]:
        if not (part or self.loss.params.random_views):
            return views.centre_crops(self.images)
        drawn = views.strong_crops if part else views.random_crops
        return drawn(self.images, views.FINETUNE_STREAM, self.spec["seed"], self.parts * epoch + part)

    def show(self, order: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[Batch]:
        shown = ((epoch, np.tile(positions, self.parts)) for epoch, positions in order)
        read = (((epoch, positions), self.train[positions]) for epoch, positions in shown)
        for (epoch, positions), pixels in self.context.source(self.images).stream(read, self._view):
            chosen = self._split(epoch, self.train[positions])
            inputs = [
                views.render(some, crops, self.preprocessing, self.spec["image_size"])
                for some, crops in zip(pixels.chunk(self.parts), chosen, strict=True)
            ]
            whole = torch.cat(inputs) if self.parts > 1 else inputs[0]
            yield Batch(whole, self._terms(torch.from_numpy(positions).to(self.context.device)))

    def _split(self, epoch: int, chosen: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        """Crops of the images ``chosen``, part by part."""
        split = np.split(chosen, self.parts)
        return [self._crops(epoch, part)[images] for part, images in enumerate(split)]

    def _view(self, tag: tuple[int, NDArray[np.int64]], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where the images ``chosen`` are cut in the epoch of the tag."""
        return np.concatenate([crops[:, :3] for crops in self._split(tag[0], chosen)])

    def _terms(self, index: Tensor) -> Terms:
        return lambda codes: self.loss.terms(codes, self.labels[index], index)


class _FeatureBatches:
    """Shows what a frozen trunk says of the training images, float32 (images, width), in place of them."""

    def __init__(self, features: Tensor, labels: Tensor, loss: Loss | NestedLoss) -> None:
        self.features, self.labels, self.loss = features, labels, loss

    def show(self, order: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[Batch]:
        for _, positions in order:
            index = torch.from_numpy(positions).to(self.features.device)
            yield Batch(self.features[index], self._terms(index))

    def _terms(self, index: Tensor) -> Terms:
        return lambda codes: self.loss.terms(codes, self.labels[index], index)


class _Best:
    """Keeps the weights of the last epoch, or of the one with the best mAP of val against train.

    Args:
        net: what learns.
        outputs: of the whole network for images by their places in the data set: float32 (n, bits).
    """

    def __init__(
        self, spec: Mapping[str, Any], dataset: LoadedDataset, params: HashingParameters, net: nn.Module,
        outputs: Callable[[NDArray[np.int64]], Tensor],
    ) -> None:  # fmt: skip
        self.spec, self.dataset, self.params, self.net = spec, dataset, params, net
        self.epoch = params.epochs
        self._outputs = outputs
        self._score = -1.0
        self._state: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"epoch": self.epoch, "score": self._score, "weights": self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Beat that one."""
        self.epoch, self._score, self._state = state["epoch"], state["score"], state["weights"]

    def end_of_epoch(self, epoch: int) -> dict[str, float]:
        number = epoch + 1
        due = number % self.params.eval_every == 0 or number == self.params.epochs
        if self.params.select == "last" or not due:
            return {}
        score = self.judge()
        if score > self._score:
            self._score, self.epoch = score, number
            self._state = {name: tensor.clone() for name, tensor in stored_tensors(self.net).items()}
        return {"val_map": score}

    def judge(self) -> float:
        """The mAP of val against train as the network is now; of several code lengths the mean."""
        splits, labels = self.dataset.splits, self.dataset.images.labels
        codes = self._codes(splits.val), self._codes(splits.train)
        judged = labels[splits.val], labels[splits.train]
        lengths = self.spec.get("nested") or [self.spec["bits"]]
        return float(np.mean([_mean_precision(codes, judged, bits) for bits in lengths]))

    def _codes(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        outputs = self._outputs(indices)
        if not outputs.isfinite().all():
            raise DivergedError("outputs for the validation are not finite: training diverged; lower lr")
        return pack_signs(outputs.numpy())

    def restore(self) -> None:
        """Put the kept weights back into the network."""
        if self._state is not None:
            restore(self.net, self._state)


def _mean_precision(codes: Sequence[Codes], judged: Sequence[NDArray[Any]], bits: int) -> float:
    """The mAP of the first ``bits`` of packed codes, one side against the other."""
    queries, database = (first_bits(side, bits) for side in codes)
    return float(average_precision(queries, database, *judged, bits=bits).mean())
