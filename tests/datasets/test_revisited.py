"""Revisited Oxford and Paris from small files in the published layout."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import ValidationError

from bench.data import splits
from bench.datasets.roxford5k import ROxford5k
from bench.datasets.rparis6k import RParis6k
from bench.errors import DataError, MissingDataError
from bench.metrics.revisited import Revisited
from bench.types import RankingRule, Retrieval
from tests.layouts import DATABASE, picture, revisited_truth, write_revisited


def write_training_images(root):
    for landmark, count in (("b", 12), ("a", 8)):
        for number in range(count):
            picture(root / "landmarks" / landmark / f"{number}.jpg", (0, 0, 200))
    (root / "landmarks" / "empty").mkdir()
    (root / "landmarks" / "a" / "notes.txt").write_text("no image")


def dataset(plugin=ROxford5k, **params):
    return plugin(plugin.Params(**{"side": 32, **params}))


@pytest.mark.parametrize("plugin", [ROxford5k, RParis6k])
@pytest.mark.parametrize("protocol", [2, 4])
def test_published_files_are_read(tmp_path, plugin, protocol):
    write_revisited(tmp_path, plugin.name, protocol=protocol)
    evaluation = dataset(plugin)
    assert re.search(
        rf"{plugin.name}: 7 images \(2 query, 0 train, 5 database\)", evaluation.prepare(tmp_path)
    )
    images = evaluation.load(tmp_path)
    parts = evaluation.splits(images)
    assert parts.query.tolist() == [5, 6]
    assert parts.database.tolist() == [0, 1, 2, 3, 4]
    assert len(parts.train) == len(parts.val) == 0
    assert images.pixels.shape == (7, 3, 32, 32)
    assert {q: v.tolist() for q, v in images.truth.easy.items()} == {5: [0], 6: []}
    assert {q: v.tolist() for q, v in images.truth.hard.items()} == {5: [3, 1], 6: [2]}
    assert {q: v.tolist() for q, v in images.truth.junk.items()} == {5: [4], 6: []}
    assert all(v.dtype == np.int64 for v in images.truth.hard.values())
    assert not evaluation.labelled
    assert splits.manifest(images, parts)["query"] == [[5, 7]]


def test_queries_are_cropped_and_nothing_else_is(tmp_path):
    write_revisited(tmp_path)
    pixels = dataset().load(tmp_path).pixels
    query, whole = pixels[np.array([5, 6])]
    assert query[1].min() > 200  # the box is square and green, so nothing is padded
    assert whole[1, :8].mean() == pytest.approx(128, abs=1)  # the other is twice as wide as high
    database = pixels[np.arange(5)]
    assert database[:, 0, 16, 16].astype(int).tolist() == pytest.approx([0, 40, 80, 120, 160], abs=4)


def test_training_images_without_labels(tmp_path):
    write_revisited(tmp_path)
    write_training_images(tmp_path)
    chosen = dataset(train_folder="landmarks", val_share=0.25)
    images = chosen.load(tmp_path)
    parts = chosen.splits(images)
    assert not chosen.labelled
    assert (images.classes, len(images)) == (1, 27)
    assert images.labels[7:].tolist() == [0] * 20
    assert images.labels[:7].tolist() == [1] * 7
    assert (len(parts.train), len(parts.val)) == (15, 5)
    assert sorted([*parts.train, *parts.val]) == list(range(7, 27))
    assert parts.database.tolist() == [0, 1, 2, 3, 4]


def test_folders_are_landmarks(tmp_path):
    write_revisited(tmp_path)
    write_training_images(tmp_path)
    chosen = dataset(train_folder="landmarks", train_labels=True)
    images = chosen.load(tmp_path)
    assert chosen.labelled
    assert images.classes == 2
    assert images.labels[7:].tolist() == [0] * 8 + [1] * 12
    assert images.labels[:7].tolist() == [2] * 7
    assert images.multi_hot(chosen.splits(images).train).sum(1).min() == 1
    assert len(chosen.splits(images).val) == 0  # nothing is held out that nobody asks for
    drawn = [
        dataset(train_folder="landmarks", train_labels=True, val_share=0.5, split_seed=seed)
        for seed in range(2)
    ]
    first, second = (one.splits(images).val.tolist() for one in drawn)
    assert len(first) == len(second) == 10
    assert first != second


def write_distractors(root):
    for name in ("b/2.jpg", "a/1.jpg", "a/3.jpg"):
        picture(root / "revisitop1m/jpg" / name, (7, 7, 7))
    (root / "revisitop1m/revisitop1m.txt").write_text("b/2.jpg\na/1.jpg\n\n")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("revisitop1m", ["1.jpg", "3.jpg", "2.jpg"]),
        ("revisitop1m/jpg", ["1.jpg", "3.jpg", "2.jpg"]),
        ("revisitop1m/revisitop1m.txt", ["2.jpg", "1.jpg"]),
    ],
)
@pytest.mark.parametrize("trained", [True, False])
def test_distractors_join_the_database(tmp_path, given, names, trained):
    write_revisited(tmp_path)
    write_training_images(tmp_path)
    write_distractors(tmp_path)
    training = {"train_folder": "landmarks", "train_labels": True} if trained else {}
    chosen, without = dataset(distractors=given, **training), dataset(**training)
    images, parts, before = chosen.load(tmp_path), None, without.splits(without.load(tmp_path))
    parts = chosen.splits(images)
    assert [path.name for path in images.pixels.paths[-len(names) :]] == names
    first = len(images) - len(names)
    assert parts.database.tolist() == [0, 1, 2, 3, 4, *range(first, len(images))]
    for part in ("query", "train", "val"):
        assert getattr(parts, part).tolist() == getattr(before, part).tolist()
    assert parts.protocol == before.protocol.replace("revisited", "revisited+distractors").replace(
        "-d5", f"-d{5 + len(names)}"
    )
    assert images.labels[first:].tolist() == [images.classes] * len(names)
    assert {q: v.tolist() for q, v in images.truth.hard.items()} == {5: [3, 1], 6: [2]}
    assert images.pixels[parts.database][-1, :, 16, 16].tolist() == pytest.approx([7] * 3, abs=2)


def test_a_distractor_before_the_answers_costs_precision(tmp_path):
    write_revisited(tmp_path)
    write_distractors(tmp_path)
    chosen = dataset(distractors="revisitop1m/revisitop1m.txt")
    images = chosen.load(tmp_path)
    parts = chosen.splits(images)
    # Queries look for rows 0 to 4 of the database; the first distractor is nearest to both, the other far.
    angles = np.array([0.1, 0.4, 0.2, 0.3, 0.15, 0.0, 0.2, 0.0, 1.0])
    units = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    subject = Retrieval(
        units[parts.query],
        units[parts.database],
        images.labels[parts.query],
        images.labels[parts.database],
        0,
        RankingRule(),
        parts.query,
        parts.database,
        images.truth,
    )
    per_query = Revisited(Revisited.Params()).compute(subject).per_query
    # The one easy answer comes second: half of (0 / 1 + 1 / 2).
    np.testing.assert_allclose(per_query["map_revisited:easy"], [0.25, np.nan])


def test_distractors_that_are_none(tmp_path):
    write_revisited(tmp_path)
    write_training_images(tmp_path)
    write_distractors(tmp_path)
    with pytest.raises(MissingDataError, match=r"the distractors are not in .*gone; put them there"):
        dataset(distractors="gone").load(tmp_path)
    with pytest.raises(
        DataError, match=r"2 images of .* among the distractors of landmarks/a .*\(first: 0\.jpg\)"
    ):
        for name in (1, 2, 3, 4, 5, 6):
            (tmp_path / f"landmarks/a/{name}.jpg").unlink()
        dataset(train_folder="landmarks", distractors="landmarks/a").load(tmp_path)
    with pytest.raises(DataError, match=r"7 images of .*\(first: all_souls_000013\.jpg\)"):
        dataset(distractors="roxford5k").load(tmp_path)
    with pytest.raises(DataError, match="no images in .*empty; correct distractors"):
        dataset(distractors="landmarks/empty").load(tmp_path)
    lines = tmp_path / "list.txt"
    for text, what in (
        ("1.jpg\n../2.jpg\n", r"list\.txt:2: '\.\./2\.jpg' leads out of"),
        ("1.jpg\n2.jpg\n./1.jpg\n", r"list\.txt:3: '\./1\.jpg' is there twice"),
        ("\n", r"list\.txt: a list without a line"),
    ):
        lines.write_text(text)
        with pytest.raises(DataError, match=what):
            dataset(distractors="list.txt").load(tmp_path)


@pytest.mark.parametrize("labelled", [True, False])
def test_hidden_files_are_no_training_images(tmp_path, labelled):
    write_revisited(tmp_path)
    write_training_images(tmp_path)
    chosen = dataset(train_folder="landmarks", train_labels=labelled)
    before = chosen.load(tmp_path)
    inner = next(path for path in (tmp_path / "landmarks").iterdir() if path.is_dir())
    for path in (tmp_path / "landmarks/.trash/1.jpg", inner / ".ipynb_checkpoints/2.jpg", inner / "._3.jpg"):
        picture(path, (0, 0, 0))
    images = chosen.load(tmp_path)
    assert images.pixels.paths == before.pixels.paths
    assert images.labels.tolist() == before.labels.tolist()
    assert images.pixels.left_out.hidden == 3


def test_truth_reaches_the_metric_in_the_order_of_the_splits(tmp_path):
    write_revisited(tmp_path)
    images = dataset().load(tmp_path)
    parts = dataset().splits(images)
    angles = np.array([0.1, 0.4, 0.2, 0.3, 0.05, 0.0, 0.2])  # the junk is nearest to the first query
    units = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = images.labels
    subject = Retrieval(
        units[parts.query],
        units[parts.database],
        labels[parts.query],
        labels[parts.database],
        0,
        RankingRule(),
        parts.query,
        parts.database,
        images.truth,
    )
    per_query = Revisited(Revisited.Params()).compute(subject).per_query
    np.testing.assert_allclose(per_query["map_revisited:easy"], [1, np.nan])
    # Ranked 0, 2, 3, 1 without junk; positives at 0, 2, 3.
    medium = (1 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3
    np.testing.assert_allclose(per_query["map_revisited:medium"], [medium, 1])
    # Without image 0, too: 2, 3, 1.
    hard = ((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2
    np.testing.assert_allclose(per_query["map_revisited:hard"], [hard, 1])


@pytest.mark.parametrize("plugin", [ROxford5k, RParis6k])
def test_what_is_missing(tmp_path, plugin):
    where = re.escape(str(tmp_path / plugin.name))
    with pytest.raises(
        MissingDataError, match=f"{plugin.name}: .* not in {where}; fetch it from https://.*vgg"
    ):
        dataset(plugin).prepare(tmp_path)
    folder = write_revisited(tmp_path, plugin.name)
    (folder / "jpg" / f"{DATABASE[1]}.jpg").unlink()
    with pytest.raises(MissingDataError, match=rf"1 of 7 images .*\(first: {DATABASE[1]}.jpg\)"):
        dataset(plugin).load(tmp_path)


def test_missing_training_images(tmp_path):
    write_revisited(tmp_path)
    with pytest.raises(MissingDataError, match="roxford5k: the training images are not in"):
        dataset(train_folder="landmarks").load(tmp_path)
    picture(tmp_path / "flat" / "1.jpg", (0, 0, 0))
    with pytest.raises(DataError, match="no folders with images, one a landmark"):
        dataset(train_folder="flat", train_labels=True).load(tmp_path)
    with pytest.raises(DataError, match="not below the data root"):
        dataset(train_folder="../elsewhere").load(tmp_path)
    with pytest.raises(ValidationError, match="train_labels needs a train_folder"):
        dataset(train_labels=True)


@pytest.mark.parametrize(
    "change",
    [
        {"gnd": revisited_truth()["gnd"][:1]},
        {"gnd": [{**one, "junk": [5]} for one in revisited_truth()["gnd"]]},
        {"gnd": [{**one, "bbx": [1.0, 2.0]} for one in revisited_truth()["gnd"]]},
        {"gnd": [{"bbx": [0, 0, 1, 1]}]},
        {"imlist": None},
    ],
    ids=["too few", "index", "box", "keys", "names"],
)
def test_damaged_ground_truth(tmp_path, change):
    write_revisited(tmp_path, gnd={**revisited_truth(), **change})
    with pytest.raises(DataError, match="gnd_roxford5k.pkl: not a ground truth of Revisited") as caught:
        dataset().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_published_sizes():
    assert dataset(ROxford5k).sizes() == {"query": 70, "database": 4993}
    assert dataset(RParis6k).sizes() == {"query": 70, "database": 6322}
    assert ROxford5k.judged_by == "revisited"
