"""Photos as people have them: turned, transparent, deep, huge, in formats of phones, few of a class."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bench.data import decoding
from bench.data.decoding import picture, reason, regular
from bench.data.finding import Finder
from bench.data.image_files import ImageFiles
from bench.datasets.image_folder import ImageFolder
from bench.deployment.images import open_rgb
from bench.errors import DataError
from tests.faults import photos
from tests.faults.photos import ONE

EIGHT = np.random.default_rng(0).integers(256, size=(24, 16, 3), dtype=np.uint8)
GREY = EIGHT[..., 0]


def decoded(path, upright=True):
    with regular(path) as file:
        return np.asarray(picture(file, upright=upright))


def refused(path):
    with pytest.raises(Exception) as error:
        decoded(path)
    return reason(error.value)


def png(path, values, colour, depth=16, extra=b""):
    """A PNG by hand: of 16 bits, which PIL writes of grey alone."""
    height, width = values.shape[:2]
    rows = values.astype(">u2" if depth == 16 else "u1")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


def clear_colour(*values):
    data = struct.pack(f">{len(values)}H", *values)
    return struct.pack(">I", len(data)) + b"tRNS" + data + struct.pack(">I", zlib.crc32(b"tRNS" + data))


# -- Bits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [257, 256])
def test_pictures_of_16_bits_have_the_pixels_of_8(tmp_path, scale):
    deep = EIGHT.astype(np.uint16) * scale
    full = np.full_like(deep[..., :1], 65535)
    paths = [
        png(tmp_path / "grey.png", deep[..., 0], 0),
        png(tmp_path / "grey-alpha.png", np.concatenate([deep[..., :1], full], -1), 4),
        png(tmp_path / "colour.png", deep, 2),
        png(tmp_path / "colour-alpha.png", np.concatenate([deep, full], -1), 6),
        tmp_path / "grey.tif",
        tmp_path / "grey.pgm",
    ]
    Image.fromarray(deep[..., 0]).save(paths[-2])
    Image.fromarray(deep[..., 0]).save(paths[-1])
    for path in paths:
        expected = EIGHT if "colour" in path.name else np.repeat(GREY[..., None], 3, -1)
        np.testing.assert_array_equal(decoded(path), expected, err_msg=path.name)


@pytest.mark.parametrize(("most", "colour"), [(255, 0), (4095, 0), (255, 2)])
def test_few_bits_in_the_place_of_16_are_refused_and_not_taken_for_black(tmp_path, most, colour):
    values = (EIGHT.astype(np.uint16) * most) // 255
    path = png(tmp_path / "a.png", values if colour else values[..., 0], colour)
    assert refused(path).startswith("16 bits a channel, of which at most 12 are used")
    if not colour:
        np.testing.assert_array_equal(decoded(png(path, 0 * GREY, 0)), 0)  # black is black


@pytest.mark.parametrize(
    ("values", "kind"),
    [(GREY.astype(np.int32) * 1000, "whole numbers of 32 bits"), (GREY.astype(np.float32), "fractions")],
)
def test_numbers_without_a_white_are_refused(tmp_path, values, kind):
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    assert refused(path).startswith(f"its pixels are {kind}")
    assert "save it with 8" in refused(path)
    with pytest.raises(DataError, match=rf"a\.tif: not a readable image \(its pixels are {kind}"):
        ImageFiles((path,), 8)[np.array([0])]


# -- Transparency -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "gif"])
def test_what_is_transparent_is_white(tmp_path, ending):
    clear = np.dstack([EIGHT, np.where(np.arange(16) < 8, 255, 0) + np.zeros((24, 1), int)]).astype(np.uint8)
    path = tmp_path / f"a.{ending}"
    Image.fromarray(clear).save(path, **({"lossless": True} if ending == "webp" else {}))
    shown = decoded(path)
    assert (shown[:, 8:] == 255).all()
    if ending != "gif":  # which has few colours
        np.testing.assert_array_equal(shown[:, :8], EIGHT[:, :8])


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (4, 4), (100, 0, 200, 128)).save(tmp_path / "a.png")
    Image.new("LA", (4, 4), (100, 128)).save(tmp_path / "b.png")
    np.testing.assert_allclose(decoded(tmp_path / "a.png")[0, 0], [177, 127, 227], atol=1)
    np.testing.assert_allclose(decoded(tmp_path / "b.png")[0, 0], [177] * 3, atol=1)


def test_a_colour_that_stands_for_nothing_is_white(tmp_path):
    deep = EIGHT.astype(np.uint16) * 257
    paths = [
        png(tmp_path / "1.png", deep[..., 0], 0, extra=clear_colour(int(deep[3, 4, 0]))),
        png(tmp_path / "2.png", GREY, 0, 8, clear_colour(int(GREY[3, 4]))),
        png(tmp_path / "3.png", EIGHT, 2, 8, clear_colour(*EIGHT[3, 4].tolist())),
        png(tmp_path / "4.png", deep, 2, 16, clear_colour(*deep[3, 4].tolist())),
    ]
    palette = Image.fromarray(EIGHT).quantize(8)
    palette.info["transparency"] = palette.getpixel((4, 3))
    palette.save(tmp_path / "5.png")
    for path in [*paths, tmp_path / "5.png"]:
        assert (decoded(path)[3, 4] == 255).all(), path.name


# -- Orientation ------------------------------------------------------------------------------------


def turned(path, orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(EIGHT).save(path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {}))
    return path


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "jpg"])
def test_an_image_folder_and_encode_see_photos_as_viewers_do(tmp_path, ending):
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        path = turned(tmp_path / "images" / label / f"0.{ending}")
    images = ImageFolder(ImageFolder.Params.of({"side": 16})).load(tmp_path)
    assert images.pixels.upright
    seen = images.pixels.original(0)
    assert seen.shape == (16, 24, 3)
    np.testing.assert_array_equal(seen, np.asarray(open_rgb(str(path), upright=True)))
    # Published sets are as they are stored; TIFF files, which none has, PIL turns by itself.
    assert ImageFiles((path,), 16).original(0).shape == (seen.shape if ending == "tif" else EIGHT.shape)
    assert ImageFiles((path,), 16, upright=True).digest() != ImageFiles((path,), 16).digest()


# -- Sizes and formats ------------------------------------------------------------------------------


def test_a_picture_that_is_too_large_is_told_as_such(tmp_path, monkeypatch):
    # Of nothing but black, so that the file is small.
    rows = zlib.compress(b"\0" * (1 + 20_000 // 8) * 20_000)
    path = png(tmp_path / "bomb.png", np.zeros((1, 1)), 0, 8)
    data = path.read_bytes()
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    path.write_bytes(data[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    told = refused(path)
    assert told == "too large: 400,000,000 pixels, and 178,956,970 are read at most; make it smaller"
    monkeypatch.setattr(decoding, "MOST_PIXELS", 300)
    Image.fromarray(EIGHT).save(path)
    assert refused(path) == "too large: 16 x 24 pixels, and 300 are read at most; make it smaller"


def test_a_large_photo_is_no_warning(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (9_500, 9_500)).save(path)  # PIL warns from 89 million pixels on
    assert ImageFiles((path,), 8)[np.array([0])].shape == (1, 3, 8, 8)


def test_what_is_a_program_is_never_run(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    assert refused(path) == "EPS is a program, not a picture; save it as PNG"


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "folder", "loop"])
def test_nothing_but_files_is_opened(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            os.chdir(tmp_path)
            made.bind("a.png")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    told = {"folder": "Is a directory", "loop": "Too many levels of symbolic links"}
    assert refused(path) == told.get(kind, "not a file but a pipe, a socket or a device")
    with pytest.raises(DataError, match=r"a\.png: not a readable image"):
        ImageFiles((path,), 8).digest()


def test_other_files_are_counted_and_named(tmp_path):
    for name in ("a.jpg", "IMG_2.HEIC", "IMG_1.heic", "b.avif", "DSC0001", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    finder = Finder()
    assert [path.name for path in finder.images(tmp_path)] == ["a.jpg"]
    assert finder.left_out.sentences() == [
        "1 hidden file or folder left out (its name begins with a dot, or is __MACOSX)",
        f"1 file without an ending left out (first: {tmp_path}/DSC0001); "
        "give pictures the ending of their format",
        f"1 file ending in .avif left out (first: {tmp_path}/b.avif); save such pictures as JPEG or PNG",
        f"2 files ending in .heic left out (first: {tmp_path}/IMG_1.heic); save such pictures as JPEG or PNG",
        f"1 file ending in .txt left out (first: {tmp_path}/notes.txt)",
    ]
    assert len(finder.left_out.pictures()) == 3


def test_prepare_and_run_tell_of_pictures_that_they_leave_out(tiny, bench, folder):
    photos.write(folder / "data")
    (folder / "data/photos/class0/IMG_1.HEIC").write_bytes(b"phone")
    Image.new("RGB", (9, 9)).save(folder / "data/photos/beside the classes.png")
    told, beside = "1 file ending in .heic left out", "1 file ending in .png left out"
    asked = ["--set", "folder=photos", "--set", "query_per_class=3", "--set", "train_per_class=8"]
    assert told in bench("data", "prepare", "image_folder", *asked, "--set", "val_per_class=2").out
    out = bench("data", "check", "image_folder", *asked).out
    assert told in out
    assert beside in out
    err = tiny("run", *ONE, edit=photos.grid()).err
    assert f"warning: image_folder: {told}" in err
    assert f"warning: image_folder: {beside}" in err


# -- Classes ----------------------------------------------------------------------------------------


@pytest.fixture
def uneven(folder):
    """Classes of 20 pictures, and one of 3 whose name comes first."""
    photos.write(folder / "data")
    for number in range(3):
        path = folder / f"data/photos/a rare one/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photos.picture(2, number)).save(path)
    (folder / "data/photos/b empty").mkdir()


def test_a_class_that_is_too_small_is_named_with_the_cure(uneven, tiny, folder):
    (folder / "data/photos/b empty").rmdir()
    failed = tiny("plan", edit=photos.grid())
    assert failed.code == 2
    assert "class 'a rare one' has 3 images, fewer than query_per_class + train_per_class = 11" in failed.err
    assert "or set min_per_class to have such classes in the database only" in failed.err


def test_small_classes_are_in_the_database_only(uneven, tiny, folder):
    params = {"folder": "photos", "side": 16, "query_per_class": 3, "train_per_class": 8, "val_per_class": 2}
    plugin = ImageFolder(ImageFolder.Params.of({**params, "min_per_class": 11}))
    images = plugin.load(folder / "data")
    assert (images.classes, list(images.names)) == (2, ["class0", "class1", "a rare one", "b empty"])
    parts = plugin.splits(images)
    names = np.array([path.parent.name for path in images.pixels.paths])
    assert np.count_nonzero(names[parts.database] == "a rare one") == 3
    for part in (parts.query, parts.train, parts.val):
        assert set(names[part]) == {"class0", "class1"}
        assert set(images.labels[part]) == {0, 1}
    assert set(images.labels[names == "a rare one"]) == {2}
    assert "43 images in 2 classes and 2 with fewer than 11" in plugin.prepare(folder / "data")
    done = tiny("run", *ONE, edit=photos.grid(min_per_class=11))
    assert done.code == 0, done.err


def test_too_high_a_limit_is_refused(uneven, tiny):
    failed = tiny("plan", edit=photos.grid(min_per_class=21))
    assert failed.code == 2
    assert "min_per_class 21: no class has as many images; lower it" in failed.err
