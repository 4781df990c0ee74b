"""Images that cannot be read are left out of a data set, with all that is known of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.image_files import ImageFiles, Unreadable
from bench.errors import DataError
from bench.types import CameraTruth, FrameTruth, ImageSet, Parameters, RevisitedTruth, Truth

Images = TypeVar("Images", bound=ImageSet)
Indices = NDArray[np.int64]


class FileImages(Parameters):
    """What data sets in image files have in common."""

    unreadable: Unreadable = Field(
        "error",
        description="images that cannot be read: an error before anything is trained, or left out (skip), "
        "counted in every record",
    )


def readable(images: Images) -> Images:
    """``images`` without those that cannot be read, if its ``ImageFiles`` say so.

    Too many for a plan to look into stay as they are (``ImageFiles.contents.unseen``).

    Raises:
        DataError: nothing is left, or nobody knows what the ground truth says of the rest.
    """
    pixels = images.pixels
    if not isinstance(pixels, ImageFiles) or pixels.unreadable == "error" or pixels.contents.unseen:
        return images
    bad = pixels.contents.failures
    if len(bad) == len(images):
        raise DataError(pixels.told(bad))
    return without(images, bad) if bad else images


def without(images: Images, places: Collection[int]) -> Images:
    """``images`` of files without some of them, the others numbered anew."""
    assert isinstance(images.pixels, ImageFiles)
    kept = np.setdiff1d(np.arange(len(images)), list(places))
    number = np.full(len(images), -1)
    number[kept] = np.arange(len(kept))
    changes: dict[str, Any] = {
        "pixels": images.pixels.without(places),
        "labels": images.labels[kept],
        "truth": None if images.truth is None else _truth(images.truth, kept, number),
    }
    if isinstance(parts := getattr(images, "parts", None), Mapping):
        changes["parts"] = {part: _renumbered(some, number) for part, some in parts.items()}
    return replace(images, **changes)


def _renumbered(places: Indices, number: Indices) -> Indices:
    found: Indices = number[places]
    return found[found >= 0]


def _truth(truth: Truth, kept: Indices, number: Indices) -> Truth:
    if isinstance(truth, CameraTruth):
        return CameraTruth(truth.cameras[kept])
    if isinstance(truth, FrameTruth):
        return FrameTruth(truth.videos[kept], truth.judged)
    if isinstance(truth, RevisitedTruth):
        return RevisitedTruth(*(_lists(lists, number) for lists in (truth.easy, truth.hard, truth.junk)))
    raise DataError(
        f"unreadable: skip cannot leave images out of a {type(truth).__name__}; take them out of the data"
    )


def _lists(lists: Mapping[int, Indices], number: Indices) -> dict[int, Indices]:
    queries = {query: int(number[query]) for query in lists if number[query] >= 0}
    return {new: _renumbered(lists[query], number) for query, new in queries.items()}


def sentence(pixels: object) -> str:
    """What a record says of the images that were left out; empty where there are none."""
    if not isinstance(pixels, ImageFiles) or not pixels.skipped:
        return ""
    count = len(pixels.skipped)
    were = "image cannot be read and was" if count == 1 else "images cannot be read and were"
    return f"{count:,} of {count + len(pixels):,} {were} left out (first: {pixels.skipped[0]})"
