"""What re-identification sets have in common: images of identities by cameras, in fixed parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.finding import LeftOut
from bench.data.image_files import ImageFiles, Unreadable
from bench.data.image_lists import PartedImages
from bench.data.skipping import FileImages, readable
from bench.errors import DataError, MissingDataError
from bench.types import Augmentation, Border, CameraTruth, ErasedShape, later
from bench.types.sizes import Between, ImageSize

#: Share of the side of an image.
Shift = Annotated[float, Field(ge=0, le=0.5)]


class SquashedImages(FileImages):
    """At which size images are kept, and which random views they have."""

    side: Annotated[ImageSize, Between(16, 4096)] = Field(
        256,
        description="pixels, or height and width as 320x160; both sides are resized, whatever the shape was; "
        "take the shape of image_size, as boxes that are erased have their shapes in these pixels",
    )
    shift: Shift | tuple[Shift, Shift] = later(
        0.0625,
        description="how far random views lie outside of the image, as a share of its sides, across and down",
    )
    border: Border = later("repeat", description="what random views show there: the border again, or black")
    erased_shape: ErasedShape = later(
        "log_uniform",
        description="how shapes of erased boxes are drawn: log_uniform, tall as often as wide; or uniform, "
        "evenly over height by width, as in public code",
    )

    def views(self) -> Augmentation:
        """Crops of the whole size, so that objects keep the scale that they are searched at, and erasing."""
        return Augmentation(
            crop=1.0,
            shift=self.shift,
            erase=0.5,
            erased_shape=self.erased_shape,
            border=self.border,
        )


@dataclass(frozen=True)
class Shot:
    """One image: which identity, seen by which camera; numbers as published."""

    path: Path
    identity: int
    camera: int


def found(name: str, root: Path, folders: Sequence[str], needed: Sequence[str], cure: str) -> Path:
    """The first of ``folders`` below ``root`` that holds everything that is ``needed``.

    Raises:
        MissingDataError: there is none; ends with ``cure``.
    """
    for folder in (root / inner for inner in folders):
        if all((folder / entry).exists() for entry in needed):
            return folder
    raise MissingDataError(f"{name}: {', '.join(needed)} are not in {root / folders[0]}; {cure}")


def image_set(
    name: str,
    folder: Path,
    parts: Mapping[str, Sequence[Shot]],
    side: ImageSize,
    training: Sequence[str],
    *,
    views: Augmentation,
    unreadable: Unreadable = "error",
    left_out: LeftOut | None = None,
) -> PartedImages:
    """Number the images part by part, and the identities: those to train on first.

    Args:
        name: of the set, for messages.
        folder: where it lies, for messages.
        parts: images by part; each must have some.
        side: of the images in pixels.
        training: names of the parts to train on. Their identities become labels from 0, those of the other
            parts go on from ``classes``: a number may name one person in training and another in tests.
        views: which random views they have.
        unreadable: what becomes of images that cannot be read.
        left_out: what was passed over.

    Raises:
        DataError: a part without images.
    """
    empty = [part for part, shots in parts.items() if not shots]
    if empty:
        raise DataError(f"{name}: no images for {' and '.join(empty)} in {folder}; fetch the set again")
    known = sorted({shot.identity for part in training for shot in parts[part]})
    others = sorted({shot.identity for part in parts if part not in training for shot in parts[part]})
    own = {identity: label for label, identity in enumerate(known)}
    other = {identity: label for label, identity in enumerate(others, len(known))}
    shots: list[Shot] = []
    labels: list[int] = []
    indices: dict[str, NDArray[np.int64]] = {}
    for part, some in parts.items():
        indices[part] = np.arange(len(shots), len(shots) + len(some))
        numbers = own if part in training else other
        labels += [numbers[shot.identity] for shot in some]
        shots += some
    paths = tuple(shot.path for shot in shots)
    images = PartedImages(
        ImageFiles(paths, side, "squash", left_out=left_out or LeftOut(), unreadable=unreadable),
        np.array(labels, np.int64),
        len(known),
        views,
        CameraTruth(np.array([shot.camera for shot in shots], np.int64)),
        indices,
    )
    return readable(images)


def summary(name: str, folder: Path, images: PartedImages) -> str:
    """One line that says what is there.

    Raises:
        DataError: a file is missing.
    """
    assert isinstance(images.pixels, ImageFiles)
    images.pixels.digest()
    counts = ", ".join(f"{len(index):,} {part}" for part, index in images.parts.items())
    return f"{name}: {len(images):,} images ({counts}), {images.classes} identities to train on, in {folder}"
