"""Stage ``finetune`` (step 2): student and hash head learn codes from labels, with one hashing loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.hamming import average_precision, pack_codes
from bench.loading import LoadedDataset
from bench.registry import LOSSES
from bench.stage import Stage
from bench.stages import views
from bench.stages.context import Context
from bench.stages.training import fit, seeded
from bench.types import HashingParameters, HashingTask, Network
from models.heads import hash_network

#: File name and only content of the artifact: the state dict of trunk and head.
WEIGHTS = "network.safetensors"


def load_network(stage: Stage, context: Context) -> tuple[Network, nn.Module]:
    """The student and its fine-tuned deployed network, from the artifact of a finetune stage."""
    spec = stage.spec
    student = context.student(spec["student"])
    net = hash_network(student.build(), student.feature_dim(spec["image_size"]), spec["bits"])
    net.load_state_dict(context.tensors(stage, WEIGHTS))
    return student, context.place(net).eval()


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Train on the labelled images, in a fresh random view every epoch; never sees a query image."""
    spec, image_size, seed = stage.spec, stage.spec["image_size"], stage.spec["seed"]
    dataset = context.dataset(spec["dataset"])
    plugin = LOSSES.get(spec["loss"]["name"])
    params = plugin.Params.of(spec["loss"]["params"])
    assert isinstance(params, HashingParameters)
    splits = dataset.splits
    # Nothing is chosen when the last epoch is kept, so nothing needs to be held out.
    train = splits.train if params.select == "val" else np.union1d(splits.train, splits.val)
    loss = plugin(params, HashingTask(spec["bits"], dataset.images.classes, len(train), seed))
    labels = torch.from_numpy(dataset.images.multi_hot()[train]).float().to(context.device)

    student = context.student(spec["student"])
    with seeded(seed, context.device):
        trunk = student.build()
        net: nn.Module = hash_network(trunk, student.feature_dim(image_size), spec["bits"])
    if "distill" in stage.inputs:
        trunk.load_state_dict(context.tensors(stage.inputs["distill"], "student.safetensors"))
    net = context.place(net)
    crops: dict[int, NDArray[np.float64]] = {}

    def step(epoch: int, positions: NDArray[np.int64]) -> dict[str, Tensor]:
        if epoch not in crops:
            net.train()
            crops.clear()
            crops[epoch] = views.random_crops(dataset.images, views.FINETUNE_STREAM, seed, epoch)
        chosen = train[positions]
        pixels = torch.from_numpy(dataset.images.pixels[chosen]).to(context.device)
        inputs = views.render(pixels, crops[epoch][chosen], student.preprocessing, image_size)
        with context.autocast(spec["precision"]):
            codes = net(inputs).float()
        context.advance(len(chosen))
        index = torch.from_numpy(positions).to(context.device)
        return loss.terms(codes, labels[index], index)

    best = _Best(net, params, dataset, lambda indices: encode(net, student, dataset, indices, spec, context))
    history = fit(net.parameters(), params, len(train), seed, step, best.end_of_epoch)
    save_file({name: tensor.contiguous() for name, tensor in best.state().items()}, folder / WEIGHTS)
    return {"history": history, "images": len(train), "kept_epoch": best.epoch}


def encode(
    net: nn.Module,
    student: Network,
    dataset: LoadedDataset,
    indices: NDArray[np.int64],
    spec: Any,
    context: Context,
) -> NDArray[np.uint8]:
    """Packed codes of ``indices`` in the evaluation view: uint8 (n, ceil(bits / 8))."""
    crops = views.centre_crops(dataset.images)
    size = spec["image_size"]
    inputs = views.batches(dataset.images, indices, crops, student.preprocessing, size, context.device)
    return pack_codes(views.embed(net, inputs, context, spec["precision"]).numpy())


class _Best:
    """Keeps the weights of the last epoch, or of the one with the best mAP of val against train."""

    def __init__(self, net: nn.Module, params: HashingParameters, dataset: LoadedDataset, codes: Any) -> None:
        self.net, self.params, self.dataset, self.codes = net, params, dataset, codes
        self.epoch = params.epochs
        self._score = -1.0
        self._state: dict[str, Tensor] | None = None

    def end_of_epoch(self, epoch: int) -> dict[str, float]:
        number = epoch + 1
        due = number % self.params.eval_every == 0 or number == self.params.epochs
        if self.params.select == "last" or not due:
            return {}
        splits, labels = self.dataset.splits, self.dataset.images.labels
        codes = self.codes(splits.val), self.codes(splits.train)
        score = float(average_precision(*codes, labels[splits.val], labels[splits.train]).mean())
        if score > self._score:
            self._score, self.epoch = score, number
            self._state = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
        self.net.train()
        return {"val_map": score}

    def state(self) -> dict[str, Tensor]:
        return self._state if self._state is not None else self.net.state_dict()
