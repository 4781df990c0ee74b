"""Images in files: what comes out, in which order, and what damage is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import splits
from bench.data.finding import Finder, below
from bench.data.fitting import GREY, fitted
from bench.data.image_files import ImageFiles
from bench.errors import DataError
from bench.types import CameraTruth, FrameTruth, ImageSet, RevisitedTruth, Splits


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def colours(tmp_path):
    """Six plain images; the red value is the position."""
    paths = [
        write(tmp_path / f"c{i % 2}" / f"{i}.png", np.full((9 + i, 12, 3), (i, 100, 200))) for i in range(6)
    ]
    return ImageFiles(tuple(paths), 8)


@given(order=st.lists(st.integers(0, 5), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_images_come_in_the_order_asked_for(colours, order):
    pixels = colours[np.array(order, dtype=np.int64)]
    assert pixels.shape == (len(order), 3, 8, 8)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], order)
    assert (pixels[:, 1:] == np.array([100, 200])[:, None, None]).all()


def test_indices_mean_what_they_mean_for_arrays(colours):
    assert colours.shape == (6, 3, 8, 8)
    assert len(colours) == 6
    np.testing.assert_array_equal(colours[np.arange(6) > 3], colours[np.array([-2, -1])])
    with pytest.raises(IndexError):
        colours[np.array([6])]


def stripes(width, height):
    """Red grows to the right and green downwards, both from 0 to 255."""
    red, green = np.linspace(0, 255, width), np.linspace(0, 255, height)
    return np.stack(np.broadcast_arrays(red[None], green[:, None], 0), -1)


def test_crop_takes_the_centre_square(tmp_path):
    pixels = ImageFiles((write(tmp_path / "a.png", stripes(64, 16)),), 16)[np.array([0])][0]
    np.testing.assert_array_equal(pixels.transpose(1, 2, 0), stripes(64, 16).astype(np.uint8)[:, 24:40])


def test_squash_keeps_everything(tmp_path):
    pixels = ImageFiles((write(tmp_path / "a.png", stripes(64, 16)),), 16, "squash")[np.array([0])][0]
    assert pixels[0, 0, 0] < 12
    assert pixels[0, 0, -1] > 243


@pytest.mark.parametrize("tall", [False, True])
def test_pad_keeps_the_shape_and_fills_with_grey(tmp_path, tall):
    array = stripes(16, 64) if tall else stripes(64, 16)
    pixels = ImageFiles((write(tmp_path / "a.png", array),), 16, "pad")[np.array([0])][0]
    pixels = pixels.transpose(0, 2, 1) if tall else pixels
    assert (pixels[:, :6] == GREY).all()
    assert (pixels[:, 10:] == GREY).all()
    assert (pixels[2, 6:10] == 0).all()


@given(width=st.integers(1, 50), height=st.integers(1, 50), fit=st.sampled_from(["crop", "pad", "squash"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_becomes_the_square_and_colours_stay(tmp_path, width, height, fit):
    path = write(tmp_path / "a.png", np.full((height, width, 3), 77))
    pixels = ImageFiles((path,), 12, fit)[np.array([0])]
    assert pixels.shape == (1, 3, 12, 12)
    assert set(np.unique(pixels)) <= ({77, GREY} if fit == "pad" else {77})


def test_shrinking_averages_instead_of_skipping(tmp_path):
    fine = np.zeros((64, 64, 3))
    fine[:, ::2] = 255
    pixels = ImageFiles((write(tmp_path / "a.png", fine),), 8)[np.array([0])]
    assert abs(pixels.astype(float) - 127.5).max() < 6


def test_boxes_are_cut_first_and_kept_inside_the_image(tmp_path):
    path = write(tmp_path / "a.png", stripes(64, 64))
    files = ImageFiles((path, path, path), 8, boxes={1: (40.2, 8.4, 48.1, 15.9), 2: (56.0, 56.0, 90.0, 90.0)})
    whole, cut, edge = files[np.arange(3)]
    expected = stripes(64, 64).astype(np.uint8)
    np.testing.assert_array_equal(cut.transpose(1, 2, 0), expected[8:16, 40:48])
    np.testing.assert_array_equal(edge.transpose(1, 2, 0), expected[56:, 56:])
    assert whole[0].min() < 20
    with pytest.raises(DataError, match=r"a\.png.*box .* holds nothing"):
        replace(files, boxes={0: (70.0, 0.0, 80.0, 10.0)})[np.array([0])]


def test_every_mode_becomes_rgb(tmp_path):
    grey = Image.fromarray(np.full((8, 8), 50, np.uint8))
    palette = grey.convert("P")
    palette.info["transparency"] = bytes([0, 255])
    for mode, image in {
        "L": grey,
        "RGBA": grey.convert("RGBA"),
        "P": palette,
        "1": grey.convert("1"),
    }.items():
        image.save(tmp_path / f"{mode}.png")
    grey.convert("CMYK").save(tmp_path / "CMYK.jpg")
    files = ImageFiles(tuple(sorted(tmp_path.iterdir())), 8)
    assert files[np.arange(len(files))].shape == (5, 3, 8, 8)


def test_images_are_not_turned_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write(tmp_path / "a.png", stripes(16, 16), exif=exif)
    np.testing.assert_array_equal(
        ImageFiles((path,), 16)[np.array([0])][0].transpose(1, 2, 0), stripes(16, 16).astype(np.uint8)
    )


@pytest.mark.parametrize("content", [None, b"", b"no image", "half"])
def test_missing_and_damaged_files_are_named(tmp_path, colours, content):
    path = colours.paths[3]
    if content is None:
        path.unlink()
    else:
        noise = np.random.default_rng(0).integers(256, size=(40, 40, 3))
        whole = write(path, noise).read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(DataError, match=rf"^{path}: [^/]*fetch"):
        colours[np.arange(6)]


def test_the_digest_knows_names_contents_and_settings_but_not_the_place(tmp_path, colours):
    first = colours.digest()
    moved = tmp_path / "elsewhere"
    for path in colours.paths:
        target = moved / path.relative_to(tmp_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    copies = tuple(moved / path.relative_to(tmp_path) for path in colours.paths)
    assert replace(colours, paths=copies).digest() == first
    others = [
        replace(colours, side=9),
        replace(colours, fit="pad"),
        replace(colours, boxes={0: (0, 0, 4, 4)}),
        replace(colours, paths=colours.paths[::-1]),
        replace(colours, paths=colours.paths[:-1]),
    ]
    assert len({first, *(other.digest() for other in others)}) == 6
    write(colours.paths[0], np.full((30, 31, 3), 5))
    assert replace(colours).digest() != first
    colours.paths[0].unlink()
    with pytest.raises(DataError, match=r"0\.png: no such image"):
        replace(colours).digest()


@pytest.mark.parametrize("count", [0, 1])
def test_few_files_have_a_digest_too(colours, count):
    files = replace(colours, paths=colours.paths[:count])
    assert len(files.digest()) == 64
    assert files[np.arange(count)].shape == (count, 3, 8, 8)


def test_manifests_stand_for_files_by_their_digest(colours):
    def manifest(files, truth=None):
        images = ImageSet(files, np.arange(6) % 2, 2, truth=truth)
        parts = [np.array(part) for part in ([0], [1], [2], [1, 2, 3, 4, 5])]
        return splits.manifest(images, Splits("x", *parts))["images_sha256"]

    rows = [np.array([1, 2]), np.array([3])]
    truths = [
        None,
        CameraTruth(np.arange(6)),
        CameraTruth(np.zeros(6, np.int64)),
        RevisitedTruth({0: rows[0]}, {0: rows[1]}, {}),
        RevisitedTruth({0: rows[1]}, {0: rows[0]}, {}),
        FrameTruth(np.arange(6), {0: {3: True, 2: False}}),
        FrameTruth(np.arange(6), {0: {3: True, 2: True}}),
    ]
    digests = [manifest(colours, truth) for truth in truths]
    assert len(set(digests)) == len(truths)
    assert manifest(replace(colours, side=9)) != digests[0]
    again = FrameTruth(np.arange(6), {np.int64(0): {np.int64(2): np.False_, 3: True}})
    assert manifest(colours, again) == digests[5]


class Recorded:
    """Pixels that are neither an array nor files."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __getitem__(self, indices):
        return self.array[indices]


def test_other_pixels_are_digested_as_arrays_are():
    array = np.random.default_rng(0).integers(256, size=(6, 3, 4, 4), dtype=np.uint8)
    parts = Splits("x", *(np.array(part) for part in ([0], [1], [2], [1, 2])))
    kinds = [ImageSet(pixels, np.arange(6), 6) for pixels in (array, Recorded(array))]
    assert len({splits.manifest(images, parts)["images_sha256"] for images in kinds}) == 1


@pytest.mark.parametrize("name", ["/etc", "..", "../x", "a/../../x"])
def test_folders_stay_below_the_root(tmp_path, name):
    with pytest.raises(DataError, match="not below the data root"):
        below(tmp_path, name)
    assert below(tmp_path, "a/../b") == tmp_path / "b"
    assert below(Path("data"), ".") == Path("data")


@given(width=st.integers(1, 50), height=st.integers(1, 50), fit=st.sampled_from(["crop", "pad", "squash"]))
def test_any_shape_becomes_any_other(width, height, fit):
    image = Image.fromarray(np.full((31, 17, 3), 77, np.uint8))
    pixels = np.asarray(fitted(image, height, width, fit))
    assert pixels.shape == (height, width, 3)
    assert set(np.unique(pixels)) <= ({77, GREY} if fit == "pad" else {77})


def test_crop_takes_the_largest_centred_part_of_the_shape():
    image = Image.fromarray(stripes(64, 32).astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(fitted(image, 32, 16, "crop")), np.asarray(image)[:, 24:40])
    np.testing.assert_array_equal(np.asarray(fitted(image, 16, 64, "crop")), np.asarray(image)[8:24])


def test_pad_fits_the_longer_side_whichever_it_is():
    image = Image.fromarray(np.zeros((20, 10, 3), np.uint8))
    wide, tall = (np.asarray(fitted(image, *size, "pad"))[..., 0] for size in ((20, 30), (40, 10)))
    assert (wide[:, 10:20] == 0).all()
    assert (wide[:, :10] == GREY).all()
    assert (tall[10:30] == 0).all()
    assert (tall[30:] == GREY).all()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_of_16_bits_keeps_its_shades(tmp_path, ending):
    shades = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    path = tmp_path / f"deep.{ending}"
    Image.fromarray(shades).save(path)
    pixels = ImageFiles((path,), 16)[np.array([0])][0]
    np.testing.assert_array_equal(pixels, np.broadcast_to(shades >> 8, (3, 16, 16)))


NAMES = st.text("aAb.-_ é", min_size=1, max_size=3).map(lambda name: f"x{name}")


@given(
    files=st.lists(st.tuples(st.lists(NAMES, max_size=3), NAMES, st.sampled_from([".png", ".JPG", ".txt"])))
)
@settings(max_examples=50, deadline=None)
def test_images_are_found_in_the_order_of_their_paths(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("found")
    for folders, name, ending in files:
        path = root.joinpath(*folders, name + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / ".hidden").mkdir()
    (root / "link").symlink_to(root, target_is_directory=True)
    finder = Finder()
    paths = [path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in {".png", ".jpg"}]
    assert finder.images(root) == sorted(paths)
    assert finder.hidden == 1
    assert finder.images(root, deep=False) == sorted(path for path in paths if path.parent == root)


def test_names_do_not_depend_on_how_the_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    relative = ImageFiles((Path("a/1.png"), Path("b/2.png")), 16)
    absolute = ImageFiles(tuple(path.absolute() for path in relative.paths), 16)
    assert relative.names() == absolute.names() == ["a/1.png", "b/2.png"]
    assert relative.digest() == absolute.digest()
