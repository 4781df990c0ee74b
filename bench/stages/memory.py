"""How much memory a stage will need on a CPU, before it starts.

Every stage says beside its ``run`` what its work holds, in the parts that ``Needs`` has. Networks are played
through on torch's ``meta`` device, which has shapes and no numbers: every tensor that a forward pass or a
training step of one batch would hold is counted while it lives. To that come what the optimizer keeps,
pixels, outputs, and a process with torch in it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.hamming.scan import MEMORY_MB
from bench.planning.stage import Stage
from bench.stages.context import Context
from bench.stages.networks import code_length, student_of
from bench.training import inputs, views
from bench.training.loop import seeded
from bench.types.sizes import ImageSize, area, sides

#: Bytes of the work of a stage, beside its process and its pixels.
Estimate = Callable[[Stage, "Needs"], float]

log = logging.getLogger(__name__)

#: Bytes of a process that has imported everything, and of one that decodes beside it.
PROCESS, READER = 800e6, 100e6
#: Freed memory stays in the process (``training.allocator``), in pieces that seldom fit again: at its peak
#: one holds 1.1 (ViT) to 2 times (MobileNet) the bytes of its tensors; without that help 1.1 times.
SLACK = 2.0
#: Numbers that optimizers keep per weight.
KEPT = {"sgd": 1, "rmsprop": 1, "adam": 2, "adamw": 2}
#: Bytes of a number, and what ranking holds per item of a database, up to ``MEMORY_MB``.
FLOAT, RANKED = 4, 4096
#: Images that stand for a batch where a network has to be run in earnest.
FEW = 2


class Needs:
    """Estimates; every network is played through once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, float] = {}

    def of(self, stages: Iterable[Stage]) -> dict[str, int]:
        """Key -> bytes of every stage that is not timed: those run alone anyway."""
        found = {}
        for stage in stages:
            if not stage.timed:
                work: Estimate = importlib.import_module(f"bench.stages.{stage.kind}").memory
                # What is wrong with a plug-in is told by the stage that uses it: an estimate ends no run.
                with contextlib.suppress(Exception, SystemExit):
                    found[stage.key] = round(PROCESS + self._pixels(stage) + SLACK * work(stage, self))
        return found

    def classes(self, block: Mapping[str, Any]) -> int:
        """Number of classes of a data set's training images."""
        return self._context.dataset(block).images.classes

    def width(self, spec: Mapping[str, Any]) -> int:
        """Numbers of a feature of the student, unless step 1 gave it layers behind."""
        return self._context.student(spec["student"]).feature_dim(spec["image_size"])

    def codes(self, encode: Stage) -> float:
        """Outputs of the network for all images."""
        block, size = student_of(encode), encode.spec["image_size"]
        width = code_length(encode) or self._context.student(block).feature_dim(size)
        return float(FLOAT * width * encode.images)

    def ranked(self, encode: Stage) -> float:
        """Codes, and what ranking the database by their distances holds."""
        return self.codes(encode) + min(RANKED * encode.images, 1e6 * MEMORY_MB)

    def _pixels(self, stage: Stage) -> float:
        """Sets in memory are loaded by every process; files are read ahead by others."""
        block = stage.dataset
        if block is None:
            return 0.0

        def look() -> float:
            pixels = self._context.dataset(block).images.pixels
            if isinstance(pixels, np.ndarray):
                return float(pixels.nbytes)
            batch = views.EVALUATION_BATCH * math.prod(pixels.shape[1:])
            return self._context.workers * (READER + inputs.READ_AHEAD * batch)

        return self._once(json.dumps(["pixels", block]), look)

    def trained(self, spec: Mapping[str, Any], params: Mapping[str, Any]) -> float:
        """A network in training, and the images of a batch before and after they are resized."""
        block, size, batch = spec["student"], spec["image_size"], params["batch_size"]

        def play() -> float:
            build = self._context.student(block).build
            return _step(build, batch, size, train=True, kept=KEPT.get(params["optimizer"], 2))

        key = json.dumps(["trained", block, size, batch, params["optimizer"]])
        return self._once(key, play) + self._images(batch, size)

    def asked(self, role: str, block: Mapping[str, Any], size: ImageSize | None, batch: int = 0) -> float:
        """A network that is only asked."""
        plugin: Any = getattr(self._context, role)(block)
        size = size or plugin.preprocessing.image_size
        assert size is not None
        batch = batch or views.evaluation_batch(size)

        def play() -> float:
            return _step(plugin.build, batch, size, train=False)

        return self._once(json.dumps(["asked", role, block, size, batch]), play) + self._images(batch, size)

    @staticmethod
    def _images(batch: int, size: ImageSize) -> float:
        return 2.0 * FLOAT * 3 * batch * area(size)

    def _once(self, key: str, play: Callable[[], float]) -> float:
        """What ``play`` finds, which may draw random numbers."""
        if key not in self._known:
            with seeded(0, torch.device("cpu")):
                self._known[key] = play()
        return self._known[key]


def _step(
    build: Callable[[], nn.Module], batch: int, size: ImageSize, *, train: bool, kept: int = 0
) -> float:
    """Bytes of a network, ``kept`` more numbers per weight, and tensors in a step, as far as it runs."""
    net, shape = build(), (3, *sides(size))
    weights = FLOAT * (1 + kept) * sum(tensor.numel() for tensor in net.parameters())
    try:
        return float(weights + _held(net.to("meta"), torch.empty(batch, *shape, device="meta"), train=train))
    except (
        Exception,
        SystemExit,
    ) as error:  # it looks at numbers, or has an operator that knows no shapes alone
        log.debug("memory is estimated from a few images: %s: %s", type(error).__name__, error)
    try:
        net = build()
        few, twice = (_held(net, torch.zeros(n, *shape), train=train) for n in (FEW, 2 * FEW))
    except (Exception, SystemExit) as error:  # whoever runs it in earnest tells of that
        log.debug("memory is not estimated: %s: %s", type(error).__name__, error)
        return float(weights)
    return float(weights + few + max(0, twice - few) * (batch - FEW) / FEW)


def _held(net: nn.Module, images: Tensor, *, train: bool) -> int:
    """Bytes of the tensors that live at once at most, in a forward pass, and a backward pass if ``train``."""
    net.train(train)
    with _Held() as held, torch.set_grad_enabled(train):
        outputs = net(images)
        if train:
            outputs.sum().backward()
    for parameter in net.parameters():
        parameter.grad = None
    return int(held.most)


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every tensor that operators make while it lives.

    Attributes:
        most: at once, so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor):
                self._note(made.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place not in self._alive:
            self._alive.add(place)
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self._now -= size
