"""Classes that training never sees: what is kept from it, what stays as it is, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.data import loading, splits, unseen
from bench.errors import DataError
from bench.planning import yaml_nodes
from bench.planning.plugin_faults import plugin_faults
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Splits

PARTS = ("query", "train", "val", "database")
#: Sets of which classes say what is right, and those with several labels an image.
LABELLED = [name for name in DATASETS.names() if DATASETS.get(name).judged_by == "labels"]
SEVERAL = {"coco", "mirflickr", "nuswide_21", "nuswide_21m", "nuswide_81"}


def load(name="synthetic", **params):
    return loading.load(name, {"classes": 6, **params} if name == "synthetic" else params, Path("data"), None)


def originals(data, part):
    """Classes of a part, as the data set numbers them."""
    names = np.array(data.images.names or range(data.images.classes)).astype(int)
    return set(names[data.images.labels[getattr(data.splits, part)]].tolist())


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(0, 50), st.booleans())
def test_no_training_image_is_of_an_unseen_class_and_all_others_stay(count, seed, pooled):
    plain, data = load(split_seed=seed), load(split_seed=seed, unseen_classes=count, unseen_in_pool=pooled)
    classes = set(data.splits.unseen.classes.tolist())
    assert len(classes) == count
    for part in ("train", "val"):
        assert not classes & originals(data, part)
        kept = getattr(plain.splits, part)
        kept = kept[~np.isin(plain.images.labels[kept], list(classes))]
        np.testing.assert_array_equal(getattr(data.splits, part), kept)
    for part in ("query", "database"):
        np.testing.assert_array_equal(getattr(data.splits, part), getattr(plain.splits, part))
        assert originals(data, part) == set(range(6))
    pool = data.pool("database", 1.0, "always").indices
    assert bool(set(data.images.labels[pool]) & set(range(6 - count, 6))) == pooled
    assert not np.isin(data.pool("train", 1.0, "if_chosen").indices, data.splits.unseen.images).any()


@settings(max_examples=10)
@given(st.integers(0, 20))
def test_more_unseen_classes_of_a_split_seed_hold_fewer_and_nothing_else_draws_them(seed):
    drawn = [set(load(split_seed=seed, unseen_classes=n).splits.unseen.classes.tolist()) for n in (2, 3, 4)]
    assert drawn[0] < drawn[1] < drawn[2]
    other = load(split_seed=seed, unseen_classes=4, query_per_class=7, train_per_class=10, noise=0.1)
    assert set(other.splits.unseen.classes.tolist()) == drawn[2]


def test_another_split_seed_draws_other_classes():
    drawn = {tuple(load(split_seed=seed, unseen_classes=2).splits.unseen.classes) for seed in range(10)}
    assert len(drawn) > 5


def test_a_share_is_the_number_that_it_comes_to():
    share, number = load("digits", unseen_classes=0.3), load("digits", unseen_classes=3)
    assert share.manifest == number.manifest
    assert share.splits.protocol == "digits-balanced-q20-t100-s0-u3"


def test_losses_have_a_place_for_seen_classes_alone():
    data = load(unseen_classes=2)
    assert data.images.classes == 4
    train = np.union1d(data.splits.train, data.splits.val)
    assert set(data.images.labels[train]) == set(range(4))
    assert data.images.multi_hot(train).shape == (len(train), 4)
    assert set(data.images.labels[data.splits.query]) == set(range(6))


def test_the_manifest_says_which_classes_and_where_their_images_may_be_looked_at():
    plain, apart, pooled = (
        load(**params)
        for params in ({}, {"unseen_classes": 2}, {"unseen_classes": 2, "unseen_in_pool": True})
    )
    classes = apart.splits.unseen.classes.tolist()
    assert apart.manifest["unseen_classes"] == {"classes": classes, "of": 6, "in_pool": False}
    assert pooled.splits.protocol == f"{plain.splits.protocol}-u2-pooled"
    assert "unseen_classes" not in plain.manifest
    assert len({data.manifest_hash for data in (plain, apart, pooled)}) == 3
    same = ("images_sha256", "query", "database")
    assert [plain.manifest[name] for name in same] == [pooled.manifest[name] for name in same]


def test_step_one_is_shared_with_the_protocol_without_unseen_classes_where_it_sees_the_same_images():
    asked = ("database", 1.0, "if_chosen")
    plain, apart, pooled = (
        load(**params).pool(*asked)
        for params in ({}, {"unseen_classes": 2}, {"unseen_classes": 2, "unseen_in_pool": True})
    )
    assert pooled.digest == plain.digest
    assert apart.digest != plain.digest


def test_what_would_have_been_trained_on_is_searched():
    labels = np.repeat(np.arange(4), 5)
    images = ImageSet(np.zeros((20, 1, 8, 8), np.uint8), labels, 4, Augmentation())
    parts = np.arange(20).reshape(4, 5).T
    split = Splits("apart", parts[0], np.sort(parts[1:3].ravel()), parts[3], parts[4])
    data = splits.ClassBalanced(unseen_classes=2)
    found = unseen.left_out("apart", images, split, data)
    everything = [np.concatenate([getattr(one, part) for part in PARTS]) for one in (split, found)]
    np.testing.assert_array_equal(*map(np.sort, everything))
    assert len(found.database) == 4 + 2 * 3


def test_small_classes_that_are_in_no_training_anyway_are_not_drawn():
    labels = np.array([0, 1, 2, 3, 4, 5] * 3)
    images = ImageSet(np.zeros((18, 1, 8, 8), np.uint8), labels, 4, Augmentation(), names=list("abcdef"))
    every = np.arange(18)
    for seed in range(10):
        params = splits.ClassBalanced(unseen_classes=2, split_seed=seed)
        found = unseen.left_out("x", images, Splits("x", every[:0], every, every[:0], every), params)
        assert max(found.unseen.classes) < 4
        numbered = unseen.numbered_last(images, found.unseen)
        assert numbered.names[4:] == ["e", "f"]
        assert [numbered.names[label] for label in numbered.labels[:6]] == list("abcdef")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (9, "unseen_classes 9 leaves 1 of 10 classes to train on, and training takes two; set 8 or less"),
        (11, "leaves 0 of 10 classes"),
        (0.95, "leaves 0 of 10 classes"),
        (0.01, "unseen_classes 0.01 of 10 classes is none; raise it"),
        (
            0.1,
            "unseen_classes 0.1 of 10 classes is one, and a single unseen class is the answer .*; raise it",
        ),
    ],
)
def test_too_many_or_no_classes_are_refused(asked, message):
    with pytest.raises(DataError, match=message):
        load("digits", unseen_classes=asked)


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        (
            0,
            "cannot be 0: leave it out, or write null, to train on all classes; else write how many",
        ),
        (0.0, "cannot be 0.0: leave it out, or write null"),
        (-1, "cannot be -1: leave it out"),
        (1, "a single unseen class is the answer .* always 1; set 2 or more, or a share such as 0.25$"),
        (1.0, "cannot be 1.0: that is the share of all classes, .* set less, such as 0.25$"),
        (3.0, "cannot be 3.0: write 3$"),
        ("3", 'cannot be "3": write 3$'),
        ("25%", 'cannot be "25%": write 0.25$'),
        ("25 %", 'cannot be "25 %": write 0.25$'),
        (1.5, "cannot be 1.5: write how many, 2 or more, or which share of all, such as 0.25$"),
        (True, "cannot be true: write how many"),
        ("three", 'cannot be "three": write how many'),
        ("nan", 'cannot be "nan": write how many'),
        ("inf", 'cannot be "inf": write how many'),
        ([1, 4], r"cannot be \[1, 4\]: classes are drawn by split_seed and not named; write how many, 2 or"),
    ],
)
def test_what_is_neither_a_number_nor_a_share_is_refused_in_a_line_with_the_cure(value, cure):
    text = f"axes:\n  dataset: [{{name: digits, params: {{unseen_classes: {json.dumps(value)}}}}}]"
    document = yaml_nodes.parse(text, "grid.yaml")
    (fault,) = [str(document.problem(*fault)) for fault in plugin_faults(document)]
    assert re.search(cure, fault)
    assert fault.startswith("grid.yaml:2:53: dataset 'digits': unseen_classes cannot be ")
    assert "\n" not in fault


def test_where_classes_are_unseen_their_images_may_be_in_the_pool():
    assert splits.ClassBalanced.of({"unseen_classes": None}).unseen_classes is None
    with pytest.raises(ValidationError, match="unseen_in_pool: true needs unseen_classes"):
        splits.ClassBalanced.of({"unseen_in_pool": True})


def test_old_keys_stay_as_the_parameters_are_in_none():
    assert not {"unseen_classes", "unseen_in_pool"} & set(splits.ClassBalanced().model_dump(mode="json"))


@pytest.mark.parametrize("name", sorted({*LABELLED} - SEVERAL - {"roxford5k", "rparis6k"}))
def test_every_set_with_one_class_an_image_takes_it(name):
    assert DATASETS.get(name).Params.of({"unseen_classes": 2}).unseen_classes == 2


@pytest.mark.parametrize("name", sorted(SEVERAL))
def test_sets_with_several_labels_say_in_the_grid_why_they_do_not(name):
    text = f"axes:\n  dataset: [{{name: {name}, params: {{unseen_classes: 2}}}}]"
    document = yaml_nodes.parse(text, "grid.yaml")
    (fault,) = [document.problem(*fault) for fault in plugin_faults(document)]
    assert str(fault).startswith("grid.yaml:2:")
    assert f"dataset '{name}': unseen_classes: an image with several labels has seen and unseen" in str(fault)


def test_several_labels_are_refused_wherever_they_come_from():
    with pytest.raises(DataError, match="synthetic: unseen_classes: an image with several labels"):
        load(multi_label=True, unseen_classes=2)


@pytest.mark.parametrize("name", ["veri776", "msmt17", "svd", "roxford5k"])
def test_sets_that_labels_do_not_judge_have_no_such_parameter(name):
    assert "unseen_classes" not in DATASETS.get(name).Params.model_fields


def test_in_words():
    data = load("digits", unseen_classes=3)
    words = unseen.in_words(data.images, data.splits.unseen)
    assert words == f"3 of 10 classes unseen: {', '.join(map(str, data.splits.unseen.classes))}"
    assert unseen.in_words(load("digits").images, None) == ""
    many = load("synthetic", classes=30, unseen_classes=20, unseen_in_pool=True)
    words = unseen.in_words(many.images, many.splits.unseen)
    assert words.endswith(" and 8 more; step 1 may look at their images, without labels")
