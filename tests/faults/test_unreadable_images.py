"""Images that cannot be read: all named before anything is trained, or left out, counted and in the key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import contents, skipping
from bench.data.image_files import ImageFiles
from bench.data.image_lists import PartedImages
from bench.datasets.image_folder import ImageFolder
from bench.errors import DataError
from bench.results.folder import load_results
from bench.types import CameraTruth, FrameTruth, ImageSet, RevisitedTruth
from tests.faults import photos
from tests.faults.photos import ONE


def spoil(paths):
    """Damage as it happens: cut, emptied, another content, no file at all, and only names of files left."""
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[: len(whole) // 2])
    paths[1].write_bytes(b"")
    paths[2].write_bytes(b"<html>404</html>")
    paths[3].unlink()
    os.mkfifo(paths[3])
    data = bytearray(whole)
    data[60] ^= 0xFF  # a checksum
    paths[4].write_bytes(data)
    return paths[:5]


@pytest.fixture
def damaged(folder):
    """40 photos, of which 35 can be read."""
    paths = photos.write(folder / "data")
    return [spoil(paths), paths]


def test_a_run_names_all_before_it_trains(damaged, tiny, folder):
    bad, _ = damaged
    bad[3].unlink()  # else the plan is refused
    bad[3].write_bytes(b"GIF89a")
    failed = tiny("run", *ONE, edit=photos.grid())
    assert failed.code == 2
    assert "5 of 40 images cannot be read; 'data check' lists them;" in failed.err
    for path in bad:
        assert f"{path}: not a readable image (" in failed.err
    assert "unreadable: skip" in failed.err
    assert not (folder / "cache/finetune").exists()
    assert not list(Path("results/tiny/records").glob("*.json"))


def test_only_the_first_ones_are_named(folder, tiny):
    paths = photos.write(folder / "data")
    for path in paths[:30]:
        path.write_bytes(b"")
    failed = tiny("run", *ONE, edit=photos.grid())
    assert failed.code == 2
    assert failed.err.count("PIL knows no such format") == 20
    assert "\n  and 10 more\n" in failed.err


def test_a_plan_is_refused_where_an_image_is_none(damaged, tiny):
    failed = tiny("plan", edit=photos.grid())
    assert failed.code == 2
    assert "03.png: not a readable image (not a file but a pipe, a socket or a device)" in failed.err


def test_skipped_images_are_counted_and_in_the_key(damaged, tiny, folder):
    bad, _ = damaged
    grid = photos.grid(unreadable="skip", train_per_class=6)
    done = tiny("run", *ONE, edit=grid)
    assert done.code == 0, done.err
    sentence = "5 of 40 images cannot be read and were left out (first: class0/00.png)"
    assert f"warning: 1 cell: {sentence}" in done.out
    (record,) = load_results(Path("results/tiny")).records
    assert sentence in record.warnings
    (split,) = Path("results/tiny/splits").iterdir()
    manifest = json.loads(split.read_text())
    assert manifest["skipped"] == [f"class0/{number:02}.png" for number in range(5)]
    assert manifest["images"] == 35
    assert "nothing to do" in tiny("run", *ONE, edit=grid).out
    # A good copy is put there: other data.
    bad[1].unlink()
    Image.fromarray(photos.picture(0, 1)).save(bad[1])
    again = tiny("run", *ONE, edit=grid)
    assert "4 of 40 images cannot be read" in again.out
    assert "nothing to do" not in again.out


def test_a_plan_that_looks_at_few_files_takes_all_for_readable(damaged, tiny, monkeypatch):
    monkeypatch.setattr(contents, "QUICK_FILES", 3)
    told = json.loads(tiny("plan", "--json", edit=photos.grid(unreadable="skip")).out)
    assert "nobody has looked into 39 image files" in told["unseen"][0]


def test_nothing_readable_is_an_error(folder):
    paths = photos.write(folder / "data")
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="40 of 40 images cannot be read"):
        ImageFolder(ImageFolder.Params.of({"folder": "photos", "unreadable": "skip"})).load(folder / "data")


def test_small_classes_are_counted_without_those_that_are_skipped(damaged, folder):
    params = {"folder": "photos", "unreadable": "skip", "min_per_class": 20}
    paths = damaged[1]
    for number in range(20, 23):
        Image.fromarray(photos.picture(3, number)).save(paths[-1].with_name(f"{number}.png"))
    (folder / "data/photos/class2").mkdir()
    for number in range(20):
        Image.fromarray(photos.picture(2, number)).save(folder / f"data/photos/class2/{number}.png")
    images = ImageFolder(ImageFolder.Params.of(params)).load(folder / "data")
    assert list(images.names) == ["class1", "class2", "class0"]
    assert np.bincount(images.labels).tolist() == [23, 20, 15]


# -- Whatever is known of images ----------------------------------------------------------------------


def test_what_is_known_of_the_others_stays(tmp_path):
    paths = tuple(tmp_path / f"{number}.png" for number in range(6))
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(path)
    for number in (1, 3):
        paths[number].write_bytes(b"")
    files = ImageFiles(paths, 8, boxes={0: (0, 0, 5, 5), 4: (1, 1, 9, 9)}, unreadable="skip")
    rows = [np.array([1, 2, 5]), np.array([3])]
    parts = {"query": np.array([0, 1]), "database": np.array([2, 3, 4, 5])}
    for truth in (
        CameraTruth(np.arange(6)),
        FrameTruth(np.arange(6), {0: {2: True}}),
        RevisitedTruth({0: rows[0], 1: rows[1]}, {0: rows[1]}, {1: rows[0]}),
    ):
        images = PartedImages(files, np.arange(6), 6, truth=truth, parts=parts)
        kept = skipping.readable(images)
        assert kept.labels.tolist() == [0, 2, 4, 5]
        assert kept.pixels[np.arange(4)][:, 0, 0, 0].tolist() == [0, 2, 4, 5]
        assert kept.pixels.boxes == {0: (0, 0, 5, 5), 2: (1, 1, 9, 9)}
        assert {part: some.tolist() for part, some in kept.parts.items()} == {
            "query": [0],
            "database": [1, 2, 3],
        }
        assert kept.pixels.skipped == ("1.png", "3.png")
        if isinstance(truth, CameraTruth):
            assert kept.truth.cameras.tolist() == [0, 2, 4, 5]
        elif isinstance(truth, FrameTruth):
            assert kept.truth == FrameTruth(kept.truth.videos, {0: {2: True}})
            assert kept.truth.videos.tolist() == [0, 2, 4, 5]
        else:
            assert {q: some.tolist() for q, some in kept.truth.easy.items()} == {0: [1, 3]}
            assert {q: some.tolist() for q, some in kept.truth.hard.items()} == {0: []}
            assert kept.truth.junk == {}


def test_a_truth_that_nobody_knows_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    files = ImageFiles((tmp_path / "a.png", tmp_path / "b.png"), 8, unreadable="skip")
    with pytest.raises(DataError, match="cannot leave images out of a Mine"):
        skipping.readable(ImageSet(files, np.arange(2), 2, truth=type("Mine", (), {})()))


# -- data check ---------------------------------------------------------------------------------------


def asked(*more):
    return ["--set", "folder=photos", *more]


@pytest.mark.parametrize("more", [(), ("--set", "unreadable=skip")])
def test_check_lists_all_with_reasons(damaged, bench, more):
    found = bench("data", "check", "image_folder", *asked(*more))
    assert found.code == 1, found.err
    bad, _ = damaged
    lines = found.out.splitlines()
    assert [line.partition(": ")[0] for line in lines[:-1]] == [str(path) for path in bad]
    assert lines[-1] == "image_folder: 5 of 40 images cannot be read"
    assert "PIL knows no such format" in lines[1]
    assert "not a file but a pipe" in lines[3]


def test_check_of_good_data_is_fine(folder, bench, tiny):
    photos.write(folder / "data")
    good = bench("data", "check", "image_folder", *asked())
    assert (good.code, good.out) == (0, "image_folder: 40 images, all can be read\n")
    (folder / "grid.yaml").write_text("")
    tiny("plan", edit=photos.grid())
    of_grid = bench(
        "data", "check", "--grid", "grid.yaml", "--include", Path(__file__).parents[1] / "plugins/tiny.py"
    )
    assert (of_grid.code, of_grid.out) == (0, good.out)
    assert bench("data", "check", "digits").out == "digits: 1,797 images in memory, nothing to decode\n"


def test_check_of_what_is_not_there_is_another_code(folder, bench):
    missing = bench("data", "check", "image_folder")
    assert missing.code == 2
    assert "image_folder: " in missing.err
    assert bench("data", "check").code == 2
