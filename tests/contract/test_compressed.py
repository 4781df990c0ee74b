"""What everything must do that stores features in codes and reads them back, run for each on arrival."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.registry import LOSSES
from bench.types import HashingTask

BITS, WIDTH, IMAGES = 80, 20, 600
COMPRESSED = [name for name in LOSSES.names() if LOSSES.get(name).compresses]


def make(name, bits=BITS, seed=3):
    plugin = LOSSES.get(name)
    return plugin(plugin.Params(), HashingTask(bits, 5, IMAGES, seed))


def unit(features):
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, 1e-12)).astype(np.float32)


@pytest.fixture
def features():
    generator = np.random.default_rng(0)
    mixed = generator.standard_normal((IMAGES, WIDTH)) * np.linspace(4, 1, WIDTH) + 2
    return unit(mixed)


def similarities(loss, codebook, query, database):
    query, database = loss.compared(codebook, query, loss.stored(codebook, database))
    return query @ database.T


def test_there_is_some():
    assert {"pq", "rabitq"} <= set(COMPRESSED)


@pytest.mark.parametrize("name", COMPRESSED)
def test_all_that_is_kept_of_an_image_are_its_bits(name, features):
    loss = make(name)
    codebook = loss.codebook(features)
    assert all(array.dtype == np.float32 for array in codebook.values())
    codes = loss.stored(codebook, features)
    assert (codes.dtype, codes.shape) == (np.uint8, (IMAGES, BITS // 8))
    query, database = loss.compared(codebook, features[:7], codes)
    assert query.dtype == database.dtype == np.float32
    assert (len(query), len(database), query.shape[1]) == (7, IMAGES, database.shape[1])


@pytest.mark.parametrize("name", COMPRESSED)
def test_similarities_follow_cosines_the_closer_the_more_bits(name, features):
    query, database = features[:50], features[50:]
    cosines = query @ database.T
    followed = []
    for bits in (72, 80):
        found = similarities(make(name, bits), make(name, bits).codebook(database), query, database)
        followed.append(np.corrcoef(found.ravel(), cosines.ravel())[0, 1])
    assert 0.5 < followed[0] < followed[1] < 1


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_is_read_back_of_an_image_is_the_same_whatever_is_beside_it(name, features):
    loss = make(name)
    codebook = loss.codebook(features)
    together = similarities(loss, codebook, features[:5], features)
    alone = similarities(loss, codebook, features[:5], features[10:11])
    np.testing.assert_allclose(alone, together[:, 10:11], atol=1e-5)


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("kind", ["equal images", "dead numbers", "no feature"])
def test_finite_whatever_features_are(name, features, kind):
    cases = {
        "equal images": np.repeat(features[:1], IMAGES, axis=0),
        "dead numbers": features * (np.arange(WIDTH) % 2).astype(np.float32),
        "no feature": features * 0,
    }
    loss = make(name)
    found = similarities(loss, loss.codebook(cases[kind]), features, cases[kind])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", COMPRESSED)
def test_the_same_seed_gives_the_same_bit_for_bit_and_leaves_features_alone(name, features):
    before = features.copy()
    one, two, another = (make(name, seed=seed).codebook(features) for seed in (3, 3, 4))
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])
    np.testing.assert_array_equal(features, before)
    assert LOSSES.get(name).draws == any(not np.array_equal(one[key], another[key]) for key in one)


@pytest.mark.parametrize("name", COMPRESSED)
def test_codes_are_read_with_the_codebook_alone(name, features):
    """Another instance does, as later stages have."""
    codebook = make(name).codebook(features)
    expected = similarities(make(name), codebook, features[:5], features)
    again = {key: array.copy() for key, array in codebook.items()}
    np.testing.assert_array_equal(similarities(make(name), again, features[:5], features), expected)


@pytest.mark.parametrize("name", COMPRESSED)
def test_nothing_is_drawn_from_the_global_generators(name, features):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    make(name).codebook(features)
    assert (torch.rand(1), np.random.random()) == expected


@pytest.mark.parametrize("name", COMPRESSED)
def test_no_training_and_no_codes_within_codes(name):
    plugin = LOSSES.get(name)
    assert (plugin.fitted, plugin.trains, plugin.nests) == (True, False, False)
