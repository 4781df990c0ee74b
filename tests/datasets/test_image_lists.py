"""List files: the published sets in small, and every way in which a list can be wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import splits
from bench.data.image_lists import read_list
from bench.errors import DataError, MissingDataError
from bench.registry import DATASETS

SETS = {
    "nuswide_21": (21, 5000, (2_100, 10_500, 193_734)),
    "nuswide_21m": (21, 5000, (2_100, 10_500, None)),
    "nuswide_81": (81, 5000, (5_000, 10_000, None)),
    "coco": (80, 5000, (5_000, 10_000, None)),
    "imagenet100": (100, 1000, (5_000, 13_000, None)),
    "mirflickr": (38, None, (1_000, 4_000, 20_000)),
}


def dataset(name="mirflickr", **params):
    plugin = DATASETS.get(name)
    return plugin(plugin.Params.of(params))


def line(path, labels):
    return f"{path} {' '.join(map(str, labels))}\n"


def write_set(root, name, *, train_inside):
    """30 database, 10 training and 6 query images of 20 x 30 pixels, in the published form of the lists."""
    plugin, generator = DATASETS.get(name), np.random.default_rng(0)
    paths = [f"images/im{number}.jpg" for number in range(46)]
    labels = np.zeros((46, plugin.classes), int)
    labels[np.arange(46), np.arange(46) % plugin.classes] = 1
    if not plugin.single_label:
        labels |= generator.random(labels.shape) < 0.1
        labels[45] = 0
    folder = root / name
    (folder / "images").mkdir(parents=True)
    for path in paths:
        Image.fromarray(generator.integers(256, size=(20, 30, 3), dtype=np.uint8)).save(folder / path)
    rows = {
        "database": range(30),
        "train": range(10) if train_inside else range(30, 40),
        "test": range(40, 46),
    }
    for part, chosen in rows.items():
        (folder / f"{part}.txt").write_text("".join(line(paths[row], labels[row]) for row in chosen))
    return paths, labels


def test_a_list_names_what_it_names(tmp_path):
    """Hidden files, too: a name in a list is no accident."""
    write_set(tmp_path, "mirflickr", train_inside=True)
    folder = tmp_path / "mirflickr"
    (folder / "images/.hidden").mkdir()
    (folder / "images/im45.jpg").rename(folder / "images/.hidden/.45.jpg")
    listed = folder / "test.txt"
    listed.write_text(listed.read_text().replace("im45.jpg", ".hidden/.45.jpg"))
    images = dataset(side=16).load(tmp_path)
    assert len(images) == 36
    assert images.pixels.paths[35].name == ".45.jpg"
    assert images.pixels.left_out.hidden == 0


@pytest.mark.parametrize("train_inside", [True, False])
@pytest.mark.parametrize("name", sorted(SETS))
def test_published_sets_in_small(tmp_path, name, train_inside):
    paths, labels = write_set(tmp_path, name, train_inside=train_inside)
    plugin = dataset(name, side=16)
    images = plugin.load(tmp_path)
    parts = plugin.splits(images)
    manifest = splits.manifest(images, parts)
    assert manifest["images"] == len(images) == (36 if train_inside else 46)
    assert [len(parts.query), len(parts.train), len(parts.val), len(parts.database)] == [6, 9, 1, 30]
    assert len(np.intersect1d(np.union1d(parts.train, parts.val), parts.database)) == 10 * train_inside
    for part, rows in [(parts.query, range(40, 46)), (parts.database, range(30))]:
        assert {images.pixels.paths[index] for index in part} == {
            tmp_path / name / paths[row] for row in rows
        }
    for index in range(len(images)):
        row = paths.index(images.pixels.paths[index].relative_to(tmp_path / name).as_posix())
        np.testing.assert_array_equal(images.multi_hot(np.array([index]))[0], labels[row])
    assert images.labels.dtype == (np.int64 if name == "imagenet100" else np.uint8)
    assert images.pixels[parts.query].shape == (6, 3, 16, 16)
    assert images.augmentation.crop == images.augmentation.evaluation_crop == 0.875
    assert parts.protocol == f"{name}-lists-q6-t10-d30-v0.1-s0"
    said = plugin.prepare(tmp_path)
    assert f"{name}: " in said
    assert ("1 queries have no label" in said) == (name != "imagenet100")


def test_random_views_may_show_parts_of_whole_images(tmp_path):
    write_set(tmp_path, "coco", train_inside=True)
    fixed, whole = (dataset("coco", side=16, **params).load(tmp_path) for params in ({}, {"crops": "whole"}))
    assert (fixed.pixels.sliding, whole.pixels.sliding) == (False, True)
    assert fixed.augmentation == whole.augmentation
    every = np.arange(36)
    np.testing.assert_array_equal(whole.pixels[every], fixed.pixels[every])
    # The images are 20 x 30: ends show what lies a quarter of the square apart from the centre.
    ends = [whole.pixels.at(every, np.full((36, 2), place)) for place in (0.0, 1.0)]
    assert (ends[0] != ends[1]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("name", sorted(SETS))
def test_conventions_are_the_published_ones(name):
    plugin, (classes, k, sizes) = dataset(name), SETS[name]
    assert (plugin.classes, plugin.default_k) == (classes, k)
    published = zip(("query", "train", "database"), sizes, strict=True)
    assert plugin.sizes() == {part: size for part, size in published if size}


@pytest.mark.parametrize("name", sorted(SETS))
def test_what_is_missing_is_named_with_its_source(tmp_path, name):
    with pytest.raises(MissingDataError, match=f"{name}: {tmp_path}.*DeepHash-pytorch.*https://"):
        dataset(name).prepare(tmp_path)
    write_set(tmp_path, name, train_inside=True)
    with pytest.raises(MissingDataError, match="first image of .*database.txt.*'images'"):
        dataset(name, images=".").load(tmp_path)
    (tmp_path / name / "test.txt").unlink()
    with pytest.raises(MissingDataError, match=f"{name}.*test.txt is not there"):
        dataset(name).load(tmp_path)


def test_images_may_lie_apart_from_their_lists(tmp_path):
    write_set(tmp_path, "coco", train_inside=True)
    (tmp_path / "lists").mkdir()
    for part in ("train", "test", "database"):
        (tmp_path / "coco" / f"{part}.txt").rename(tmp_path / "lists" / f"{part}.txt")
    images = dataset("coco", lists="lists").load(tmp_path)
    assert images.pixels.paths[0] == tmp_path / "coco/images/im0.jpg"
    for params in ({"lists": "../x"}, {"images": "/x"}):
        with pytest.raises(DataError, match="not below the data root"):
            dataset("coco", **params).load(tmp_path)


def test_a_missing_image_is_found_by_prepare(tmp_path):
    write_set(tmp_path, "coco", train_inside=True)
    (tmp_path / "coco/images/im7.jpg").unlink()
    with pytest.raises(DataError, match=r"im7\.jpg: no such image"):
        dataset("coco").prepare(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_validation_is_drawn_from_train_by_its_own_seed(tmp_path, share):
    write_set(tmp_path, "coco", train_inside=False)
    images = dataset("coco").load(tmp_path)
    drawn = [dataset("coco", val_share=share, split_seed=seed).splits(images) for seed in range(4)]
    assert (len({part.val.tobytes() for part in drawn}) > 1) == (share > 0)
    for parts in drawn:
        splits.manifest(images, parts)
        assert len(parts.val) == {0.0: 0, 0.01: 1, 0.5: 5, 0.99: 9}[share]
        assert len(parts.train) + len(parts.val) == 10
        assert (np.diff(parts.train) > 0).all()
        np.testing.assert_array_equal(parts.query, drawn[0].query)


def replace_line(path, number, text):
    lines = path.read_text().splitlines(keepends=True)
    lines[number - 1] = text
    path.write_text("".join(lines))


ZEROS = " 0" * 38


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("train", "images/im30.jpg" + " 0" * 37, "37 labels behind the path, but the set has 38 classes"),
        ("train", "images/im30.jpg" + " 0" * 39, "39 labels"),
        ("train", "images/im30.jpg", "0 labels"),
        ("test", "images/im40.jpg" + " 0" * 37 + " 2", "label '2' is not 0 or 1"),
        ("test", "images/im40.jpg" + " 0" * 37 + " é", "label 'é' is not 0 or 1"),
        ("test", "images/im40.jpg -1" + " 0" * 37, "label '-1' is not 0 or 1"),
        ("test", "images/im40.jpg 01 0 " + " 0" * 35, "37 labels"),
        ("database", "/etc/passwd" + ZEROS, "'/etc/passwd' leaves the data root"),
        ("database", "../../secret.jpg" + ZEROS, "'../../secret.jpg' leaves the data root"),
        ("database", "images/../../../x.jpg" + ZEROS, "leaves the data root"),
        ("database", "..\\..\\x.jpg" + ZEROS, "leaves the data root"),
        ("database", ".." + "/.." + ZEROS, "leaves the data root"),
        (
            "database",
            "images/im0.jpg" + ZEROS,
            "1 lines name an image a second time (first: 'images/im0.jpg')",
        ),
        ("database", "images/./x/../im0.jpg" + ZEROS, "1 lines name an image a second time"),
    ],
)
def test_faults_are_named_by_file_and_line(tmp_path, file, text, problem):
    write_set(tmp_path, "mirflickr", train_inside=False)
    path = tmp_path / "mirflickr" / f"{file}.txt"
    replace_line(path, 3, text + "\n")
    with pytest.raises(DataError, match=re.escape(f"{path}:3: ") + ".*" + re.escape(problem)):
        dataset().load(tmp_path)


@pytest.mark.parametrize("other", ["train", "database"])
def test_queries_in_another_list_are_counted_and_named(tmp_path, other):
    paths, labels = write_set(tmp_path, "mirflickr", train_inside=False)
    path = tmp_path / "mirflickr" / f"{other}.txt"
    path.write_text(path.read_text() + line(paths[42], labels[42]) + line(f"./{paths[41]}", labels[41]))
    with pytest.raises(
        DataError, match=r"test.txt: 2 of 6 queries are also in .* \(first: 'mirflickr/images/im4"
    ):
        dataset().load(tmp_path)


def test_lists_that_disagree_about_labels_are_refused(tmp_path):
    paths, labels = write_set(tmp_path, "mirflickr", train_inside=True)
    replace_line(tmp_path / "mirflickr/train.txt", 4, line(paths[3], 1 - labels[3]))
    with pytest.raises(DataError, match=r"database.txt:4: other labels than in another list \(1 such"):
        dataset().load(tmp_path)


@pytest.mark.parametrize("count", [0, 2])
def test_images_of_single_label_sets_have_one(tmp_path, count):
    paths, _ = write_set(tmp_path, "imagenet100", train_inside=True)
    replace_line(tmp_path / "imagenet100/test.txt", 2, line(paths[41], [1] * count + [0] * (100 - count)))
    with pytest.raises(DataError, match=f"test.txt:2: {count} labels are 1"):
        dataset("imagenet100").load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00 1 0"])
def test_files_that_are_no_lists_are_named(tmp_path, content):
    (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(DataError, match="train.txt: .*(fetch it again|save it as UTF-8)"):
        read_list(tmp_path / "train.txt", 2)


def test_one_training_image_is_too_few(tmp_path):
    paths, labels = write_set(tmp_path, "coco", train_inside=True)
    (tmp_path / "coco/train.txt").write_text(line(paths[0], labels[0]))
    images = dataset("coco").load(tmp_path)
    with pytest.raises(DataError, match="1 training image"):
        dataset("coco").splits(images)


@given(
    labels=st.integers(1, 5).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 1), min_size=classes, max_size=classes), min_size=1, max_size=8
        )
    ),
    gap=st.sampled_from([" ", "  ", "\t"]),
    end=st.sampled_from(["\n", "\r\n", " \n", "\n\n"]),
    last=st.booleans(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_come_back_as_they_were_written(tmp_path, labels, gap, end, last):
    path = tmp_path / "list.txt"
    rows = [gap.join([f"a/{number}.jpg", *map(str, row)]) for number, row in enumerate(labels)]
    path.write_bytes((end.join(rows) + (end if last else "")).encode())
    read = read_list(path, len(labels[0]))
    assert read.names == [f"a/{number}.jpg" for number in range(len(labels))]
    np.testing.assert_array_equal(read.labels, labels)
    lines = path.read_text().split("\n")
    assert all(
        lines[number - 1].startswith(name) for name, number in zip(read.names, read.numbers, strict=True)
    )
