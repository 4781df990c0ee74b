"""Which code an image is pulled to, where its labels have a center each; and whether public code does so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bench.losses._centers import findings

if TYPE_CHECKING:
    from torch import Tensor

    from bench.types import HashingTask

#: Of an image with several labels: bit by bit what most of their centers say, or the center of the first.
Targets = Literal["majority", "first"]

#: What the public code that figures come from does with data sets of several labels an image.
_PUBLISHED: dict[str, Targets] = {
    "coco": "majority",
    "mirflickr": "first",
    "nuswide_21": "majority",
    "nuswide_21m": "majority",
    "nuswide_81": "first",
}
_SAID: dict[Targets, str] = {
    "majority": "the majority of the centers of all their labels",
    "first": "their first label alone",
}


def majority(labels: Tensor, centers: Tensor, tie_break: Tensor) -> Tensor:
    """Center of each image: bit by bit what most of the centers of its labels say.

    Args:
        labels: float (n, classes) 0/1; sets dtype and device of the result.
        centers: float (classes, bits) of +-1, one per class; 0 where it does not say.
        tie_break: float (bits,) of +-1, taken where the labels disagree evenly, and without any label.

    Returns:
        float (n, bits) of +-1.
    """
    votes = labels @ centers.to(labels)
    return (votes + 0.5 * tie_break.to(labels) * (votes == 0)).sign()


def first(labels: Tensor, centers: Tensor) -> Tensor:
    """Center of each image: that of its first label, of the first class without any; as ``majority``."""
    return centers.to(labels)[labels.argmax(dim=1)]


def told(centers: Tensor, task: HashingTask, targets: Targets, cause: str | None = None) -> dict[str, Any]:
    """For the summary of a loss: what is to be known of its centers, float (classes, bits), and targets.

    Args:
        cause: of equal centers, see ``findings``.
    """
    found = findings(centers, cause)
    published = _PUBLISHED.get(task.dataset, targets)
    warned = found.pop("warnings", []) + unlike_published(task, _SAID[targets], _SAID[published])
    return {**found, **({"warnings": warned} if warned else {})}


def unlike_published(task: HashingTask, ours: str, theirs: str = _SAID["first"]) -> list[str]:
    """Warnings for the summary of a loss: one, if images with several labels are trained on otherwise.

    Args:
        task: of the loss; only of some data sets are there published figures.
        ours, theirs: what they are trained on, here and in the public code.
    """
    if not task.multi_label or task.dataset not in _PUBLISHED or ours == theirs:
        return []
    return [
        f"images with several labels are trained on {ours}, in the public code on {theirs}: published "
        f"figures for {task.dataset} do not compare"
    ]
