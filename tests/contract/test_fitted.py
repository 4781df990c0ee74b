"""What all hash heads without training must do, run for each one on arrival."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.registry import LOSSES
from bench.types import HashingTask

BITS, WIDTH, IMAGES = 8, 20, 200
FITTED = [name for name in LOSSES.names() if LOSSES.get(name).fitted and not LOSSES.get(name).compresses]


def fit(name, features, bits=BITS, seed=3):
    plugin = LOSSES.get(name)
    return plugin(plugin.Params(), HashingTask(bits, 5, len(features), seed)).fit(features)


@pytest.fixture
def features():
    generator = np.random.default_rng(0)
    scales = np.linspace(4, 1, WIDTH)
    return (generator.standard_normal((IMAGES, WIDTH)) * scales + 5).astype(np.float32)


@pytest.mark.parametrize("name", FITTED)
def test_a_linear_map_in_single_precision(name, features):
    plugin = LOSSES.get(name)
    assert not plugin.trains
    weight, bias = fit(name, features)
    assert (weight.shape, bias.shape) == ((BITS, WIDTH), (BITS,))
    assert weight.dtype == bias.dtype == np.float32
    # Every bit is set for about half of the images.
    assert np.all(np.abs(((features @ weight.T + bias) >= 0).mean(axis=0) - 0.5) < 0.2)


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("kind", ["one image", "equal images", "dead numbers", "large", "fewer than bits"])
def test_finite_whatever_features_are(name, features, kind):
    cases = {
        "one image": features[:1],
        "equal images": np.repeat(features[:1], IMAGES, axis=0),
        "dead numbers": features * (np.arange(WIDTH) % 2),
        "large": features * np.float32(1e6),
        "fewer than bits": features[: BITS // 2],
    }
    weight, bias = fit(name, cases[kind].astype(np.float32))
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()


@pytest.mark.parametrize("name", FITTED)
def test_the_same_seed_gives_the_same_bit_for_bit_and_leaves_features_alone(name, features):
    before = features.copy()
    one, two = fit(name, features), fit(name, features)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(features, before)
    another = fit(name, features, seed=4)
    assert LOSSES.get(name).draws == (not np.array_equal(one[0], another[0]))


@pytest.mark.parametrize("name", FITTED)
def test_shorter_codes_are_the_first_bits_of_longer_ones_where_it_says_so(name, features):
    shorter, longer = fit(name, features, bits=4), fit(name, features, bits=8)
    same = all(
        np.allclose(few, many[:4], atol=1e-4 * np.abs(many).max())
        for few, many in zip(shorter, longer, strict=True)
    )
    assert same == LOSSES.get(name).nests


@pytest.mark.parametrize("name", FITTED)
def test_nothing_is_drawn_from_the_global_generators(name, features):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    fit(name, features)
    assert (torch.rand(1), np.random.random()) == expected
