"""Pools of step 1: who has the same one, and what tells two apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import loading, pools
from bench.types import Augmentation


def load(**params):
    return loading.load("synthetic", params, Path("data"), None)


def test_label_budgets_have_one_pool_where_all_but_the_queries_are_in_it():
    few, many = load(train_per_class=5, val_per_class=0), load(train_per_class=30, val_per_class=0)
    assert few.manifest_hash != many.manifest_hash
    assert len(few.pool("database", 1.0, "always").indices) == 160 - 20
    assert few.pool("database", 0.5, "always").digest == many.pool("database", 0.5, "always").digest
    assert few.pool("train", 1.0, "always").digest != many.pool("train", 1.0, "always").digest


@pytest.mark.parametrize("change", [{"split_seed": 1}, {"query_per_class": 6}, {"noise": 0.4}, {"side": 8}])
def test_other_images_are_another_pool(change):
    one, other = (data.pool("database", 1.0, "always") for data in (load(), load(**change)))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    "change",
    [
        {"augmentation": Augmentation(flip=False)},
        {"augmentation": Augmentation(shift=(0.0, 0.1))},
        {"classes": 5},
        {"pixels": np.zeros((160, 3, 16, 17), np.uint8)},
    ],
    ids=str,
)
def test_all_that_a_training_sees_counts(change):
    data = load()
    indices = np.arange(10)

    def digest(images_sha256="same", **change):
        return pools.pool_of(dataclasses.replace(data.images, **change), images_sha256, indices).digest

    assert digest() == digest(names=list("abcd"))
    assert digest() != digest(**change)
    assert digest() != digest("other")


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.sampled_from(["database", "train"]))
def test_smaller_fractions_lie_inside_larger_ones(one, other, part):
    data = load()
    small, large = (pools.drawn(data.splits, part, share, "always") for share in sorted((one, other)))
    assert np.isin(small, large).all()
    assert (np.diff(large) > 0).all()
    assert not np.isin(large, np.concatenate([data.splits.query, data.splits.val])).any()
