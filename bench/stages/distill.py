"""Stage ``distill`` (step 1): the student learns from frozen teachers, by one of the methods."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.interfaces import Method
from bench.planning.stage import TUNE, Stage
from bench.registry import METHODS
from bench.stages import features, networks, tune
from bench.stages.context import Context
from bench.stages.features import FEATURES, FEATURES_FILE, FrozenTeacher
from bench.stages.memory import Needs
from bench.training import views
from bench.training.loop import DivergedError, fit, seeded, shuffled
from bench.training.micro_batches import Batch, Passes, Terms
from bench.types import (
    DistillationBatch,
    DistillationParameters,
    DistillationTask,
    FrameTruth,
    ImageSet,
    Preprocessing,
)

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 3

log = logging.getLogger(__name__)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write the student's state dict and architecture, without the layers that only training needs.

    That of a trial may diverge: it leaves the student as it was built, which nothing is trained from.
    """
    chosen = tune.winner(stage, context, "method")
    try:
        trained, architecture, kept, summary = _train(stage, context, chosen)
        if "trial" in stage.spec and not all(one.isfinite().all() for one in trained.state_dict().values()):
            raise DivergedError("the last step left weights that are not finite")
    except DivergedError as error:
        if "trial" not in stage.spec:
            raise
        log.debug("%s: %s", stage.slug, error)
        with seeded(stage.spec["seed"], context.device):
            trained = context.student(stage.spec["student"]).build()
        architecture, kept, summary = {}, {}, {"diverged": True}
    networks.save(trained, folder / networks.STUDENT)
    networks.save_architecture(architecture, folder)
    if kept:
        networks.write(kept, folder / networks.EXTRA)
    return {**summary, **({"tuned": dict(chosen)} if chosen else {})}


def _train(
    stage: Stage, context: Context, chosen: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    """The student, its architecture if that changed, what else is worth keeping, and the summary.

    Args:
        chosen: parameters of the method beside those of the spec.
    """
    spec, checkpoints = stage.spec, context.checkpoints(stage, chosen)
    plugin = METHODS.get(spec["method"]["name"])
    params = plugin.Params.of({**spec["method"]["params"], **chosen})
    assert isinstance(params, DistillationParameters)
    pool = context.pool(stage)
    images, indices = pool.images, pool.indices
    student = context.student(spec["student"])
    labels = images.labels[indices] if plugin.uses_labels(params) else None
    teachers, truth = _Teachers(stage, context), images.truth

    with seeded(spec["seed"], context.device):
        task = DistillationTask(
            trunk=student.build(),
            width=student.feature_dim(spec["image_size"]),
            targets=teachers.targets,
            networks=teachers.networks,
            network_tensors=teachers.tensors,
            labels=labels,
            classes=images.classes,
            images=len(indices),
            seed=spec["seed"],
            teacher_widths=teachers.widths,
            videos=truth.videos[indices] if isinstance(truth, FrameTruth) else None,
        )
        method = plugin(params, task)
        net = context.place(method.network()).train()
        order = shuffled(len(indices), params.batch_size, spec["seed"], params.incomplete)
        batches = _Batches(stage, context, images, indices, student.preprocessing, method, teachers)
        fitted = fit(
            Passes(net, lambda: context.autocast(spec["precision"])),
            method.parameter_groups(net),
            params,
            lambda epoch: method.batches(epoch) or order(epoch),
            batches.show,
            advance=context.advance,
            adjust_gradients=method.adjust_gradients,
            checkpoints=checkpoints,
            keeps={"method": method, "teachers": teachers},
        )
        trained, architecture = method.student()
    queries = {"teacher_queries": fitted.images} if teachers.asked else {}
    summary = {**fitted.summary(), "images": len(indices), **queries, **method.summary()}
    return trained, architecture, method.tensors(), summary


def memory(stage: Stage, needs: Needs) -> float:
    """The student in training, and the teachers that are asked meanwhile."""
    spec = stage.spec
    params = spec["method"]["params"]
    live = [(one["teacher"], one["image_size"]) for one in spec.get("online_teachers", [])]
    live += [(networks.student_of(one), spec["image_size"]) for one in _live(stage)]
    asked = (needs.asked("teacher", teacher, size, params["batch_size"]) for teacher, size in live)
    return needs.trained(spec, params) + sum(asked)


class _Teachers:
    """What teachers have said, or the networks that say it meanwhile.

    Attributes:
        targets: per teacher, per view: float16 (pool, d) of those that were asked before.
        networks, tensors: those that are used as networks, frozen, and what their training kept beside them.
        asked: frozen ones that are asked about every view.
    """

    def __init__(self, stage: Stage, context: Context) -> None:
        cached: dict[str, list[Tensor]] = {}
        for role, needed in stage.inputs.items():
            if needed.kind == "features":
                tensor = context.tensors(needed, FEATURES_FILE)[FEATURES]
                cached.setdefault(role.partition("/")[0], []).append(tensor)
        self.targets = list(cached.values())
        self.networks: list[nn.Module] = []
        self.tensors: list[dict[str, Tensor]] = []
        for one in _live(stage):
            plugin = context.teacher(networks.student_of(one))
            net, _ = networks.distilled(plugin, one.spec["image_size"], one, context)
            kept = {name: tensor.to(context.device) for name, tensor in networks.kept(one, context).items()}
            self.networks.append(context.place(net).eval().requires_grad_(False))
            self.tensors.append(kept)
        context.forget(features.TEACHER)  # its memory is needed now
        online, precision = stage.spec.get("online_teachers", []), stage.spec["precision"]
        self.asked = [FrozenTeacher(one, precision, context) for one in online]
        self._autocast = partial(context.autocast, precision)

    def state_dict(self) -> dict[str, Any]:
        """Of those that are asked: how much they take at a time."""
        return {"asked": [one.forward.state_dict() for one in self.asked]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Ask them in the same way."""
        for one, its in zip(self.asked, state["asked"], strict=True):
            one.forward.load_state_dict(its)

    @property
    def widths(self) -> list[int]:
        """Of the outputs of frozen teachers."""
        return [said[0].shape[1] for said in self.targets] or [one.width for one in self.asked]

    @torch.no_grad()
    def outputs(self, inputs: Tensor, pixels: Tensor, crops: NDArray[np.float64]) -> list[Tensor]:
        """Of those that are asked now: networks about ``inputs``, then frozen ones at their own size."""
        with self._autocast():
            found = [network(inputs) for network in self.networks]
        return [outputs.float() for outputs in found] + [one.asked(pixels, crops) for one in self.asked]


def _live(stage: Stage) -> list[Stage]:
    """What left the teachers that are used as networks."""
    return [needed for needed in stage.inputs.values() if needed.kind not in {"features", TUNE}]


class _Batches:
    """Puts together what student, teachers and method are shown."""

    def __init__(
        self, stage: Stage, context: Context, images: ImageSet, pool: NDArray[np.int64],
        student: Preprocessing, method: Method, teachers: _Teachers,
    ) -> None:  # fmt: skip
        self.spec, self.context, self.images, self.pool = stage.spec, context, images, pool
        self.student, self.method, self.teachers = student, method, teachers
        self.shown = _Shown(method, images, teachers.targets, stage.spec["seed"])

    def show(self, order: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[Batch]:
        read = (((epoch, positions), self.pool[positions]) for epoch, positions in order)
        for (epoch, positions), pixels in self.context.source(self.images).stream(read, self._view):
            crops = self.shown.crops(epoch, self.pool[positions])
            inputs = views.render(pixels, crops, self.student, self.spec["image_size"])
            index = torch.from_numpy(positions)
            teachers = [outputs.to(inputs.device).float() for outputs in self.shown.targets(epoch, index)]
            teachers += self.teachers.outputs(inputs, pixels, crops)
            batch = DistillationBatch(inputs, index, teachers, self._labels(positions), epoch)
            yield Batch(inputs, self._terms(batch))

    def _view(self, tag: tuple[int, NDArray[np.int64]], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Crops of the images ``chosen`` in the epoch of the tag."""
        return self.shown.crops(tag[0], chosen)

    def _terms(self, batch: DistillationBatch) -> Terms:
        return lambda outputs: self.method.terms(outputs, batch)

    def _labels(self, positions: NDArray[np.int64]) -> Tensor | None:
        """Those of the batch, float (n, classes) 0/1, for methods that use them."""
        if self.method.task.labels is None:
            return None
        hot = torch.from_numpy(self.images.multi_hot(self.pool[positions]))
        return hot.float().to(self.context.device)


class _Shown:
    """Which view of each image a batch shows, and what the teachers said of it.

    Cached random views: the first part of a batch goes through them epoch by epoch, a second part shows
    another one, and over the epochs every pair of views. Otherwise every epoch has fresh random views:
    teachers are asked about them, or said what they said of the evaluation view.
    """

    def __init__(self, method: Any, images: Any, targets: list[list[Tensor]], seed: int) -> None:
        self.parts, self.images, self.outputs, self.seed = method.views_per_step, images, targets, seed
        self.cached = len(targets[0]) if targets and method.shared_views else 0
        self._drawn: dict[int, NDArray[np.float64]] = {}

    def crops(self, epoch: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Crops of the images ``chosen``, see ``views.random_crops``."""
        split = np.array_split(chosen, self.parts)
        return np.concatenate([self._view(epoch, part)[rows] for part, rows in enumerate(split)])

    def targets(self, epoch: int, index: Tensor) -> list[Tensor]:
        """Per teacher float16 (n, d) of the positions ``index``."""
        split = torch.tensor_split(index, self.parts)
        number = [self._number(epoch, part) if self.cached else 0 for part in range(self.parts)]
        return [
            torch.cat([teacher[view][rows] for view, rows in zip(number, split, strict=True)])
            for teacher in self.outputs
        ]

    def _number(self, epoch: int, part: int) -> int:
        """Which of the cached views a part shows."""
        first, others = epoch % self.cached, max(self.cached - 1, 1)
        return first if not part else (first + 1 + (epoch // self.cached + part - 1) % others) % self.cached

    def _view(self, epoch: int, part: int) -> NDArray[np.float64]:
        number = self.parts * epoch + part
        if self.cached:
            stream, seed, number = views.DISTILL_STREAM, features.VIEW_SEED, self._number(epoch, part)
        else:
            stream, seed = views.STUDENT_STREAM, self.seed
        if number not in self._drawn:
            if not self.cached:
                # Those of this epoch are needed again, and while the next is being read those of the last.
                self._drawn = {n: crops for n, crops in self._drawn.items() if n >= self.parts * (epoch - 1)}
            self._drawn[number] = views.random_crops(self.images, stream, seed, number)
        return self._drawn[number]
