"""What every data set must do, run for each one that is at hand without a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import splits
from bench.errors import MissingDataError
from bench.registry import DATASETS

#: Not embedded; each has a test of its own under tests/datasets.
NEED_FILES = {
    "cifar10",
    "cifar100",
    "coco",
    "fashion_mnist",
    "image_folder",
    "imagenet100",
    "mirflickr",
    "msmt17",
    "nuswide_21",
    "nuswide_21m",
    "nuswide_81",
    "roxford5k",
    "rparis6k",
    "svd",
    "veri776",
}


@pytest.fixture(params=sorted(set(DATASETS.names()) - NEED_FILES))
def loaded(request, tmp_path):
    plugin = DATASETS.get(request.param)
    dataset = plugin(plugin.Params())
    images = dataset.load(tmp_path)
    return images, dataset.splits(images), dataset


@pytest.mark.parametrize("name", sorted(NEED_FILES))
def test_missing_files_name_the_set_and_the_folder(name, tmp_path):
    plugin = DATASETS.get(name)
    with pytest.raises(MissingDataError, match=f"{name}.*{tmp_path}"):
        plugin(plugin.Params()).load(tmp_path)


def test_images_and_splits_are_well_formed(loaded):
    images, parts, _ = loaded
    assert images.pixels.dtype == np.uint8
    assert images.pixels.ndim == 4
    assert images.pixels.shape[1] in (1, 3)
    assert len(images.pixels) == len(images.labels)
    assert images.multi_hot(np.arange(len(images))).shape == (len(images), images.classes)
    assert images.multi_hot(np.arange(len(images))).sum(1).min() >= 1
    manifest = splits.manifest(images, parts)
    assert manifest["images"] == len(images)
    for part in ("query", "train", "val", "database"):
        indices = getattr(parts, part)
        assert len(indices) > 0
        assert (np.diff(indices) > 0).all()
        assert indices[-1] < len(images)
        ranges = manifest[part]
        np.testing.assert_array_equal(np.concatenate([np.arange(*pair) for pair in ranges]), indices)


def test_splits_do_not_depend_on_anything_but_the_split_seed(loaded):
    images, parts, dataset = loaded
    first = splits.manifest_hash(splits.manifest(images, parts))
    np.random.seed(1)
    assert splits.manifest_hash(splits.manifest(images, dataset.splits(images))) == first
    other = type(dataset)(dataset.params.model_copy(update={"split_seed": 1})).splits(images)
    assert splits.manifest_hash(splits.manifest(images, other)) != first


def test_prepare_says_what_is_there(loaded, tmp_path: Path):
    assert loaded[2].prepare(tmp_path)
