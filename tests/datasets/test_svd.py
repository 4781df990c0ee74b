"""SVD from small files in the published layout, with frames beside them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench.data import splits
from bench.datasets.svd import Svd
from bench.errors import DataError, MissingDataError
from bench.metrics.videos import Videos
from bench.types import RankingRule, Retrieval
from tests.layouts import FRAMES, picture, write_svd


def dataset(**params):
    return Svd(Svd.Params(**{"side": 16, **params}))


def videos_of(images, index):
    """Name and number of frames of each video of a part."""
    names = [images.pixels.paths[i].parent.name for i in index]
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("suffix", ["", ".mp4"])
def test_published_layout(tmp_path, suffix):
    write_svd(tmp_path, suffix=suffix)
    assert dataset().prepare(tmp_path).startswith("svd: frames of 5 query, 11 train, 16 database in")
    images = dataset().load(tmp_path)
    parts = dataset(val_share=0.3).splits(images)
    assert videos_of(images, parts.query) == {"q1": 3, "q2": 2}
    # Candidates in tests and what nobody labelled; no query, not even where it was judged for another.
    assert videos_of(images, parts.database) == {"l1": 5, "l2": 1, "l3": 2, "u1": 7, "u2": 1}
    training = {**videos_of(images, parts.train), **videos_of(images, parts.val)}
    assert training == {video: FRAMES[video] for video in ("qt", "lt1", "lt2", "l3")}
    # All frames of a video are on one side.
    assert not set(videos_of(images, parts.train)) & set(videos_of(images, parts.val))
    assert len(videos_of(images, parts.val)) == 1
    # Without labels no epoch can be chosen: nothing is held out that nobody asks for.
    assert len(dataset().splits(images).val) == 0
    assert videos_of(images, dataset().splits(images).train) == training
    assert images.multi_hot(parts.train).sum(1).min() == 1
    for part in (parts.query, parts.train, parts.val, parts.database):
        assert (np.diff(part) > 0).all()
    splits.manifest(images, parts)
    assert images.pixels[parts.query].shape == (5, 3, 16, 16)


def test_truth_is_by_video(tmp_path):
    write_svd(tmp_path)
    images = dataset().load(tmp_path)
    names = {
        int(v): path.parent.name for v, path in zip(images.truth.videos, images.pixels.paths, strict=True)
    }
    assert len(names) == len(set(names.values())) == 10
    assert np.bincount(images.truth.videos).tolist() == [FRAMES[names[v]] for v in range(10)]
    judged = {names[q]: {names[v]: yes for v, yes in one.items()} for q, one in images.truth.judged.items()}
    assert judged == {
        "q1": {"l1": True, "l2": False},
        "q2": {"l2": True, "l3": True, "q1": False},
        "qt": {"lt1": True, "lt2": False, "l3": False},
    }


def test_each_query_has_its_own_candidates(tmp_path):
    write_svd(tmp_path)
    images = dataset().load(tmp_path)
    parts = dataset().splits(images)
    # Every frame of a video is the same; the angle to both queries is by video.
    by_name = {"l3": 0.1, "l1": 0.3, "u1": 0.2, "l2": 0.4, "u2": 0.5}
    angles = np.array([by_name.get(path.parent.name, 0.0) for path in images.pixels.paths])
    units = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    arrays = [array[part] for array in (units, images.labels) for part in (parts.query, parts.database)]
    subject = Retrieval(*arrays, 0, RankingRule(), parts.query, parts.database, images.truth)
    found = Videos(Videos.Params(ks=(1,))).compute(subject)
    # q1: u1, l1 (right), l2, u2 without l3; q2: l3 (right), u1, l2 (right), u2 without l1.
    np.testing.assert_allclose(found.per_query["map_videos@all"], [1 / 2, (1 + 2 / 3) / 2])
    np.testing.assert_allclose(found.per_query["map_videos@1"], [0, 1])
    assert found.values["map_videos@all"].detail["database"] == 5


def test_frames_are_spread_evenly(tmp_path):
    write_svd(tmp_path)
    images = dataset(max_frames=3).load(tmp_path)
    frames = [path.name for path in images.pixels.paths if path.parent.name == "u1"]
    assert frames == ["0000.jpg", "0003.jpg", "0006.jpg"]
    assert max(videos_of(images, range(len(images))).values()) == 3
    assert "svd-f3-" in dataset(max_frames=3).splits(images).protocol


def test_hidden_files_are_no_frames(tmp_path):
    write_svd(tmp_path)
    before = dataset().load(tmp_path).pixels.paths
    for name in ("l2/._0000.jpg", "u1/.thumbnails/0001.jpg"):
        picture(tmp_path / "SVD/frames" / name, (0, 0, 0))
    pixels = dataset().load(tmp_path).pixels
    assert pixels.paths == before
    assert pixels.left_out.hidden == 2


def test_nothing_is_labelled():
    assert not dataset().labelled
    assert Svd.judged_by == "frames"
    assert dataset().sizes() == {}


def test_what_is_missing(tmp_path):
    where = re.escape(str(tmp_path / "SVD"))
    with pytest.raises(MissingDataError, match=f"svd: .* not in {where}; .*60 frames of every video, evenly"):
        dataset().prepare(tmp_path)
    write_svd(tmp_path)
    for path in (tmp_path / "SVD/frames/u2").iterdir():
        path.unlink()
    with pytest.raises(
        MissingDataError, match=r"1 of 10 videos have no frames in .*\(first: 'u2'\); extract"
    ):
        dataset().load(tmp_path)


@pytest.mark.parametrize("line", ["q1 l1", "q1 l1 2", "q1 l1 1 0"])
def test_lines_that_say_something_else(tmp_path, line):
    write_svd(tmp_path, suffix="", test_groundtruth=["q1 l1 1", "", line])
    with pytest.raises(DataError, match=f"test_groundtruth:3: '{line}' is not"):
        dataset().load(tmp_path)


def test_lists_that_do_not_fit_together(tmp_path):
    write_svd(tmp_path, suffix="", test_groundtruth=["x1 l1 1"])
    with pytest.raises(
        DataError, match="test_groundtruth: query 'x1' is not in query-id; fetch the lists again"
    ):
        dataset().load(tmp_path)
    write_svd(tmp_path, test_groundtruth=[])
    with pytest.raises(DataError, match="test_groundtruth: no queries"):
        dataset().load(tmp_path)
