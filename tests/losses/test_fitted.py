"""Codes without training: principal components, rotations and turns against other ways to find them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.decomposition import PCA

from bench.losses._fitted import orthonormal, principal, rotation
from bench.registry import LOSSES
from bench.types import HashingTask

#: Deliberately not a divisor of the images that are looked at together.
IMAGES, WIDTH = 5000, 24


@pytest.fixture(scope="module")
def features():
    generator = np.random.default_rng(0)
    mixed = generator.standard_normal((IMAGES, WIDTH)) * np.linspace(3, 0.5, WIDTH)
    return (mixed @ rotation(WIDTH, generator) + 10).astype(np.float32)


def make(name, bits=8, seed=0, **params):
    plugin = LOSSES.get(name)
    return plugin(plugin.Params(**params), HashingTask(bits, 4, IMAGES, seed))


def test_principal_components_are_those_of_scikit_learn(features):
    found, variances = principal(features, features.mean(axis=0, dtype=np.float64), 8)
    other = PCA(8, svd_solver="full").fit(features.astype(np.float64))
    signs = np.sign((found * other.components_).sum(axis=1))
    np.testing.assert_allclose(found * signs[:, None], other.components_, atol=1e-9)
    np.testing.assert_allclose(variances * IMAGES / (IMAGES - 1), other.explained_variance_)


def test_pca_gives_the_signs_of_centred_principal_components(features):
    weight, bias = make("pca").fit(features)
    other = PCA(8, svd_solver="full").fit_transform(features.astype(np.float64))
    ours = features @ weight.T + bias
    signs = np.sign((ours * other).sum(axis=0))
    np.testing.assert_allclose(ours * signs, other, atol=1e-3)


def test_sign_cuts_the_numbers_of_largest_variance_at_their_mean(features):
    weight, bias = make("sign").fit(features)
    order = np.argsort(-features.astype(np.float64).var(axis=0))[:8]
    np.testing.assert_array_equal(weight.argmax(axis=1), order)
    centred = features - features.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(features @ weight.T + bias, centred[:, order], atol=1e-4)


def plain_itq(projected, turn, iterations):
    """As the paper has it: signs, then the nearest rotation by the singular vectors."""
    for _ in range(iterations):
        codes = projected @ turn
        codes = np.where(codes < 0, -1.0, 1.0)
        left, _, right = np.linalg.svd(codes.T @ projected)
        turn = (left @ right).T
    return turn


def lost(outputs):
    return float(np.square(np.where(outputs < 0, -1.0, 1.0) - outputs).sum(axis=1).mean())


def test_turns_are_those_of_a_plain_loop(features):
    mean = features.mean(axis=0, dtype=np.float64)
    projected = (features - mean) @ principal(features, mean, 8)[0].T
    start = rotation(8, np.random.default_rng(3))
    for iterations in (1, 5, 50):
        loss = make("itq", iterations=iterations)
        turned = loss.turned(projected, start)
        other = plain_itq(projected, start.T, iterations)
        assert lost(projected @ turned.T) == pytest.approx(lost(projected @ other), rel=1e-9)
        np.testing.assert_allclose(turned.T, other, atol=1e-6)


def test_the_error_falls_from_turn_to_turn_and_below_that_of_a_random_rotation(features):
    loss, random = make("itq", seed=5), make("pca_rotation", seed=5)
    (weight, bias), (other, shift) = loss.fit(features), random.fit(features)
    assert np.all(np.diff(loss.errors) <= 1e-9 * loss.errors[0])
    assert loss.errors[0] == pytest.approx(lost(features @ other.T + shift), rel=1e-4)
    assert lost(features @ weight.T + bias) < lost(features @ other.T + shift)
    assert loss.summary()["quantization_error"] == [loss.errors[0], loss.errors[-1]]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_random_directions_are_at_right_angles_and_begin_with_those_of_fewer(rows, width, seed):
    found = orthonormal(rows, width, np.random.default_rng(seed))
    assert found.shape == (rows, width)
    for start in range(0, rows, width):
        block = found[start : start + width]
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-9)
    fewer = orthonormal(max(1, rows // 2), width, np.random.default_rng(seed))
    np.testing.assert_allclose(found[: len(fewer)], fewer, atol=1e-9)


def test_rotations_are_uniform():
    """The angle of a random direction in a plane is."""
    drawn = np.array([rotation(2, np.random.default_rng(seed)) for seed in range(400)])
    angles = np.arctan2(drawn[:, 0, 1], drawn[:, 0, 0]) / (2 * np.pi) % 1
    assert kstest(angles, "uniform").pvalue > 0.01
    assert 150 < (np.linalg.det(drawn) > 0).sum() < 250


@pytest.mark.parametrize("name", ["pca", "pca_rotation", "itq", "sign"])
def test_bits_that_add_nothing_are_told(features, name):
    """Of features that differ along six directions alone."""
    flat = features.copy()
    flat[:, 6:] = flat[0, 6:]
    loss = make(name)
    loss.fit(flat)
    summary = loss.summary()
    assert summary["idle_bits"] == 2
    assert summary["warnings"] == [
        "2 of 8 bits add nothing: the images that codes were fitted to differ along 6 directions alone; take "
        "shorter codes or more images"
    ]
    (again := make(name)).fit(features)
    assert "warnings" not in again.summary()


def test_codes_may_be_longer_than_features_where_directions_are_drawn(features):
    weight, _ = make("lsh", bits=WIDTH + 8).fit(features)
    assert weight.shape == (WIDTH + 8, WIDTH)
    assert LOSSES.get("lsh").check_width(WIDTH + 8, WIDTH) is None
    refusal = "makes at most 24 bits of features of 24 numbers, not 32"
    assert LOSSES.get("itq").check_width(WIDTH + 8, WIDTH) == refusal
