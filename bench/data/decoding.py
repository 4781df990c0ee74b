"""From a file to a picture in RGB, one way for all who look at photos, and what is wrong where there is none.

Transparent parts are put on white, which is what most viewers and pages show behind them. Of 16 bits a
channel the upper eight are taken: the same picture with 8 bits has the same pixels. Pixels of which nothing
says what is white are refused, as a guess would change pictures without a word.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import warnings
from collections.abc import Iterator
from io import BufferedReader

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.errors import escaped, shortened

#: Raised by one when the same files become other pixels, so that nothing made from the old ones is reused.
VERSION = 3
#: Pixels that a picture has at most: decoded, they take four bytes each.
MOST_PIXELS = 178_956_970
#: Of 16 bits; a picture that has no value above is of 12 bits or 8 in the place of 16.
_LEAST_DEEP = 1 << 12
#: Formats that are no pictures but programs, which PIL has others run.
_PROGRAMS = frozenset({"EPS", "WMF"})


@contextlib.contextmanager
def regular(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """A file open for reading, if it is one: of a pipe or a device the end never comes.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is something else.
    """
    _check_kind(os.stat(path).st_mode, path)
    # Should it be a pipe by now, this does not wait for who writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check_kind(os.fstat(descriptor).st_mode, path)
        yield file


def _check_kind(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise ValueError("not a file but a pipe, a socket or a device")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence PIL, which warns of large images and of odd EXIF: they are read all the same, or refused.

    For the thread that starts others, as warnings are of the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def picture(file: BufferedReader, *, upright: bool, least: int | None = None) -> Image.Image:
    """The image in an open file as RGB; of several, as in an animation, the first.

    Args:
        file: what ``regular`` opened.
        upright: turn it as its EXIF orientation says.
        least: pixels that each side needs at least: where decoding fewer is quicker, fewer may come.

    Raises:
        Exception: of any kind, see ``reason``; decoders meet damage in many ways.
    """
    with Image.open(file) as image:
        if image.format in _PROGRAMS:
            raise ValueError(f"{image.format} is a program, not a picture; save it as PNG")
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(_too_large(f"{image.width:,} x {image.height:,}"))
        deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))
        if least is not None:
            image.draft(None, (least, least))
        image.load()
        if upright:
            # What else is wrong with the EXIF of a photo does not matter.
            with contextlib.suppress(Exception):
                ImageOps.exif_transpose(image, in_place=True)
        rgb = as_rgb(image)
    # Of colours of 16 bits PIL keeps the upper eight.
    if deep and image.mode.startswith("RGB") and int(np.asarray(rgb).max()) < _LEAST_DEEP >> 8:
        raise ValueError(_shallow())
    return rgb


def as_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB.

    Raises:
        ValueError: nothing says which of its values is white.
    """
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):  # which PIL scales to 16 bits
        kind = "fractions" if image.mode == "F" else "whole numbers of 32 bits or with a sign"
        raise ValueError(
            f"its pixels are {kind}, of which nothing says what is white; save it with 8 or 16 bits a channel"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _of_grey(image)
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        return _on_white(image)
    return image.convert("RGB")


def _of_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 bits."""
    values = np.asarray(image).astype(np.int64)
    bits = 16
    if image.format == "TIFF":  # which may say that there are fewer
        bits = min(16, max(8, *image.tag_v2.get(258, (16,))))  # type: ignore[attr-defined]
    if bits == 16 and 0 < values.max(initial=0) < _LEAST_DEEP:
        raise ValueError(_shallow())
    grey = (values >> (bits - 8)).clip(0, 255)
    if isinstance(clear := image.info.get("transparency"), int):
        grey[values == clear] = 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:  # a colour of 16 bits, of which the pixels have eight
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    return white.convert("RGB")


def reason(error: Exception) -> str:
    """What to say of a file that is no readable image, in a few words."""
    if isinstance(error, UnidentifiedImageError):  # which says nothing but the path
        return "PIL knows no such format"
    if isinstance(error, Image.DecompressionBombError):
        count = re.search(r"\d+", str(error))
        return _too_large(f"{int(count[0]):,}" if count else "too many")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return escaped(shortened(" ".join(str(error).split()))) or type(error).__name__


def _too_large(size: str) -> str:
    return f"too large: {size} pixels, and {MOST_PIXELS:,} are read at most; make it smaller"


def _shallow() -> str:
    return (
        "16 bits a channel, of which at most 12 are used, so that what is white cannot be told; save it with "
        "8 bits, or scaled to all 16"
    )
