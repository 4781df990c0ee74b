"""Images that stay in their files and are decoded when they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data import contents, decoding
from bench.data.contents import THREADS, Contents
from bench.data.finding import LeftOut
from bench.data.fitting import CENTRE, Fit, fitted
from bench.errors import DataError, escaped, shortened
from bench.types.sizes import ImageSize, sides

Unreadable = Literal["error", "skip"]

#: Files that cannot be read, as many as are named at most.
_NAMED = 20


@dataclass(frozen=True)
class ImageFiles:
    """``bench.types.Pixels`` of image files, all brought to one square size.

    Attributes:
        paths: one file per image, in any format and mode that ``bench.data.decoding`` reads as RGB.
        side: of the square result in pixels, or its height and width.
        fit: ``crop`` resizes the shorter side and cuts the centre square, ``squash`` resizes to the square
            whatever the shape was, ``pad`` resizes the longer side and fills the rest with mid-grey.
        boxes: image -> left, top, right, bottom in pixels of the file, cut out before anything else.
        left_out: what was passed over when ``paths`` were looked for.
        threads: that decode at once; what comes of it does not depend on their number.
        upright: turn images as their EXIF orientation says, as viewers do. Published sets are not turned:
            their boxes and annotations refer to the pixels as they are stored, and the code behind published
            numbers (PIL, torchvision) does not turn images either.
        sliding: whether ``crop`` may cut elsewhere than in the centre, where a view asks for it (``at``).
        unreadable: whether images that cannot be read are an error, or are to be left out.
        skipped: names of those that were.
        used: places of the images that will be asked for; None = all. Others are not looked into.
    """

    paths: tuple[Path, ...]
    side: ImageSize
    fit: Fit = "crop"
    boxes: Mapping[int, tuple[float, float, float, float]] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)
    threads: int = THREADS
    upright: bool = field(default=False, kw_only=True)
    sliding: bool = field(default=False, kw_only=True)
    unreadable: Unreadable = field(default="error", kw_only=True)
    skipped: tuple[str, ...] = field(default=(), kw_only=True)
    used: NDArray[np.int64] | None = field(default=None, kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 3, height, width)."""
        return (len(self.paths), 3, *sides(self.side))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """uint8 (m, 3, height, width) RGB of the images at ``indices``, in the order asked for.

        Raises:
            DataError: a file is missing or damaged.
        """
        return self.at(indices)

    def at(self, indices: NDArray[np.int64], places: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
        """The images at ``indices``, each cut where ``places``, float64 (m, 2), say; see ``fitted``."""
        # Whatever picks from an array (slices, masks, negative numbers) means the same here.
        chosen = np.arange(len(self.paths))[indices].tolist()
        result = np.empty((len(chosen), *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            where = CENTRE if places is None else (float(places[place, 0]), float(places[place, 1]))
            result[place] = self._read(chosen[place], where)

        # A pool per call costs far less than one image, and no thread outlives the call (or a fork).
        with decoding.quiet(), ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(fill, range(len(chosen))):
                pass
        return result

    @cached_property
    def contents(self) -> Contents:
        """What is in the files, looked at once; where unreadable ones are left out, also which those are."""
        return contents.look(self.paths, self._decode if self.unreadable == "skip" else None, self.used)

    def undecodable(self) -> dict[int, Exception]:
        """Images that cannot be read, and why; decodes all of which nobody knows that they can."""
        return contents.look(self.paths, self._decode, self.used).failures

    def digest(self) -> str:
        """sha256 in hex of names below the common folder, contents, and how images are cut and resized.

        Where contents are not looked at (``contents.unseen``) it is of names alone, and no other one's.

        Raises:
            DataError: files cannot be opened; names them.
        """
        found = self.contents
        # Which are to be left out is not known before all are decoded.
        if found.failures and not (found.unseen and self.unreadable == "skip"):
            raise DataError(self.told(found.failures))
        kind = "names of image files" if found.unseen else "image files"
        how = f"{len(self)} {self.side} {self.fit} {'upright' if self.upright else 'as stored'}"
        digest = hashlib.sha256(f"{kind} {decoding.VERSION} {how}\n".encode())
        for name in self.names():
            digest.update(f"{name}\n".encode(errors="surrogateescape"))
        if not found.unseen:
            digest.update(found.digests.tobytes())
        for index, box in sorted(self.boxes.items()):
            digest.update(f"{int(index)} {[float(edge) for edge in box]}\n".encode())
        return digest.hexdigest()

    def names(self) -> list[str]:
        """Paths below the folder that has all of them, with slashes."""
        paths = [os.path.abspath(path) for path in self.paths]  # from which ``root_of`` tells
        start = len(os.path.join(contents.root_of(paths), "")) if paths else 0
        return [path[start:].replace(os.sep, "/") for path in paths]

    def told(self, failures: Mapping[int, Exception]) -> str:
        """What to say of images that cannot be read: the first ones with their reasons, and the cure."""
        if len(failures) == 1:
            ((place, error),) = failures.items()
            return f"{unreadable(self.paths[place], error)}, or leave it out with unreadable: skip"
        where = contents.root_of([os.fspath(path) for path in self.paths])
        lines = [f"{where}: {len(failures):,} of {len(self):,} images cannot be read; {_CURE}"]
        first = list(failures.items())[:_NAMED]
        lines += [f"  {escaped(os.fspath(self.paths[place]))}: {_why(error)}" for place, error in first]
        rest = len(failures) - _NAMED
        return "\n".join([*lines, f"  and {rest:,} more"] if rest > 0 else lines)

    def without(self, places: Collection[int]) -> ImageFiles:
        """All but some images, which are ``skipped`` then."""
        gone, names = set(places), self.names()
        kept = [place for place in range(len(self)) if place not in gone]
        boxes = {new: self.boxes[place] for new, place in enumerate(kept) if place in self.boxes}
        paths = tuple(self.paths[place] for place in kept)
        skipped = (*self.skipped, *(names[place] for place in sorted(gone)))
        rest = replace(self, paths=paths, boxes=boxes, skipped=skipped)
        # Nothing is looked at twice.
        rest.__dict__["contents"] = self.contents.without(places)
        return rest

    def _decode(self, place: int, file: BufferedReader) -> None:
        self._cut(place, decoding.picture(file, upright=self.upright))

    def _read(self, index: int, place: tuple[float, float]) -> NDArray[np.uint8]:
        """One image as uint8 (3, height, width)."""
        image = fitted(self._opened(index), *sides(self.side), self.fit, place)
        return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)

    def original(self, index: int) -> NDArray[np.uint8]:
        """One image, its box cut out, in the size of its file: uint8 (height, width, 3) RGB.

        Raises:
            DataError: the file is missing or damaged.
        """
        with decoding.quiet():
            return np.asarray(self._opened(index), dtype=np.uint8)

    def _opened(self, index: int) -> Image.Image:
        # Decoders meet damage in many ways, each with an exception of its own.
        try:
            with decoding.regular(self.paths[index]) as file:
                return self._cut(index, decoding.picture(file, upright=self.upright))
        except Exception as error:
            raise DataError(unreadable(self.paths[index], error)) from error

    def _cut(self, index: int, image: Image.Image) -> Image.Image:
        return image.crop(_within(self.boxes[index], image.size)) if index in self.boxes else image


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """``box`` in whole pixels inside the image; annotators draw beyond the edge now and then."""
    (left, top, right, bottom), (width, height) = map(round, box), size
    inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"box {box} holds nothing of an image of {width} x {height} pixels")
    return inside


_CURE = "'data check' lists them; put good copies there, or leave such images out with unreadable: skip"


def unreadable(path: str | Path, error: Exception) -> str:
    """What to say of a file that is missing or damaged."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: {_why(error)}; fetch the data set again, or correct the name in its list"
    return f"{path}: {_why(error)}; put a good copy there, or fetch the data set again"


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such image"
    return f"not a readable image ({shortened(decoding.reason(error))})"
