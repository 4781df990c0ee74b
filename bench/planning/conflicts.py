"""Which values of a grid cannot go together: found before any work, with the cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.interfaces import Dataset, Loss, Method
from bench.planning.config import resolve
from bench.planning.fitting import fits, fitting_refusals
from bench.planning.points import Point
from bench.planning.resolved import DatasetBlock
from bench.planning.schema import Grid, NamedPlugin
from bench.planning.tuned import space_of
from bench.registry import DATASETS, LOSSES, METHODS, STUDENTS, TEACHERS
from bench.types import HashingTask, RateSchedule


def refusals(point: Point, grid: Grid) -> Iterator[tuple[str, str]]:
    """Pairs of the axis that is to blame and the reason, in one line."""
    dataset, method, loss = (point.values[axis] for axis in ("dataset", "method", "loss"))
    yield from _teachers(point, METHODS.get(method.name))
    images = DATASETS.get(dataset.name)(resolve(DATASETS, dataset))
    yield from _data(grid, method, dataset.name, images)
    plugin = LOSSES.get(loss.name)
    if fits(loss.name):
        yield from fitting_refusals(point, grid, images)
    if not plugin.trains:
        return
    if not images.labelled:
        cure = f"use loss: none, which compares embeddings, or exclude {loss.name} here"
        yield "loss", f"loss '{loss.name}' needs labels, and {dataset.name} has none for training; {cure}"
    params = resolve(LOSSES, loss, grid.defaults.finetune)
    if refusal := _too_low(params, grid, "loss", loss):
        yield "loss", f"loss '{loss.name}': {refusal}"
    if getattr(params, "train", "") == "head" and getattr(plugin, "views_per_step", Loss.views_per_step) > 1:
        message = f"loss '{loss.name}' compares views of an image, and a frozen trunk is asked about one"
        yield "loss", f"{message}; drop train: head"
    bits, nested = point.values["bits"], point.values["nested"]
    # One network learns all of its lengths, whichever of its cells are left out.
    if refusal := next(filter(None, map(plugin.check, nested or [bits])), None):
        cure = "drop it" if nested else f"drop it or add exclude: [{{loss: {loss.name}, bits: {bits}}}]"
        yield "bits", f"{refusal}; {cure}"
    if nested and not getattr(plugin, "nests", Loss.nests):  # interfaces need not be inherited from
        alone = ", ".join(map(str, nested))
        yield "bits", f"loss '{loss.name}' has no codes within its codes; write bits: [{alone}]"
    weights = params.model_dump().get("length_weights")
    if weights is not None and not len(weights) == len(nested) > 0:
        wanted = f"a number for each of {list(nested)}" if nested else "bits of several lengths: [[16, 32]]"
        yield "loss", f"loss '{loss.name}': length_weights takes {wanted}, not {weights}"


def no_task(
    blocks: Sequence[Mapping[str, Any]], dataset: DatasetBlock, lengths: Sequence[int]
) -> Iterator[str]:
    """Why a loss cannot learn codes of these lengths from these data, as far as they are known.

    Args:
        blocks: the loss, or the loss at every point of its tuning.
    """
    if any(block["params"].get("select") == "val" for block in blocks):
        yield from filter(None, [dataset.refuses_validation()])
    if dataset.loaded is None:
        return
    images, parts = dataset.loaded.images, dataset.loaded.splits
    train = np.union1d(parts.train, parts.val)
    several = images.labels.ndim == 2 and bool((images.multi_hot(train).sum(axis=1) != 1).any())
    for block in blocks:
        plugin = LOSSES.get(block["name"])
        params = plugin.Params.of(block["params"])
        # What is fitted needs no labels.
        shown = dataset.size("pool/database") if block["params"].get("pool") == "database" else len(train)
        for bits in lengths:
            task = HashingTask(bits, images.classes, shown, 0, several, dataset.name)
            # Interfaces need not be inherited from.
            if refusal := getattr(plugin, "check_task", Loss.check_task)(params, task):
                yield f"loss '{block['name']}': {refusal}"


def _too_low(params: Any, grid: Grid, axis: str, entry: NamedPlugin) -> str | None:
    """Why a rate cannot fall as a schedule has it, or None if it can."""
    if grid.tune and "lr" in space_of(grid.tune, axis, entry):  # held to it as it is drawn
        return None
    schedule = params.schedule
    if isinstance(schedule, RateSchedule) and schedule.final_lr > params.lr:
        return f"schedule.final_lr {schedule.final_lr:g} is above lr {params.lr:g}, which falls; lower it"
    return None


def _teachers(point: Point, method: Any) -> Iterator[tuple[str, str]]:
    name, teachers = point.values["method"].name, point.values["teacher"]
    least, most = method.teachers
    if not most:
        return
    if not least <= len(teachers) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        message = f"method '{name}' takes {wanted} teacher{'s' if most > 1 else ''}"
        if teachers:
            message = f"{message}, this combination has {len(teachers)}; change or exclude it"
        else:
            message = f"{message}, and the grid names none; add teacher: [...] to the axes"
        yield "method", message
    student = point.values["student"]
    other = [teacher.name for teacher in teachers if _network(teacher) != _network(student)]
    if method.same_network and other:
        message = f"method '{name}' starts from the teacher's own network, but teacher {other[0]} has student"
        cure = "name the same network with the same params on both axes, or exclude the pair"
        yield "method", f"{message} {student.name}; {cure}"
    for teacher in teachers:
        if method.teacher_output == "logits" and not hasattr(TEACHERS.get(teacher.name), "build_classifier"):
            message = f"method '{name}' needs a teacher with a classifier; {teacher.name} has none"
            yield "method", f"{message}; choose another teacher or exclude it"


def _network(entry: Any) -> tuple[str, dict[str, Any]]:
    """A network without the weights it starts from."""
    return entry.name, resolve(STUDENTS, entry).model_dump(mode="json", exclude={"weights"})


def _data(grid: Grid, method: Any, dataset: str, images: Dataset) -> Iterator[tuple[str, str]]:
    """Why a method cannot be trained on a data set."""
    plugin = METHODS.get(method.name)
    if not plugin.trains:
        return
    params = resolve(METHODS, method, grid.defaults.distill)
    refusal = plugin.check(params) or _too_low(params, grid, "method", method)
    if refusal:
        yield "method", f"method '{method.name}': {refusal}"
    pool = getattr(params, "pool", "train")
    if pool != "train" and not images.open_database:
        message = f"method '{method.name}' would learn from the images that {dataset} is tested on"
        yield "method", f"{message}; set its params to {{pool: train}}"
    # Interfaces need not be inherited from.
    if getattr(plugin, "uses_videos", Method.uses_videos)(params) and images.judged_by != "frames":
        message = f"method '{method.name}' would pair frames of videos, and the images of {dataset} are none"
        yield "method", f"{message}; set its params to {{pairs: views}} or exclude it"
    if not plugin.uses_labels(params):
        return
    if not images.labelled:
        message = f"method '{method.name}' needs labels, and {dataset} has none for training"
        yield "method", f"{message}; choose another method or exclude it"
    if pool != "train":
        message = f"method '{method.name}' uses labels, and only training images may show theirs"
        yield "method", f"{message}; set its params to {{pool: train}}"
