"""Bring an image to one size, the same pixels with every release of PIL."""

from __future__ import annotations

from typing import Literal

from PIL import Image

Fit = Literal["crop", "pad", "squash"]

#: Where ``crop`` cuts unless it is told.
CENTRE = (0.5, 0.5)

#: What ``pad`` puts around an image: close to zero after any usual normalisation.
GREY = 128


def fitted(
    image: Image.Image, height: int, width: int, fit: Fit, place: tuple[float, float] = CENTRE
) -> Image.Image:
    """``image`` brought to one size, bilinear and smoothed where it shrinks.

    Args:
        height, width: of the result in pixels.
        fit: ``crop`` cuts the largest centred part of the result's shape and resizes it, ``squash`` resizes
            to the size whatever the shape was, ``pad`` resizes as far as it fits and fills the rest with
            mid-grey.
        place: of what ``crop`` cuts, across and down: 0 at one end of the image, 1 at the other.
    """
    if fit == "crop":
        return _crop(image, height, width, place)
    return _squash(image, height, width) if fit == "squash" else _pad(image, height, width)


def _crop(image: Image.Image, height: int, width: int, place: tuple[float, float]) -> Image.Image:
    # Products of whole numbers first: an edge that stays whole must come out exactly.
    if image.width * height <= image.height * width:
        across, down = float(image.width), image.width * height / width
    else:
        across, down = image.height * width / height, float(image.height)
    left, top = place[0] * (image.width - across), place[1] * (image.height - down)
    return _resized(image, height, width, (left, top, left + across, top + down))


def _squash(image: Image.Image, height: int, width: int) -> Image.Image:
    return _resized(image, height, width, (0, 0, *image.size))


def _pad(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(width / image.width, height / image.height)
    across, down = (max(1, round(scale * edge)) for edge in image.size)
    whole = Image.new("RGB", (width, height), (GREY, GREY, GREY))
    resized = _resized(image, down, across, (0, 0, *image.size))
    whole.paste(resized, ((width - across) // 2, (height - down) // 2))
    return whole


def _resized(
    image: Image.Image, height: int, width: int, box: tuple[float, float, float, float]
) -> Image.Image:
    """What ``box`` shows in another size, columns before rows, each rounded to whole bytes.

    PIL does the same at once, but from release 13 on rows before columns where that is quicker, which is a
    level off now and then: images would depend on its release, and codes with them.
    """
    left, top, right, bottom = box
    narrow = image.resize((width, image.height), Image.Resampling.BILINEAR, (left, 0, right, image.height))
    return narrow.resize((width, height), Image.Resampling.BILINEAR, (0, top, width, bottom))
