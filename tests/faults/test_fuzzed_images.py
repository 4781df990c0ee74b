"""Image files that are damaged by chance: each has pixels, or a reason in one line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.image_files import ImageFiles
from tests.faults.fuzzing import fuzz


def read(path: Path) -> None:
    """As a run does, which decodes all before it trains."""
    files = ImageFiles((path,), 16, upright=True)
    if bad := files.undecodable():
        assert (told := files.told(bad)).isprintable(), told
    # Whatever can be decoded once can be decoded again, and nothing else can.
    files[np.array([0])]
    assert not bad


def sound(ending: str) -> bytes:
    pixels = np.random.default_rng(0).integers(256, size=(20, 30, 4), dtype=np.uint8)
    image, file, exif = Image.fromarray(pixels), io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    if ending in {"jpeg", "bmp", "ppm"}:
        image = image.convert("RGB")
    image.save(file, ending, **({"exif": exif} if ending in {"jpeg", "png", "webp", "tiff"} else {}))
    return file.getvalue()


@pytest.mark.parametrize("endings", [("png", "jpeg"), ("webp", "tiff"), ("gif", "bmp", "ppm")], ids="-".join)
def test_images(endings, folder):
    figures = fuzz(read, [sound(ending) for ending in endings], folder / "a.png")
    figures.check()
    assert 0 < figures.refused < figures.tried
