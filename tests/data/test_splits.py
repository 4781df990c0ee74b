"""The class-balanced protocol and its manifest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import splits
from bench.errors import DataError
from bench.types import ImageSet

PARAMS = splits.ClassBalanced(query_per_class=2, train_per_class=5, val_per_class=1)


def images(labels):
    return ImageSet(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, int(labels.max()) + 1)


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 5), split_seed=st.integers(0, 100))
def test_quotas_hold_per_class_and_queries_are_nowhere_else(seed, classes, split_seed):
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(classes), generator.integers(7, 12, size=classes)))
    params = PARAMS.model_copy(update={"split_seed": split_seed})
    parts = splits.class_balanced("x", labels, classes, params)
    for part, quota in [(parts.query, 2), (parts.train, 4), (parts.val, 1)]:
        assert (np.bincount(labels[part], minlength=classes) == quota).all()
    assert not set(parts.query) & (set(parts.train) | set(parts.val) | set(parts.database))
    assert set(parts.train) <= set(parts.database)
    assert len(parts.database) + len(parts.query) == len(labels)
    splits.manifest(images(labels), parts)


def test_a_smaller_database_keeps_the_other_parts_and_holds_the_training_images():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 20))
    whole = splits.class_balanced("x", labels, 3, PARAMS)
    small = splits.class_balanced("x", labels, 3, PARAMS.model_copy(update={"database_per_class": 8}))
    for part in ("query", "train", "val"):
        np.testing.assert_array_equal(getattr(small, part), getattr(whole, part))
    assert (np.bincount(labels[small.database]) == 8).all()
    assert set(small.train) | set(small.val) <= set(small.database) < set(whole.database)
    assert (whole.protocol, small.protocol) == ("x-balanced-q2-t5-s0", "x-balanced-q2-t5-d8-s0")
    with pytest.raises(DataError, match="database_per_class 3 has no room for train_per_class 5; raise it"):
        splits.class_balanced("x", labels, 3, PARAMS.model_copy(update={"database_per_class": 3}))
    with pytest.raises(DataError, match=r"fewer than query_per_class \+ database_per_class = 22"):
        splits.class_balanced("x", labels, 3, PARAMS.model_copy(update={"database_per_class": 20}))


def test_a_class_that_is_too_small_is_named():
    labels = np.array([0] * 10 + [1] * 6)
    with pytest.raises(DataError, match="class 1 has 6 images, fewer than .* = 7"):
        splits.class_balanced("x", labels, 2, PARAMS)
    with pytest.raises(DataError, match="class 'dog' has 6 images, fewer than .* = 7"):
        splits.class_balanced("x", labels, 2, PARAMS, ["cat", "dog"])
    with pytest.raises(DataError, match="class 2 has 5 images, .* = 7, and so has 1 more; lower them"):
        splits.class_balanced("x", np.array([0] * 10 + [1] * 6 + [2] * 5), 3, PARAMS)
    with pytest.raises(DataError, match="val_per_class"):
        splits.class_balanced("x", labels, 2, PARAMS.model_copy(update={"val_per_class": 5}))


def test_the_manifest_refuses_queries_in_the_database_and_sees_every_pixel():
    labels = np.repeat(np.arange(2), 10)
    parts = splits.class_balanced("x", labels, 2, PARAMS)
    leaking = replace(parts, database=np.arange(20))
    with pytest.raises(DataError, match="4 images are in query and in database"):
        splits.manifest(images(labels), leaking)
    first = splits.manifest(images(labels), parts)
    changed = images(labels)
    changed.pixels[3, 0, 1, 1] = 1
    assert splits.manifest_hash(splits.manifest(changed, parts)) != splits.manifest_hash(first)
    named = replace(images(labels), names=["cat", "dog"])
    assert splits.manifest(named, parts) == first


def test_a_limit_keeps_training_images_in_the_database_and_marks_the_protocol():
    labels = np.repeat(np.arange(4), 40)
    parts = splits.limited(splits.class_balanced("x", labels, 4, PARAMS), 6)
    assert [len(parts.query), len(parts.train), len(parts.val)] == [6, 6, 4]
    assert set(parts.train) <= set(parts.database)
    assert parts.protocol.endswith("limit6")
    splits.manifest(images(labels), parts)
