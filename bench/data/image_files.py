"""Images that stay in their files and are decoded when they are asked for."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bench import environment
from bench.errors import DataError, path_fault

Fit = Literal["crop", "pad", "squash"]

#: Files that are read at once; PIL lets go of the interpreter while it decodes and resizes.
THREADS = min(16, environment.cores())
#: Raised by one when the same files become other pixels, so that nothing made from the old ones is reused.
VERSION = 2
#: Endings of the files that count as images where a folder says what there is.
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
#: What ``pad`` puts around an image: close to zero after any usual normalisation.
GREY = 128


@dataclass(frozen=True)
class ImageFiles:
    """``bench.types.Pixels`` of image files, all brought to one square size.

    EXIF orientation is ignored: boxes and annotations of the published sets refer to the pixels as they
    are stored, and the code behind published numbers (PIL, torchvision) does not turn images either.

    Attributes:
        paths: one file per image, in any format and mode that PIL reads as RGB.
        side: of the square result in pixels.
        fit: ``crop`` resizes the shorter side and cuts the centre square, ``squash`` resizes to the square
            whatever the shape was, ``pad`` resizes the longer side and fills the rest with mid-grey.
        boxes: image -> left, top, right, bottom in pixels of the file, cut out before anything else.
        left_out: hidden files and folders that were passed over when ``paths`` were looked for.
        threads: that decode at once; what comes of it does not depend on their number.
    """

    paths: tuple[Path, ...]
    side: int
    fit: Fit = "crop"
    boxes: Mapping[int, tuple[float, float, float, float]] = field(default_factory=dict)
    left_out: int = 0
    threads: int = THREADS

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 3, side, side)."""
        return (len(self.paths), 3, self.side, self.side)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """uint8 (m, 3, side, side) RGB of the images at ``indices``, in the order asked for.

        Raises:
            DataError: a file is missing or damaged.
        """
        # Whatever picks from an array (slices, masks, negative numbers) means the same here.
        chosen = np.arange(len(self.paths))[indices].tolist()
        result = np.empty((len(chosen), *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            result[place] = self._read(chosen[place])

        # A pool per call costs far less than one image, and no thread outlives the call (or a fork).
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(fill, range(len(chosen))):
                pass
        return result

    def digest(self) -> str:
        """sha256 in hex of names below the common folder, file sizes and how images are cut and resized.

        Contents are left out: to read hundreds of thousands of files for every plan would cost minutes.

        Raises:
            DataError: a file is missing.
        """
        digest = hashlib.sha256(f"image files {VERSION} {len(self)} {self.side} {self.fit}\n".encode())
        names = [os.fspath(path) for path in self.paths]
        root = os.path.commonpath([os.path.dirname(name) for name in names]) if names else ""
        for name in names:
            try:
                size = os.stat(name).st_size
            except OSError as error:
                raise DataError(unreadable(name, error)) from error
            relative = name[len(root) :].lstrip(os.sep).replace(os.sep, "/")
            digest.update(f"{size} {relative}\n".encode(errors="surrogateescape"))
        for index, box in sorted(self.boxes.items()):
            digest.update(f"{int(index)} {[float(edge) for edge in box]}\n".encode())
        return digest.hexdigest()

    def _read(self, index: int) -> NDArray[np.uint8]:
        """One image as uint8 (3, side, side)."""
        path = self.paths[index]
        # Decoders meet damage in many ways, each with an exception of its own.
        try:
            image = fitted(self._opened(index), self.side, self.side, self.fit)
        except Exception as error:
            raise DataError(unreadable(path, error)) from error
        return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)

    def original(self, index: int) -> NDArray[np.uint8]:
        """One image, its box cut out, in the size of its file: uint8 (height, width, 3) RGB.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            return np.asarray(self._opened(index), dtype=np.uint8)
        except Exception as error:
            raise DataError(unreadable(self.paths[index], error)) from error

    def _opened(self, index: int) -> Image.Image:
        with Image.open(self.paths[index]) as file:
            image = as_rgb(file)
        return image.crop(_within(self.boxes[index], image.size)) if index in self.boxes else image


class Finder:
    """Finds image files in folders, all but hidden ones, and counts what it passes over.

    Desktops, editors and archivers leave thumbnails, copies and attributes behind under hidden names:
    ``.thumbnails``, ``.ipynb_checkpoints``, ``._1.jpg``, ``__MACOSX``. Files that a list names are data
    whatever they are called: they are not looked for here.

    Attributes:
        left_out: hidden files and folders so far; what lies in such folders is not counted.
    """

    def __init__(self) -> None:
        self.left_out = 0

    def folders(self, folder: Path) -> list[Path]:
        """The folders in ``folder``, by name."""
        return sorted(Path(entry.path) for entry in self._visible(folder) if _is_folder(entry))

    def images(self, folder: Path, suffixes: Collection[str] = SUFFIXES, *, deep: bool = True) -> list[Path]:
        """The images in ``folder``, and below it if ``deep``, in one order on every machine.

        Args:
            suffixes: of the files that count, in lower case.
        """
        return [Path(name) for name in self.walk(os.fspath(folder), suffixes, deep=deep)]

    def walk(self, folder: str, suffixes: Collection[str] = SUFFIXES, *, deep: bool = True) -> Iterator[str]:
        """``images`` one after the other: of any number, memory holds the names of a few folders."""

        def inside(folder: str) -> Iterator[tuple[str, bool]]:
            names = dict[str, bool]()
            for entry in self._visible(folder):
                if _is_folder(entry):
                    names |= {entry.name: True} if deep and not entry.is_symlink() else {}
                elif os.path.splitext(entry.name)[1].lower() in suffixes:
                    names[entry.name] = False
            return ((os.path.join(folder, name), names[name]) for name in sorted(names))

        open_folders = [inside(folder)]
        while open_folders:
            for path, is_folder in open_folders[-1]:
                if is_folder:
                    open_folders.append(inside(path))
                    break
                yield path
            else:
                open_folders.pop()

    def _visible(self, folder: str | Path) -> Iterator[os.DirEntry[str]]:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if hidden(entry.name):
                    self.left_out += 1
                else:
                    yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself is found to be no image by who opens it.
    with contextlib.suppress(OSError):
        return entry.is_dir()
    return False


def hidden(name: str) -> bool:
    """Whether a file or folder of this name holds something beside the data."""
    return name.startswith(".") or name == "__MACOSX"


def below(root: Path, name: str) -> Path:
    """The folder or file ``name`` relative to the data root.

    Raises:
        DataError: it would lie outside, or the system cannot look there.
    """
    relative = os.path.normpath(name)
    if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
        raise DataError(
            f"'{name}' is not below the data root {root}; give a path relative to it, without '..'"
        )
    try:
        (root / relative).exists()
    except OSError as error:
        raise DataError(path_fault(error)) from error
    return root / relative


def as_rgb(file: Image.Image) -> Image.Image:
    """An image of any mode as RGB; transparency is dropped."""
    # Palettes with transparency lose it on a detour only: PIL warns about the direct way.
    if file.mode == "P" and "transparency" in file.info:
        return file.convert("RGBA").convert("RGB")
    # Of 16 bits the higher eight, as PIL itself reads colours of 16 bits; of grey it would cut off all
    # values above 255, which leaves nothing but white.
    if file.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(file) >> 8).astype(np.uint8)).convert("RGB")
    return file.convert("RGB")


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """``box`` in whole pixels inside the image; annotators draw beyond the edge now and then."""
    (left, top, right, bottom), (width, height) = map(round, box), size
    inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"box {box} holds nothing of an image of {width} x {height} pixels")
    return inside


def fitted(image: Image.Image, height: int, width: int, fit: Fit) -> Image.Image:
    """``image`` brought to one size, bilinear and smoothed where it shrinks.

    Args:
        height, width: of the result in pixels.
        fit: ``crop`` cuts the largest centred part of the result's shape and resizes it, ``squash`` resizes
            to the size whatever the shape was, ``pad`` resizes as far as it fits and fills the rest with
            mid-grey.
    """
    return _FITS[fit](image, height, width)


def _crop(image: Image.Image, height: int, width: int) -> Image.Image:
    # Products of whole numbers first: an edge that stays whole must come out exactly.
    if image.width * height <= image.height * width:
        across, down = float(image.width), image.width * height / width
    else:
        across, down = image.height * width / height, float(image.height)
    left, top = (image.width - across) / 2, (image.height - down) / 2
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


_FITS = {"crop": _crop, "pad": _pad, "squash": _squash}


def unreadable(path: str | Path, error: Exception) -> str:
    """What to say of a file that is missing or damaged."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such image; fetch the data set again, or correct the name in its list"
    # Of an unknown format, PIL says nothing but the path.
    reason = "PIL knows no such format" if isinstance(error, UnidentifiedImageError) else error
    return f"{path}: not a readable image ({reason}); put a good copy there, or fetch the data set again"
