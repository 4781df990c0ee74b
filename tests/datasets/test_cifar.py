"""CIFAR from small files in the published layout, and the sizes of the protocols."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import splits
from bench.datasets import cifar10, cifar100
from bench.datasets.cifar10 import Cifar10
from bench.datasets.cifar100 import Cifar100
from bench.errors import DataError, MissingDataError
from bench.types import ImageSet

PROTOCOLS = ["cifar10-0", "cifar10-1", "cifar10-2"]


def write_batch(path, count, **entries):
    """One batch as published: rows of red, green and blue planes, labels as a list, names as bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(count)
    batch = {
        b"data": generator.integers(256, size=(count, 3072), dtype=np.uint8),
        b"batch_label": b"batch",
        b"filenames": [b"image.png"] * count,
        **{key.encode(): value for key, value in entries.items()},
    }
    path.write_bytes(pickle.dumps(batch, 2))
    return batch


def write_cifar10(root, per_batch=40):
    labels = [number % 10 for number in range(per_batch)]
    return [write_batch(root / cifar10.FOLDER / name, per_batch, labels=labels) for name in cifar10.FILES]


def write_cifar100(root):
    for name, count in [("train", 200), ("test", 100)]:
        fine = [number % 100 for number in range(count)]
        coarse = [label // 5 for label in fine]
        write_batch(root / cifar100.FOLDER / name, count, fine_labels=fine, coarse_labels=coarse)


def small(protocol="cifar10-1", **params):
    quotas = {"query_per_class": 4, "train_per_class": 20, "val_per_class": 2}
    return Cifar10(Cifar10.Params.of({"protocol": protocol, **quotas, **params}))


@pytest.mark.parametrize("place", [".", "cifar"])
def test_published_batches_are_pooled_in_order(tmp_path, place):
    batches = write_cifar10(tmp_path / place)
    images = small().load(tmp_path)
    assert images.pixels.shape == (240, 3, 32, 32)
    assert images.augmentation.shift == 0.125
    enlarged = small(views="enlarged").load(tmp_path).augmentation
    assert (enlarged.crop, enlarged.shift, enlarged.evaluation_crop) == (0.875, 0, 1)
    assert images.augmentation.flip
    np.testing.assert_array_equal(np.bincount(images.labels), np.full(10, 24))
    last = batches[-1][b"data"][3]
    np.testing.assert_array_equal(images.pixels[203], last.reshape(3, 32, 32))
    assert images.pixels[203, 1, 2, 5] == last[1024 + 2 * 32 + 5]


def test_a_hidden_folder_is_not_looked_into(tmp_path):
    write_cifar10(tmp_path / ".trash")
    with pytest.raises(MissingDataError):
        small().load(tmp_path)
    write_cifar10(tmp_path / ".local/data")
    assert len(small().load(tmp_path / ".local/data")) == 240


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_searches_its_own_database(tmp_path, protocol):
    write_cifar10(tmp_path)
    dataset = small(protocol)
    images = dataset.load(tmp_path)
    parts = dataset.splits(images)
    splits.manifest(images, parts)
    assert [len(parts.query), len(parts.train), len(parts.val)] == [40, 180, 20]
    seen = set(parts.train) | set(parts.val)
    rest = set(range(240)) - set(parts.query)
    assert set(parts.database) == {"cifar10-0": rest - seen, "cifar10-1": rest, "cifar10-2": seen}[protocol]
    assert parts.protocol == f"{protocol}-q4-t20-s0"


def test_the_three_protocols_differ_in_nothing_but_the_database(tmp_path):
    write_cifar10(tmp_path)
    images = small().load(tmp_path)
    drawn = [small(protocol).splits(images) for protocol in PROTOCOLS]
    for part in ("query", "train", "val"):
        for other in drawn[1:]:
            np.testing.assert_array_equal(getattr(drawn[0], part), getattr(other, part))


@pytest.mark.parametrize(
    ("protocol", "sizes", "val"),
    [
        ("cifar10-0", (1_000, 5_000, 54_000), 500),
        ("cifar10-1", (1_000, 5_000, 59_000), 500),
        ("cifar10-2", (10_000, 50_000, 50_000), 5_000),
    ],
)
def test_published_sizes(protocol, sizes, val):
    dataset = Cifar10(Cifar10.Params.of({"protocol": protocol}))
    assert tuple(dataset.sizes()[part] for part in ("query", "train", "database")) == sizes
    # The labels of the real set, without its pixels.
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6_000))
    parts = dataset.splits(ImageSet(np.empty((60_000, 1, 1, 1), np.uint8), labels, 10))
    assert (len(parts.query), len(parts.train) + len(parts.val), len(parts.database)) == sizes
    assert len(parts.val) == val


def test_all_training_images_are_for_training_where_none_is_held_out():
    images = ImageSet(np.empty((240, 1, 1, 1), np.uint8), np.arange(240) % 10, 10)
    held_out, whole = (small(val_per_class=count).splits(images) for count in (2, 0))
    assert len(whole.val) == 0
    np.testing.assert_array_equal(whole.train, np.union1d(held_out.train, held_out.val))
    np.testing.assert_array_equal(whole.database, held_out.database)
    splits.manifest(images, whole)


@given(seed=st.integers(0, 1000), protocol=st.sampled_from(PROTOCOLS))
def test_parts_are_balanced_and_queries_are_nowhere_else(seed, protocol):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), 24))
    parts = small(protocol, split_seed=seed).splits(ImageSet(np.empty((240, 1, 1, 1), np.uint8), labels, 10))
    others = set(parts.train) | set(parts.val) | set(parts.database)
    assert not set(parts.query) & others
    assert not set(parts.train) & set(parts.val)
    assert (np.bincount(labels[parts.query]) == 4).all()
    assert (np.bincount(labels[parts.val]) == 2).all()


def test_cifar100_keeps_the_published_parts(tmp_path):
    write_cifar100(tmp_path)
    dataset = Cifar100(Cifar100.Params())
    images = dataset.load(tmp_path)
    assert images.pixels.shape == (300, 3, 32, 32)
    assert images.labels[105] == 5
    parts = dataset.splits(images)
    splits.manifest(images, parts)
    np.testing.assert_array_equal(parts.query, np.arange(200, 300))
    np.testing.assert_array_equal(parts.database, np.arange(200))
    np.testing.assert_array_equal(np.union1d(parts.train, parts.val), parts.database)
    assert len(parts.val) == 20
    assert parts.protocol == "cifar100-official-q100-t200-d200-v0.1-s0"
    assert dataset.sizes() == {"query": 10_000, "train": 50_000, "database": 50_000}
    other = Cifar100(Cifar100.Params(split_seed=1)).splits(images)
    assert set(other.val) != set(parts.val)


@pytest.mark.parametrize("plugin", [Cifar10, Cifar100])
def test_missing_files_say_how_to_get_them(tmp_path, plugin):
    with pytest.raises(MissingDataError, match="data prepare cifar10.*BENCH_DATA"):
        plugin(plugin.Params()).load(tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"labels": [1]}, "damaged"),
        ({"labels": [1, 10]}, r"damaged \(labels outside 0..9\)"),
        ({"labels": [1, -1]}, "damaged"),
        ({"labels": [1, "a"]}, "damaged"),
        ({}, "damaged.*labels"),
        ({"labels": [1, 2], "data": np.zeros((2, 3000), np.uint8)}, "damaged"),
        ({"labels": [1, 2], "data": np.zeros((2, 3072))}, "damaged.*float64"),
        ({"labels": [1, 2], "extra": Evil()}, r"refused, it asks for 'posix\.system'"),
    ],
)
def test_damaged_and_malicious_batches_are_named(tmp_path, entries, problem):
    write_cifar10(tmp_path)
    write_batch(tmp_path / cifar10.FOLDER / "data_batch_2", 2, **entries)
    with pytest.raises(DataError, match=f"data_batch_2: {problem}"):
        small().load(tmp_path)


def test_prepare_checks_what_is_there_with_torchvision(tmp_path):
    write_cifar10(tmp_path)
    # Torchvision knows the MD5 sums of the real files.
    with pytest.raises(DataError, match="cifar10.*differs from the published files"):
        small().prepare(tmp_path)


@pytest.mark.parametrize("plugin", [Cifar10, Cifar100])
def test_prepare_downloads_where_nothing_is(tmp_path, monkeypatch, plugin):
    import torchvision.datasets

    calls = []

    def library(root, **options):
        calls.append((root, options))

    name = plugin.__name__.upper()
    monkeypatch.setattr(torchvision.datasets, name, library)
    dataset = plugin(plugin.Params())
    assert "60,000" in dataset.prepare(tmp_path)
    assert calls == [(str(tmp_path), {"download": True})]
    (write_cifar10 if plugin is Cifar10 else write_cifar100)(tmp_path / "mine")
    assert str(tmp_path / "mine") in dataset.prepare(tmp_path)
    assert calls[1:] == [(str(tmp_path / "mine"), {"download": False})]

    def offline(root, **options):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, name, offline)
    with pytest.raises(MissingDataError, match=f"{name.lower()}.*no network"):
        dataset.prepare(tmp_path / "empty")
