"""Views: deterministic, the same for every network, correct geometry."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from bench.data.image_files import ImageFiles
from bench.training import inputs, views
from bench.training.inputs import PixelSource
from bench.types import Augmentation, ImageSet, Preprocessing

PLAIN = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))


def image_set(n=50, side=16, aspect=1.0, **augmentation):
    generator = np.random.default_rng(0)
    pixels = generator.integers(256, size=(n, 3, side, int(aspect * side)), dtype=np.uint8)
    return ImageSet(pixels, np.zeros(n, np.int64), 1, Augmentation(**augmentation))


def test_a_view_depends_on_stream_seed_view_and_image_alone():
    images = image_set()
    first = views.random_crops(images, views.DISTILL_STREAM, 0, 3)
    np.random.seed(5)
    torch.manual_seed(5)
    np.testing.assert_array_equal(first, views.random_crops(images, views.DISTILL_STREAM, 0, 3))
    for other in [(views.FINETUNE_STREAM, 0, 3), (views.DISTILL_STREAM, 1, 3), (views.DISTILL_STREAM, 0, 4)]:
        assert (views.random_crops(images, *other)[:, 0] != first[:, 0]).all()


def test_crops_lie_inside_and_flips_happen_only_where_allowed():
    images = image_set(500, crop=0.75, flip=True)
    crops = views.random_crops(images, 1, 0, 0)
    assert (crops[:, :2] >= 0).all()
    assert (crops[:, :2] + crops[:, 2:3] <= 1).all()
    assert crops[:, :2].max() > 0.2
    assert 0.4 < crops[:, 3].mean() < 0.6
    assert views.random_crops(image_set(500, flip=False), 1, 0, 0)[:, 3].sum() == 0


def test_shifted_views_keep_the_scale_and_repeat_the_border():
    images = image_set(500, crop=1.0, shift=0.25)
    crops = views.random_crops(images, 1, 0, 0)
    assert (np.abs(crops[:, :2]) <= 0.25).all()
    assert crops[:, :2].min() < -0.2
    assert crops[:, :2].max() > 0.2
    pixels = torch.from_numpy(images.pixels[:1])
    rendered = views.render(pixels, np.array([[0.25, 0.0, 1.0, 0.0]]), PLAIN, 16) * 255
    torch.testing.assert_close(rendered[0, :, :, :12], pixels[0, :, :, 4:].float(), atol=1e-3, rtol=0)
    repeated = pixels[0, :, :, -1:].float().expand(-1, -1, 4)
    torch.testing.assert_close(rendered[0, :, :, 12:], repeated, atol=1e-3, rtol=0)


def test_the_whole_image_at_its_own_size_is_the_image():
    images = image_set(crop=1.0)
    pixels = torch.from_numpy(images.pixels[:4])
    rendered = views.render(pixels, views.centre_crops(images)[:4], PLAIN, 16)
    torch.testing.assert_close(rendered * 255, pixels.float(), atol=1e-3, rtol=0)
    flipped = np.tile([0.0, 0.0, 1.0, 1.0], (4, 1))
    torch.testing.assert_close(
        views.render(pixels, flipped, PLAIN, 16) * 255, pixels.float().flip(3), atol=1e-3, rtol=0
    )


def test_a_crop_is_cut_where_it_says():
    pixels = torch.from_numpy(image_set().pixels[:2])
    crops = np.array([[0.25, 0.5, 0.5, 0.0], [0.0, 0.25, 0.5, 0.0]])
    rendered = views.render(pixels, crops, PLAIN, 8) * 255
    torch.testing.assert_close(rendered[0], pixels[0, :, 8:16, 4:12].float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(rendered[1], pixels[1, :, 4:12, 0:8].float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_enlarging_agrees_with_the_library(mode):
    pixels = torch.from_numpy(image_set().pixels[:3])
    ours = views.render(
        pixels, views.centre_crops(image_set())[:3], Preprocessing((0, 0, 0), (1, 1, 1), 40, mode), 40
    )
    library = F.interpolate(pixels.float(), (40, 40), mode=mode, align_corners=False).clamp(0, 255) / 255
    torch.testing.assert_close(ours, library, atol=1e-4, rtol=0)


def test_shrinking_filters_before_it_samples():
    # A fine checkerboard has no grey in it: sampling without a low-pass filter would show black or white.
    board = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = torch.from_numpy(np.broadcast_to(board, (1, 1, 64, 64)).astype(np.uint8))
    images = ImageSet(pixels.numpy(), np.zeros(1, np.int64), 1, Augmentation(crop=1.0))
    rendered = views.render(pixels, views.centre_crops(images), PLAIN, 16)
    assert (rendered - 0.5).abs().max() < 0.02


def test_grey_images_become_three_normalised_channels():
    pixels = torch.full((2, 1, 8, 8), 255, dtype=torch.uint8)
    crops = np.tile([0.0, 0.0, 1.0, 0.0], (2, 1))
    rendered = views.render(pixels, crops, Preprocessing(), 8)
    assert rendered.shape == (2, 3, 8, 8)
    expected = torch.tensor(
        [(1 - m) / s for m, s in zip(Preprocessing().mean, Preprocessing().std, strict=True)]
    )
    torch.testing.assert_close(rendered[0, :, 0, 0], expected)


def test_batches_come_in_the_order_asked_for():
    images = image_set(10)
    indices = np.array([7, 2, 9, 0])
    crops = views.centre_crops(images)
    source = PixelSource(images.pixels, torch.device("cpu"), workers=0)
    found = torch.cat(list(views.batches(source, indices, crops, PLAIN, 16, 3)))
    torch.testing.assert_close(
        found * 255, torch.from_numpy(images.pixels[indices]).float(), atol=1e-3, rtol=0
    )


def test_boxes_are_erased_with_the_mean_colour_in_the_published_sizes():
    images = image_set(2000, erase=0.5)
    drawn = views.random_crops(images, 1, 0, 0)
    np.testing.assert_array_equal(drawn[:, :4], views.random_crops(image_set(2000), 1, 0, 0))
    left, top, right, bottom = drawn[:, 4:].T
    erased = right > left
    assert 0.45 < erased.mean() < 0.55
    width, height = (right - left)[erased], (bottom - top)[erased]
    assert np.minimum(left, top).min() >= 0
    assert np.maximum(right, bottom).max() <= 1
    area = width * height
    assert area.min() >= 0.02
    assert area.max() <= 0.4 + 1e-9
    shape = (width / height)[(width < 1) & (height < 1)]
    assert 0.3 - 1e-9 <= shape.min() < 0.4
    assert 3 < shape.max() <= 1 / 0.3 + 1e-9

    pixels = torch.full((2, 3, 16, 16), 255, dtype=torch.uint8)
    crops = np.array([[0, 0, 1, 0, 0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1, 0, 0, 0, 0]])
    rendered = views.render(pixels, crops, Preprocessing(), 16)
    assert (rendered[0, :, 8:, 4:12] == 0).all()
    rendered[0, :, 8:, 4:12] = 1
    assert (rendered != 0).all()


def test_evaluation_erases_nothing():
    assert views.centre_crops(image_set(erase=1.0)).shape == (50, 4)


@pytest.mark.parametrize("augmentation", [{}, {"crop": 0.875, "flip": True}, {"erase": 0.5}])
def test_batches_lie_in_memory_as_networks_want_them(augmentation):
    images = image_set(**augmentation)
    crops = views.random_crops(images, 1, 0, 0)
    rendered = views.render(torch.from_numpy(images.pixels), crops, Preprocessing(), 16)
    assert rendered.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [8, 24])
def test_a_gpu_renders_the_same(mode, size):
    images = image_set(crop=0.875, flip=True, erase=0.5)
    crops = views.random_crops(images, 1, 0, 0)
    pixels, wanted = torch.from_numpy(images.pixels), Preprocessing(interpolation=mode)
    found = views.render(pixels.cuda(), crops, wanted, size)
    assert found.device.type == "cuda"
    assert found.is_contiguous(memory_format=torch.channels_last)
    different = (found.cpu() - views.render(pixels, crops, wanted, size)).abs() > 1e-3
    # Rounding decides where a point lies between two pixels, or on the edge of a box.
    assert different.float().mean() < (0.01 if mode == "nearest" else 1e-3)


def sliding_files(tmp_path):
    """One image of 256 x 512 in which brightness is the share of the way from left to right."""
    ramp = np.tile(np.arange(512) // 2, (256, 1)).astype(np.uint8)
    Image.fromarray(np.stack([ramp] * 3, axis=-1)).save(tmp_path / "ramp.png")
    return ImageFiles((tmp_path / "ramp.png",), 256, sliding=True)


def test_crops_of_sliding_files_are_spread_over_the_whole_image(tmp_path):
    """As Resize(256), RandomCrop(224) does: the left edge is anywhere between 0 and 512 - 224."""
    files = sliding_files(tmp_path)
    many = ImageSet(np.zeros((4000, 3, 1, 1), np.uint8), np.zeros(4000, np.int64), 1, Augmentation(224 / 256))
    crops = views.random_crops(many, 1, 0, 0)
    shares = inputs._places(crops)
    left = shares[:, 0] * (512 - 256) + crops[:, 0] * 256
    assert left.min() >= 0
    assert left.max() <= 512 - 224
    # Uniform: mean and deviation of 288 pixels, and as many in each quarter.
    assert left.mean() == pytest.approx(144, abs=5)
    assert left.std() == pytest.approx(288 / 12**0.5, rel=0.03)
    assert np.histogram(left, 4, (0, 288))[0].min() > 900

    source = PixelSource(files, torch.device("cpu"), workers=0)
    wanted = Preprocessing((0, 0, 0), (1, 1, 1))
    for place in (0, 17, 3999):
        one = np.concatenate([crops[place, :3], [0.0]])[None]
        (rendered,) = views.batches(source, np.array([0]), one, wanted, 224)
        edges = rendered[0, 0, 0, [0, -1]].numpy() * 255
        np.testing.assert_allclose(edges, [left[place] / 2, (left[place] + 223) / 2], atol=1)


def test_the_evaluation_view_of_sliding_files_is_their_centre(tmp_path):
    files = sliding_files(tmp_path)
    fixed = dataclasses.replace(files, sliding=False)
    images = ImageSet(files, np.zeros(1, np.int64), 1, Augmentation(0.875, True, 0.875))
    found = [
        list(
            views.batches(
                PixelSource(one, torch.device("cpu"), 0),
                np.array([0]),
                views.centre_crops(images),
                PLAIN,
                224,
            )
        )
        for one in (files, fixed)
    ]
    assert torch.equal(*(one[0] for one in found))
    assert files.digest() == fixed.digest()


def test_shifts_may_differ_across_and_down():
    crops = views.random_crops(image_set(500, crop=1.0, shift=(0.25, 0.0)), 1, 0, 0)
    assert crops[:, 0].min() < -0.2
    assert (crops[:, 1] == 0).all()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("erase", [0.0, 0.5])
def test_it_may_be_black_around_images(mode, erase):
    images = image_set(50, crop=1.0, shift=0.25, flip=False, erase=erase, border="black")
    crops = views.random_crops(images, 1, 0, 0)
    np.testing.assert_array_equal(
        crops[:, :4], views.random_crops(image_set(50, crop=1.0, shift=0.25, flip=False), 1, 0, 0)[:, :4]
    )
    crops[:, 4:8] = 0
    crops[0, :3] = 0.25, -0.25, 1.0
    pixels = torch.full((50, 3, 16, 16), 255, dtype=torch.uint8)
    expects = Preprocessing(interpolation=mode)
    rendered = views.render(pixels, crops, expects, 16)[0]
    black, white = (((value - np.array(expects.mean)) / np.array(expects.std)) for value in (0.0, 1.0))
    for channel in range(3):
        assert rendered[channel, :4].numpy() == pytest.approx(black[channel], abs=1e-5)
        assert rendered[channel, :, 12:].numpy() == pytest.approx(black[channel], abs=1e-5)
        assert rendered[channel, 4:, :12].numpy() == pytest.approx(white[channel], abs=1e-5)


@pytest.mark.parametrize("aspect", [1.0, 0.5])
def test_boxes_may_have_shapes_that_are_drawn_evenly_and_always_fit(aspect):
    """As a loop that draws area and height by width until the box is smaller than the image."""
    images = image_set(20_000, erase=1.0, erased_shape="uniform", aspect=aspect)
    drawn = views.random_crops(images, 1, 0, 0)
    np.testing.assert_array_equal(drawn[:, :4], views.random_crops(image_set(20_000), 1, 0, 0))
    left, top, right, bottom = drawn[:, 4:8].T
    width, height = right - left, bottom - top
    assert min(left.min(), top.min()) >= 0
    assert max(width.max(), height.max(), right.max(), bottom.max()) <= 1
    generator, expected = np.random.default_rng(1), []
    while len(expected) < 20_000:
        area, shape = generator.uniform(0.02, 0.4), generator.uniform(0.3, 1 / 0.3)
        # Of an image that is 1 high: h = sqrt(area x aspect x shape), w = sqrt(area x aspect / shape).
        if area * aspect * shape < 1 and area * aspect / shape < aspect**2:
            expected.append((area, shape))
    for found, wanted in zip((width * height, height / width / aspect), np.transpose(expected), strict=True):
        quantiles = np.linspace(0, 1, 11)
        np.testing.assert_allclose(np.quantile(found, quantiles), np.quantile(wanted, quantiles), rtol=0.06)
    assert np.median(height / width) > 1.6 * aspect  # tall


def test_boxes_as_often_tall_as_wide_have_their_shapes_in_pixels():
    plain, narrow = (
        views.random_crops(image_set(2000, erase=1.0, aspect=aspect), 1, 0, 0)[:, 4:] for aspect in (1.0, 0.5)
    )
    ratios = [(boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0]) for boxes in (plain, narrow)]
    whole = ((narrow[:, 2:] - narrow[:, :2]) < 1).all(axis=1) & ((plain[:, 2:] - plain[:, :2]) < 1).all(
        axis=1
    )
    np.testing.assert_allclose(ratios[1][whole], ratios[0][whole] / 2)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_views_need_not_be_square(mode):
    """Rows as in a high square, columns as in a narrow one; images of that shape stay what they are."""
    pixels = torch.from_numpy(image_set(side=64).pixels[:3])
    crops = np.array([[0.1, 0.2, 0.5, 0.0], [0.3, 0.0, 0.7, 1.0], [0.0, 0.25, 0.6, 0.0]])
    expects = dataclasses.replace(PLAIN, interpolation=mode)
    found = views.render(pixels, crops, expects, "80x64")
    assert found.shape == (3, 3, 80, 64)
    assert found.is_contiguous(memory_format=torch.channels_last)
    enlarged = views.render(pixels, crops, expects, 80)
    torch.testing.assert_close(views.render(pixels, crops, expects, "80x80"), enlarged)
    drawn = views.render(pixels.transpose(2, 3), crops[:, [1, 0, 2, 3]], expects, "64x80")
    unflipped = [0, 2]
    torch.testing.assert_close(drawn.transpose(2, 3)[unflipped], found[unflipped], atol=1e-5, rtol=0)

    narrow = torch.from_numpy(np.random.default_rng(0).integers(256, size=(2, 3, 32, 16), dtype=np.uint8))
    whole = np.tile([0.0, 0.0, 1.0, 0.0], (2, 1))
    shown = views.render(narrow, whole, PLAIN, "32x16") * 255
    torch.testing.assert_close(shown, narrow.float(), atol=1e-3, rtol=0)
    assert views.evaluation_batch("32x16") == views.evaluation_batch(16)
    assert views.evaluation_batch("512x256") == 2 * views.evaluation_batch(512)


def test_boxes_are_erased_from_views_that_are_not_square():
    pixels = torch.full((1, 3, 32, 16), 255, dtype=torch.uint8)
    box = np.array([[0.0, 0.0, 1.0, 0.0, 0.25, 0.5, 0.75, 0.75]])
    erased = views.render(pixels, box, PLAIN, "32x16")[0, 0] == 0
    assert erased[16:24, 4:12].all()
    assert erased.sum() == 8 * 8


@pytest.mark.parametrize("erase", [0.0, 0.5])
def test_a_strong_view_is_a_part_of_an_ordinary_one(erase):
    images = image_set(500, crop=0.75, shift=0.1, erase=erase)
    whole = views.random_crops(images, views.FINETUNE_STREAM, 3, 7)
    parts = views.strong_crops(images, views.FINETUNE_STREAM, 3, 7)
    np.testing.assert_array_equal(parts, views.strong_crops(images, views.FINETUNE_STREAM, 3, 7))
    np.testing.assert_array_equal(parts[:, 3:], whole[:, 3:])
    assert (parts[:, :2] >= whole[:, :2]).all()
    assert (parts[:, :2] + parts[:, 2:3] <= whole[:, :2] + whole[:, 2:3] + 1e-12).all()
    areas = (parts[:, 2] / whole[:, 2]) ** 2
    assert areas.min() >= 0.25
    assert areas.max() <= 1
    assert abs(areas.mean() - 0.625) < 0.03
    assert not np.allclose(parts, views.strong_crops(images, views.FINETUNE_STREAM, 4, 7))
