"""Photos are found, read and turned as people see them, and what cannot be read is told."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from bench.data.finding import Finder
from bench.data.image_files import ImageFiles
from bench.deployment.images import Picture, Unreadable, found, open_rgb, read
from bench.errors import UsageError
from tests.deployment.bundles import PREPROCESSING


def test_every_image_of_a_folder_comes_once_and_in_order(photos):
    folder, made = photos
    finder = Finder()
    names = [os.path.relpath(path, folder) for path in found([folder], finder)]
    assert names == sorted(made.readable + made.unreadable, key=lambda name: name.split(os.sep))
    assert finder.hidden == 2


def test_a_link_to_itself_does_not_end_the_walk(tmp_path):
    for name in ("b.jpg", "c"):
        (tmp_path / name).symlink_to(name)
    (tmp_path / "d.jpg").write_bytes(b"")
    assert list(found([tmp_path], Finder())) == [str(tmp_path / name) for name in ("b.jpg", "d.jpg")]


def test_a_file_is_taken_whatever_its_name_and_a_missing_one_is_told(tmp_path):
    named = tmp_path / "photo.unusual"
    named.write_bytes(b"")
    assert list(found([named], Finder())) == [str(named)]
    with pytest.raises(UsageError, match=r"absent\.png: no such file or folder"):
        list(found([tmp_path / "absent.png"], Finder()))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("fit", "height", "width"), [("crop", 8, 8), ("pad", 9, 12), ("squash", 5, 4)])
def test_images_come_in_order_as_the_suite_reads_them(photos, fit, height, width, threads):
    folder, made = photos
    to = dataclasses.replace(PREPROCESSING, height=height, width=width, fit=fit)
    paths = list(found([folder], Finder()))
    images = list(read(paths, to, upright=False, threads=threads, ahead=10))
    assert [image.path for image in images] == paths
    assert [
        os.path.relpath(bad.path, folder) for bad in images if isinstance(bad, Unreadable)
    ] == made.unreadable
    pictures = [image for image in images if isinstance(image, Picture)]
    assert {picture.pixels.shape for picture in pictures} == {(height, width, 3)}
    if height == width:
        files = ImageFiles(tuple(folder / name for name in made.readable), height, fit)
        expected = files[np.arange(len(files))].transpose(0, 2, 3, 1)
        order = np.argsort([os.path.relpath(picture.path, folder) for picture in pictures])
        np.testing.assert_array_equal(np.stack([pictures[i].pixels for i in order]), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_images_are_turned_as_viewers_show_them(tmp_path, orientation, ending):
    corners = np.zeros((16, 24, 3), np.uint8)
    corners[:8, :12], corners[8:, 12:] = (255, 0, 0), (0, 0, 255)
    shown = Image.fromarray(corners)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transpositions that undo each orientation
    stored = shown.transpose(Image.Transpose(back[orientation])) if orientation > 1 else shown
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    stored.save(path, exif=exif, **({"quality": 95} if ending == "jpg" else {}))
    turned = open_rgb(str(path), upright=True)
    assert turned.size == shown.size
    assert abs(np.asarray(turned).astype(int) - corners).mean() < 12


def test_damaged_exif_spoils_no_photo(tmp_path):
    image = Image.new("RGB", (20, 10), (200, 10, 10))
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    good = exif.tobytes()
    for number in range(100):
        data = bytearray(good)
        for place in rng.integers(6, len(data), 3):
            data[place] = rng.integers(256)
        path = tmp_path / f"{number}.jpg"
        image.save(path, exif=bytes(data))
        (found_image,) = read([str(path)], PREPROCESSING, upright=True, threads=1, ahead=1)
        assert isinstance(found_image, Picture)
        assert sorted(found_image.size) == [10, 20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "PIL knows no such format"),
        (b"text", "PIL knows no such format"),
        (None, "No such file or directory"),
        ("folder", "Is a directory"),
        ("pipe", "not a file"),
        ("loop", "Too many levels of symbolic links"),
        ("half", "image file is truncated"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(tmp_path, content, reason):
    path = tmp_path / "a.png"
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    elif content == "loop":
        path.symlink_to(path)
    elif content == "half":
        Image.fromarray(np.random.default_rng(0).integers(256, size=(50, 50, 3), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:3000])
    elif content is not None:
        path.write_bytes(content)
    (image,) = read([str(path)], PREPROCESSING, upright=True, threads=1, ahead=1)
    assert isinstance(image, Unreadable)
    assert image.path == str(path)
    assert image.reason.startswith(reason)
