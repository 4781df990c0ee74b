"""What the graph does to images and outputs, against PIL, the suite's own views and its packing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data.fitting import fitted
from bench.deployment.preprocessing import Codes, Embeddings, Fit, View
from bench.hamming import pack_signs
from bench.training import views
from bench.types import Preprocessing

SIDES = st.integers(1, 90)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def fit(image: np.ndarray, height: int, width: int, rule: str) -> np.ndarray:
    return Fit(height, width, rule)(torch.from_numpy(image)[None])[0].permute(1, 2, 0).numpy()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["crop", "pad", "squash"]), SIDES, SIDES, SIDES, SIDES)
def test_images_are_resized_as_pil_resizes_them(rule, height, width, own_height, own_width):
    image = noise(own_height, own_width, 3)
    expected = np.asarray(fitted(Image.fromarray(image), height, width, rule))
    assert (fit(image, height, width, rule) == expected).all()


@pytest.mark.parametrize("rule", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(40, 60), (64, 31), (40, 40), (100, 20), (224, 224)])
@pytest.mark.parametrize("shape", [(64, 90), (90, 64), (83, 83), (300, 40), (427, 640)])
def test_larger_images_are_the_same_too(rule, size, shape):
    image = noise(*shape, 3)
    expected = np.asarray(fitted(Image.fromarray(image), *size, rule))
    assert (fit(image, *size, rule) == expected).all()


@pytest.mark.parametrize("rule", ["crop", "pad", "squash"])
def test_an_image_of_the_right_size_stays_as_it_is(rule):
    image = noise(28, 35, 3)
    assert (fit(image, 28, 35, rule) == image).all()


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(
    ("height", "width", "crop", "size"),
    [(28, 28, 1.0, 64), (64, 48, 0.875, 32), (32, 32, 1.0, 32), (96, 96, 0.9, 96)],
)
def test_the_view_is_that_of_the_evaluation(height, width, crop, size, mode, grey):
    expects = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), interpolation=mode)
    image = noise(1, 1 if grey else 3, height, width)
    crops = np.array([[(1 - crop) / 2, (1 - crop) / 2, crop, 0.0]])
    expected = views.render(torch.from_numpy(image), crops, expects, size)
    colours = torch.from_numpy(np.broadcast_to(image, (1, 3, height, width)).astype(np.float32))
    found = View(height, width, crop, grey, expects, size)(colours)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_colours_become_grey_as_in_pil():
    image = noise(40, 40, 3)
    neutral = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
    found = View(40, 40, 1.0, True, neutral, 40)(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    expected = np.asarray(Image.fromarray(image).convert("L"))
    assert (torch.round(255 * found[0]).numpy() == expected).all()


@given(st.integers(1, 70), st.integers(1, 5))
def test_codes_are_packed_as_the_suite_packs_them(bits, count):
    outputs = np.random.default_rng(bits).normal(size=(count, bits)).astype(np.float32)
    outputs[outputs > 1] = 0.0
    outputs[outputs < -1] = -0.0
    codes, same = Codes(bits)(torch.from_numpy(outputs))
    assert codes.dtype == torch.uint8
    assert (codes.numpy() == pack_signs(outputs)).all()
    assert (same.numpy() == outputs).all()


def test_embeddings_have_length_1():
    outputs = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Embeddings()(outputs).norm(dim=1), torch.ones(5))
