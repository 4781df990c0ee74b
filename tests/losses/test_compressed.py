"""Product quantization and RaBitQ against plain loops, and against the indexes of FAISS that do the same."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.registry import LOSSES
from bench.types import HashingTask

IMAGES, WIDTH = 400, 16


def make(name, bits, seed=0):
    plugin = LOSSES.get(name)
    return plugin(plugin.Params(), HashingTask(bits, 4, IMAGES, seed))


@pytest.fixture(scope="module")
def features():
    generator = np.random.default_rng(0)
    mixed = generator.standard_normal((IMAGES, WIDTH)) * np.linspace(3, 0.5, WIDTH) + 1
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def test_a_part_is_stored_as_its_nearest_centroid_and_distances_are_summed_part_by_part(features):
    loss = make("pq", 32)
    codebook = loss.codebook(features)
    centroids = codebook["centroids"]
    assert centroids.shape == (4, 256, 4)
    codes = loss.stored(codebook, features)
    for image, code in zip(features[:20], codes, strict=False):
        for part in range(4):
            distances = ((centroids[part] - image[4 * part : 4 * part + 4]) ** 2).sum(axis=1)
            assert distances[code[part]] == pytest.approx(distances.min(), abs=1e-6)
    query, database = loss.compared(codebook, features[:3], codes)
    for row, found in zip(features[:3], query @ database.T, strict=True):
        parts = [row[4 * part : 4 * part + 4] for part in range(4)]
        tables = [((one - rows) ** 2).sum(axis=1) for one, rows in zip(parts, centroids, strict=True)]
        summed = np.array([sum(tables[part][code[part]] for part in range(4)) for code in codes])
        np.testing.assert_allclose(found, 1 - summed / 2, atol=1e-5)


def test_product_codes_are_ranked_as_by_the_index(features):
    loss, index = make("pq", 64), faiss.IndexPQ(WIDTH, 8, 8)
    codebook = loss.codebook(features)
    faiss.copy_array_to_vector(codebook["centroids"].ravel(), index.pq.centroids)
    index.is_trained = True
    index.add(features)
    codes = loss.stored(codebook, features)
    np.testing.assert_array_equal(codes, faiss.vector_to_array(index.codes).reshape(codes.shape))
    query, database = loss.compared(codebook, features[:9], codes)
    squared, found = index.search(features[:9], IMAGES)
    similar = np.take_along_axis(query @ database.T, found, axis=1)
    np.testing.assert_allclose(similar, 1 - squared / 2, atol=1e-5)


def test_centroids_are_those_of_the_quantizer_that_faiss_trains(features):
    quantizer = faiss.ProductQuantizer(WIDTH, 2, 8)
    quantizer.cp.seed, quantizer.cp.min_points_per_centroid = 7, 1
    quantizer.train(features)
    found = make("pq", 16, seed=7).codebook(features)["centroids"]
    np.testing.assert_array_equal(found.ravel(), faiss.vector_to_array(quantizer.centroids))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 99))
def test_parts_differ_by_a_number_at_most_and_none_is_lost(parts, width, seed):
    if parts > width:
        assert "at most" in LOSSES.get("pq").check_width(8 * parts, width)
        return
    assert LOSSES.get("pq").check_width(8 * parts, width) is None
    drawn = np.random.default_rng(seed).standard_normal((2, width)).astype(np.float32)
    cut = make("pq", 8 * parts)._cut(drawn)
    np.testing.assert_allclose(cut @ cut.T, drawn @ drawn.T, atol=1e-5)
    numbers = (cut.reshape(2, parts, -1) != 0).any(axis=0).sum(axis=1)
    assert numbers.sum() == width
    assert np.ptp(numbers) <= 1


def test_product_codes_of_few_images_are_refused(features):
    with pytest.raises(BenchError, match=r"256 centroids among the features of 255 images; take more images"):
        make("pq", 16).codebook(features[:255])


def test_every_seed_of_a_grid_is_one_that_k_means_can_begin_with(features):
    task = HashingTask(16, 5, len(features), 2**32 - 1)
    found = LOSSES.get("pq")(LOSSES.get("pq").Params(), task).codebook(features)
    assert np.isfinite(found["centroids"]).all()


def test_signs_and_two_numbers_are_what_the_paper_has(features):
    """With o the rotated difference from the mean: its signs, and a factor that makes products unbiased."""
    loss = make("rabitq", 64 + WIDTH)
    codebook = loss.codebook(features)
    np.testing.assert_allclose(codebook["directions"] @ codebook["directions"].T, np.eye(WIDTH), atol=1e-5)
    turned = (features - features.mean(axis=0)) @ codebook["directions"].T
    codes = loss.stored(codebook, features)
    np.testing.assert_array_equal(np.unpackbits(codes[:, :2], axis=1, bitorder="little"), turned >= 0)
    query, database = loss.compared(codebook, features[:5], codes)
    unit = np.where(turned < 0, -1, 1) / np.sqrt(WIDTH)
    norms = np.linalg.norm(turned, axis=1)
    for row, found in zip(turned[:5], query @ database.T, strict=True):
        length = np.linalg.norm(row)
        estimated = (unit @ (row / length)) / (unit * turned / norms[:, None]).sum(axis=1)
        squared = norms**2 + length**2 - 2 * norms * length * estimated
        np.testing.assert_allclose(found, 1 - squared / 2, atol=1e-5)


@pytest.mark.parametrize("bits", [65, 72, 64 + WIDTH])
def test_similarities_are_those_of_the_index_without_quantized_queries(features, bits):
    loss = make("rabitq", bits)
    codebook = loss.codebook(features)
    codes = loss.stored(codebook, features)
    assert codes.shape[1] == -(-bits // 8)
    query, database = loss.compared(codebook, features[:9], codes)
    turned = np.ascontiguousarray((features - codebook["mean"]) @ codebook["directions"].T)
    index = faiss.IndexRaBitQ(bits - 64)
    index.train(np.zeros((1, bits - 64), np.float32))
    index.add(turned)
    index.qb = 0
    squared, found = index.search(turned[:9], IMAGES)
    similar = np.take_along_axis(query @ database.T, found, axis=1)
    # Where it estimates less than nothing, the index says 0, and such images would be tied.
    np.testing.assert_allclose(similar.clip(max=1), 1 - squared / 2, atol=1e-5)


def test_estimates_are_unbiased_over_rotations(features):
    """Along all directions, squared distances of features of length 1 are those that cosines say."""
    query, database = features[:5], features[5:25]
    found = []
    for seed in range(200):
        loss = make("rabitq", 64 + WIDTH, seed)
        codebook = loss.codebook(features)
        asked, stored = loss.compared(codebook, query, loss.stored(codebook, database))
        found.append(asked @ stored.T)
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - query @ database.T) < 5 * error)


@pytest.mark.parametrize(
    ("name", "bits", "message"),
    [
        ("pq", 20, "pq stores a byte for each part of a feature, not 20 bits in all; take 16 or 24"),
        ("pq", 4, "pq stores a byte for each part of a feature, not 4 bits in all; take 8"),
        ("rabitq", 64, "rabitq stores 64 bits of numbers beside its signs, not 64 in all; take 128"),
    ],
)
def test_lengths_that_cannot_be(name, bits, message):
    assert LOSSES.get(name).check(bits) == message
    assert LOSSES.get(name).check(72) is None
