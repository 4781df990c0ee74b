"""A folder of photos as people have them: formats, modes and damage of all kinds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Photos:
    """What ``write_photos`` wrote: names below the folder."""

    readable: list[str]
    unreadable: list[str]


def scene(number: int) -> Image.Image:
    """A picture of its own for every number: a slope of colours with some discs on it."""
    rng = np.random.default_rng(number)
    width, height = (int(side) for side in rng.integers(20, 120, 2))
    rows, columns = np.mgrid[:height, :width]
    corners = rng.integers(256, size=(3, 3))
    colours = corners[0] * (rows / height)[..., None] + corners[1] * (columns / width)[..., None]
    for _ in range(rng.integers(1, 4)):
        centre, radius = rng.random(2) * (height, width), rng.uniform(5, 20)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        colours[disc] = rng.integers(256, size=3)
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _palette(image: Image.Image) -> Image.Image:
    palette = image.quantize(32)
    palette.info["transparency"] = 3
    return palette


#: Name -> how such a photo is saved: ending, what becomes of the scene, options.
KINDS = {
    "png": ("png", lambda image: image, {}),
    "jpeg": ("jpg", lambda image: image, {"quality": 90}),
    "grey": ("png", lambda image: image.convert("L"), {}),
    "greyjpeg": ("JPG", lambda image: image.convert("L"), {}),
    "cmyk": ("jpg", lambda image: image.convert("CMYK"), {}),
    "turned": ("jpeg", lambda image: image, {"exif": _exif(6)}),
    "mirrored": ("png", lambda image: image, {"exif": _exif(5)}),
    "palette": ("png", _palette, {}),
    "deep": ("png", _deep, {}),
    "clear": ("png", lambda image: image.convert("RGBA"), {}),
    "halfclear": ("png", lambda image: image.convert("LA"), {}),
    "bitmap": ("tiff", lambda image: image.convert("1"), {}),
    "webp": ("webp", lambda image: image, {}),
    "gif": ("gif", lambda image: image.quantize(16), {}),
    "bmp": ("bmp", lambda image: image, {}),
}


def write_photos(folder: Path, count: int = 1500) -> Photos:
    """``count`` photos in subfolders of ``folder``, two of them unreadable, and hidden files beside them."""
    readable = list[str]()
    for number in range(count - 2):
        name, (ending, made, options) = list(KINDS.items())[number % len(KINDS)]
        path = folder / f"album {number % 7}" / f"{number:05d} {name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        made(scene(number)).save(path, **options)
        readable.append(str(path.relative_to(folder)))
    data = io.BytesIO()
    scene(count).resize((200, 200)).save(data, "JPEG")
    bad = {"album 0/truncated.jpg": data.getvalue()[: len(data.getvalue()) // 2], "album 1/empty.png": b""}
    for name, content in bad.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / ".thumbnails").mkdir()
    scene(0).save(folder / ".thumbnails" / "0.png")
    (folder / "album 0" / "._0.jpg").write_bytes(b"attributes")
    (folder / "album 0" / "notes.txt").write_text("no photo")
    return Photos(sorted(readable), sorted(bad))
