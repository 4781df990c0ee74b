"""Classes that training never sees, so that what is learnt is told from what is remembered.

Where every class is trained on, one code a class is perfect, and a classifier makes it; but people search for
what nobody labelled. So some classes are drawn once, from the split seed: their images are in no training and
no validation, and keep their places among queries and database, which are those of the protocol without them.

    dataset: [{name: digits, params: {unseen_classes: 3}}]

Source of the protocol: A. Sablayrolles et al., "How should we evaluate supervised hashing?", ICASSP 2017.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from bench.errors import DataError, escaped, shortened
from bench.types import ImageSet, Parameters, Splits, Unseen, later

#: Beside the split seed, so that classes are not drawn by the numbers that draw images.
SALT = 7
#: What the parameter may be, and why not one class.
AS = "write how many, 2 or more, or which share of all, such as 0.25"
ALONE = (
    "a single unseen class is the answer to each of its queries, so that mAP among unseen classes is always 1"
)
#: Classes that a sentence names.
LISTED = 12
#: Why sets with several labels an image have none.
SEVERAL_LABELS = (
    "unseen_classes: an image with several labels has seen and unseen ones at once, so no part of the set "
    "would be of unseen classes alone; leave it out, or take a data set with one class an image"
)


class UnseenClasses(Parameters):
    """How many classes training never sees, of a data set with one class an image."""

    unseen_classes: int | float | None = later(
        None,
        description="classes without a training image, drawn by split_seed: how many, 2 or more, or below 1 "
        "which share of all; mAP is then taken among seen and among unseen classes, too",
    )
    unseen_in_pool: bool = later(
        False, description="whether step 1 may look at their images in the database, without labels"
    )

    @field_validator("unseen_classes", mode="before")
    @classmethod
    def _number_or_share(cls, value: Any) -> Any:
        if refusal := _unfit(value):
            raise ValueError(
                f"unseen_classes cannot be {shortened(json.dumps(value, default=str))}: {refusal}"
            )
        return value

    @model_validator(mode="after")
    def _some_in_pool(self) -> Self:
        if self.unseen_in_pool and self.unseen_classes is None:
            raise ValueError("unseen_in_pool: true needs unseen_classes")
        return self


class SeveralLabels(Parameters):
    """Of data sets whose images have several labels: there are no unseen classes, which is said."""

    unseen_classes: None = later(None, description="cannot be had: images have several labels")

    @field_validator("unseen_classes", mode="before")
    @classmethod
    def _none(cls, value: Any) -> None:
        if value is not None:
            raise ValueError(SEVERAL_LABELS)


def left_out(name: str, images: ImageSet, splits: Splits, params: Any) -> Splits:
    """``splits`` without training images of some classes, if ``params`` ask for that (``UnseenClasses``).

    Queries stay as they are, and what would have been trained on is searched. More unseen classes of one
    split seed hold fewer.

    Args:
        name: of the data set, for messages.
        images: as loaded; classes from ``images.classes`` on are in no training anyway, and are not drawn.

    Raises:
        DataError: images have several labels, or too many or no classes would be left out.
    """
    asked = getattr(params, "unseen_classes", None)
    if asked is None:
        return splits
    if images.labels.ndim == 2:
        raise DataError(f"{name}: {SEVERAL_LABELS}")
    count = _number(name, asked, images.classes)
    order = np.random.default_rng([SALT, getattr(params, "split_seed", 0)]).permutation(images.classes)
    classes = np.sort(order[:count])
    theirs = np.flatnonzero(np.isin(images.labels, classes))
    untrained = np.intersect1d(np.union1d(splits.train, splits.val), theirs)
    pooled = getattr(params, "unseen_in_pool", False)
    return replace(
        splits,
        protocol=f"{splits.protocol}-u{count}{'-pooled' if pooled else ''}",
        train=np.setdiff1d(splits.train, theirs),
        val=np.setdiff1d(splits.val, theirs),
        database=np.union1d(splits.database, untrained),
        unseen=Unseen(classes, images.classes, theirs, pooled),
    )


def numbered_last(images: ImageSet, unseen: Unseen | None) -> ImageSet:
    """``images`` with unseen classes numbered from ``classes`` on, so that no loss has a place for them."""
    if unseen is None:
        return images
    seen = np.setdiff1d(np.arange(unseen.of), unseen.classes)
    beyond = np.arange(unseen.of, max(unseen.of, int(images.labels.max(initial=0)) + 1))
    order = np.concatenate([seen, unseen.classes, beyond])
    names = [images.names[label] if images.names else str(label) for label in order]
    return replace(images, labels=np.argsort(order)[images.labels], classes=len(seen), names=names)


def in_words(images: ImageSet, unseen: Unseen | None) -> str:
    """``3 of 10 classes unseen: 1, 4, 7``; ``images`` are ``numbered_last``. Empty where all are seen."""
    if unseen is None:
        return ""
    names = [escaped(name) for name in images.names[images.classes : unseen.of]]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    pooled = "; step 1 may look at their images, without labels" if unseen.in_pool else ""
    return f"{len(names)} of {unseen.of} classes unseen: {', '.join(names[:LISTED])}{more}{pooled}"


def _unfit(value: Any) -> str:
    """Why ``value`` is no number or share of classes, and the cure; empty where it is."""
    if value is None or _fits(value):
        return ""
    if isinstance(value, list | dict):
        return f"classes are drawn by split_seed and not named; {AS}"
    if type(value) is int and value == 1:
        return f"{ALONE}; set 2 or more, or a share such as 0.25"
    if type(value) is int or value == 0:
        return f"leave it out, or write null, to train on all classes; else {AS}"
    if type(value) is float and value == 1:
        return "that is the share of all classes, and none would be left to train on; set less, such as 0.25"
    meant = _meant(value)
    return f"write {meant}" if meant else AS


def _fits(value: Any) -> bool:
    return (type(value) is int and value > 1) or (type(value) is float and 0 < value < 1)


def _meant(value: Any) -> str:
    """The number or share that ``3.0``, ``"3"`` or ``"25%"`` stand for; empty where nobody knows."""
    try:
        text = str(value).strip()
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return ""
    found: Any = int(number) if number.is_integer() else number
    return f"{found:g}" if _fits(found) else ""


def _number(name: str, asked: float, classes: int) -> int:
    """How many classes are meant."""
    count = asked if isinstance(asked, int) else round(asked * classes)
    if count < 2:
        many, why = ("one", f", and {ALONE}") if count else ("none", "")
        cure = "raise it" if classes > 3 else "leave it out"
        raise DataError(f"{name}: unseen_classes {asked} of {classes} classes is {many}{why}; {cure}")
    if classes - count < 2:
        left = max(0, classes - count)
        cure = f"set {classes - 2} or less" if classes > 3 else "leave it out"
        raise DataError(
            f"{name}: unseen_classes {asked} leaves {left} of {classes} classes to train on, and training "
            f"takes two; {cure}"
        )
    return count


def manifested(unseen: Unseen) -> dict[str, Any]:
    """What a manifest says of unseen classes."""
    classes: NDArray[np.int64] = unseen.classes
    return {"classes": classes.tolist(), "of": unseen.of, "in_pool": unseen.in_pool}
