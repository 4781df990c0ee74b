"""What step 2 is where it is no training of a whole network, and what cannot be fitted to features."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from bench.errors import BenchError
from bench.interfaces import Dataset, Loss, Method
from bench.planning.config import resolve
from bench.planning.points import Point
from bench.planning.resolved import Blocks
from bench.planning.schema import Grid
from bench.registry import LOSSES, METHODS, STUDENTS
from bench.types.sizes import ImageSize


def fits(loss: str) -> bool:
    """Whether codes are fitted to features, without labels or training."""
    return bool(getattr(LOSSES.get(loss), "fitted", Loss.fitted))  # interfaces need not be inherited from


def compresses(loss: str) -> bool:
    """Whether codes are read back as vectors, so that the network is the trunk alone."""
    return fits(loss) and bool(getattr(LOSSES.get(loss), "compresses", Loss.compresses))


def hashes(loss: str) -> bool:
    """Whether there is a step 2, so that cells have codes."""
    return fits(loss) or bool(LOSSES.get(loss).trains)


def draws(loss: str) -> bool:
    """Whether step 2 depends on the seed by itself."""
    plugin = LOSSES.get(loss)
    return bool(getattr(plugin, "draws", Loss.draws) if fits(loss) else plugin.trains)


def keeps_trunk(loss: Mapping[str, Any]) -> bool:
    """Whether step 2 leaves the trunk as it is, and looks at its features alone; of a block of specs."""
    return fits(loss["name"]) or loss["params"].get("train") == "head"


def has_features(cell: Blocks) -> bool:
    """Whether codes are made from features of a frozen trunk, which are those of one view."""
    return keeps_trunk(cell.loss) and not cell.encode


def fitting_refusals(point: Point, grid: Grid, images: Dataset) -> Iterator[tuple[str, str]]:
    """Pairs of the axis that is to blame and the reason, in one line, of codes that are fitted."""
    loss, bits, nested = (point.values[axis] for axis in ("loss", "bits", "nested"))
    plugin, params = LOSSES.get(loss.name), resolve(LOSSES, loss)
    if getattr(params, "pool", "train") != "train" and not images.open_database:
        message = f"loss '{loss.name}' would be fitted to the images that {point.values['dataset'].name} is"
        yield "loss", f"{message} tested on; set its params to {{pool: train}}"
    if nested and not getattr(plugin, "nests", Loss.nests):
        how = "reads all bits back" if compresses(loss.name) else "turns all bits"
        message = f"{loss.name} {how} together: the first of them are no codes by themselves"
        yield "bits", f"{message}; write bits: {list(nested)}, a network for each"
    longest = max(nested or [bits])
    width = None if _reshapes(point, grid) else _width(point)
    refusal = plugin.check(longest)
    if not refusal and width and (refusal := plugin.check_width(longest, width)):
        refusal = f"{loss.name} {refusal} ({point.values['student'].name})"
    if refusal:
        cure = "drop it" if nested else f"drop it or add exclude: [{{loss: {loss.name}, bits: {bits}}}]"
        yield "bits", f"{refusal}; {cure}"


def _reshapes(point: Point, grid: Grid) -> bool:
    """Whether step 1 may leave features of another width."""
    method = point.values["method"]
    plugin = METHODS.get(method.name)
    reshaped_by = getattr(plugin, "reshaped_by", lambda params: plugin.reshapes)
    trains = getattr(plugin, "trains", Method.trains)
    return trains and bool(reshaped_by(resolve(METHODS, method, grid.defaults.distill)))


def _width(point: Point) -> int | None:
    student = point.values["student"]
    params = resolve(STUDENTS, student).model_dump_json()
    return _feature_dim(student.name, params, point.values["image_size"])


@functools.lru_cache(maxsize=256)
def _feature_dim(student: str, params: str, image_size: ImageSize) -> int | None:
    """Width of the features of a student; None where that cannot be had, of which others tell."""
    plugin: Any = STUDENTS.get(student)
    try:
        return int(plugin(plugin.Params.model_validate_json(params)).feature_dim(image_size))
    except (BenchError, ImportError):
        return None
