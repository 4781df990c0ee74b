"""Images in files, as the model of a bundle gets them: found, and read in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data import decoding
from bench.data.finding import Finder
from bench.data.fitting import fitted
from bench.deployment.bundle import Preprocessing
from bench.errors import UsageError


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Picture:
    """An image as the model gets it.

    Attributes:
        path: of its file.
        pixels: uint8 (h, w, 3) RGB.
        size: width and height of the whole image.
        file_bytes, mtime: of its file before it was read; the time in nanoseconds.
    """

    path: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    file_bytes: int
    mtime: int


def found(images: Iterable[Path], finder: Finder) -> Iterator[str]:
    """Absolute paths of the images that were asked for, those of a folder in one order on every machine.

    Raises:
        UsageError: one is not there.
    """
    for given in images:
        path = os.path.abspath(given)
        if os.path.isdir(path):
            yield from finder.walk(path)
        elif os.path.lexists(path):
            yield path
        else:
            raise UsageError(f"{given}: no such file or folder; give images, or folders of images")


def read(
    paths: Iterable[str], to: Preprocessing, upright: bool, threads: int, ahead: int
) -> Iterator[Picture | Unreadable]:
    """Images brought to one size, in the order of ``paths``, read in threads so many ``ahead``."""
    waiting = deque[Future[Picture | Unreadable]]()
    with decoding.quiet(), ThreadPoolExecutor(threads) as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(_read, path, to, upright))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def open_rgb(path: str, upright: bool, least: int | None = None) -> Image.Image:
    """An image as RGB.

    Args:
        path: of its file.
        upright: turn it as its EXIF orientation says.
        least: pixels that each side needs at least: where decoding fewer is quicker, fewer may come.
    """
    with decoding.regular(path) as file:
        return decoding.picture(file, upright=upright, least=least)


def _read(path: str, to: Preprocessing, upright: bool) -> Picture | Unreadable:
    # Decoders meet damage in many ways, each with an exception of its own.
    try:
        state = os.stat(path)
        image = open_rgb(path, upright)
        pixels = np.asarray(fitted(image, to.height, to.width, to.fit))
    except Exception as error:
        return Unreadable(path, decoding.reason(error))
    return Picture(path, pixels, image.size, state.st_size, state.st_mtime_ns)
