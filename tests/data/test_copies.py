"""Copies across splits: counted as by a loop over pairs, with few files read; told in plans and records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import copies
from bench.data.copies import PAIRS, Copies, count
from bench.data.image_files import ImageFiles
from bench.errors import DataError
from bench.results.folder import load_results
from bench.types import ImageSet, Splits

SIZES = {"query": 4, "train": 6, "val": 3, "database": 9}


def parted(numbers):
    """Splits of 22 images; training images are in the database, too, and one image is in no part."""
    order = np.random.default_rng(numbers).permutation(20)
    query, train, val, rest = np.split(order, [4, 10, 13])
    database = np.concatenate([train[:2], rest])
    return Splits("x", *(np.sort(part) for part in (query, train, val, database)))


def image_set(pixels):
    return ImageSet(pixels, np.zeros(len(pixels), np.int64), 1)


def by_hand(pictures, parts):
    """``pictures`` are compared as they are, one with all."""
    found = {}
    for one, other in PAIRS:
        pairs = [
            (i, j) for i in getattr(parts, one) for j in getattr(parts, other) if pictures[i] == pictures[j]
        ]
        found[f"{one} in {other}"] = len({i for i, _ in pairs})
    return found


@given(st.lists(st.integers(0, 12), min_size=20, max_size=20), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_pictures_in_memory_are_compared_pixel_by_pixel(tmp_path_factory, kinds, seed):
    pixels = np.zeros((20, 1, 4, 5), np.uint8)
    pixels[:, 0, 3, 4] = kinds
    parts = parted(seed)
    found = count(image_set(pixels), parts, "hash", tmp_path_factory.mktemp("memory"))
    assert found.counts == by_hand(kinds, parts)
    assert found.sizes == SIZES


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=20, max_size=20),
       st.integers(0, 99))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_files_are_compared_byte_by_byte(tmp_path_factory, kinds, seed):
    """They differ at their beginning, in their length, or at their end."""
    folder, parts = tmp_path_factory.mktemp("files"), parted(seed)
    paths = [folder / f"{number}.jpg" for number in range(20)]
    contents = [bytes([first]) + bytes(5000 * more) + bytes([last]) for first, more, last in kinds]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    found = count(image_set(ImageFiles(tuple(paths), 16)), parts, "hash", folder / "memory")
    assert found.counts == by_hand(contents, parts)


@pytest.fixture
def files(tmp_path):
    """20 files, the query 0 of them a copy of 9, in the database, and others of its length."""
    paths = tuple(tmp_path / f"{number:02}.jpg" for number in range(20))
    for number, path in enumerate(paths):
        path.write_bytes(bytes([9 if number == 0 else number]) * (100 if number < 12 else 101 + number))
    indices = np.arange(20)
    return image_set(ImageFiles(paths, 16)), Splits("x", indices[:4], indices[4:6], indices[6:8], indices[8:])


def test_one_file_under_one_name_is_no_copy(files):
    images, parts = files
    paths = images.pixels.paths
    same = ImageFiles((paths[9], *paths[1:]), 16, "crop", {0: (0, 0, 5, 5), 9: (5, 0, 10, 5)})
    assert not any(count(image_set(same), parts, "hash", paths[0].parent / "memory").counts.values())


def test_counts_are_remembered(files, tmp_path, monkeypatch):
    images, parts = files
    count(images, parts, "hash", tmp_path / "memory", remember=False)
    assert not (tmp_path / "memory").exists()
    first = count(images, parts, "hash", tmp_path / "memory")
    with monkeypatch.context() as nothing:
        nothing.setattr(copies, "_counted", None)
        assert count(images, parts, "hash", tmp_path / "memory") == first
    (memory,) = (tmp_path / "memory").iterdir()
    memory.write_text("{")
    assert count(images, parts, "hash", tmp_path / "memory") == first


def test_a_folder_that_cannot_be_written_is_no_error(files, tmp_path):
    (tmp_path / "memory").write_text("no folder")
    assert count(*files, "hash", tmp_path / "memory").counts["query in database"] == 1


def test_a_file_that_is_gone_is_named(files, tmp_path):
    files[0].pixels.paths[3].unlink()
    with pytest.raises(DataError, match="03.jpg: no such image"):
        count(*files, "hash", tmp_path / "memory")


def test_sentences():
    sizes = {"query": 2000, "val": 50, "train": 2000, "database": 30_000}
    counts = {"query in database": 1200, "query in train": 0, "query in val": 3, "val in train": 1}
    assert Copies(sizes, counts).sentences() == [
        "1,200 of 2,000 queries have an equal picture in the database (copies under other names)",
        "3 of 2,000 queries have an equal picture in the validation images (copies under other names)",
        "1 of 50 validation images have an equal picture in the training images (copies under other names)",
    ]
    assert Copies(sizes, dict.fromkeys(counts, 0)).sentences() == []


# -- What people see -----------------------------------------------------------------------------

FOLDER = (
    "[synthetic]",
    "[{name: image_folder, params: {folder: noise, side: 16, query_per_class: 4, train_per_class: 8, "
    "val_per_class: 2}}]",
)
SENTENCE = "5 of 12 queries have an equal picture in the database (copies under other names)"


@pytest.fixture
def noise(folder):
    """72 pictures of noise in three classes; five queries lie in the database under another name, too."""
    rng = np.random.default_rng(0)
    for label in range(3):
        (folder / f"data/noise/{label}").mkdir(parents=True)
        for number in range(24):
            pixels = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"data/noise/{label}/{number:02}.png")
    from bench.datasets.image_folder import ImageFolder

    quotas = {"query_per_class": 4, "train_per_class": 8, "val_per_class": 2}
    plugin = ImageFolder(ImageFolder.Params.of({"folder": "noise", "side": 16, **quotas}))
    images = plugin.load(folder / "data")
    parts = plugin.splits(images)
    paths, others = images.pixels.paths, np.setdiff1d(parts.database, [*parts.train, *parts.val])
    for query, item in zip(parts.query[:5], others, strict=False):
        paths[item].write_bytes(paths[query].read_bytes())


def test_plan_and_record_tell_and_no_key_changes(noise, tiny, folder, monkeypatch):
    told = json.loads(tiny("plan", "--json", edit=FOLDER).out)
    ((name, counts),) = told["copies"].items()
    assert counts == {"query in database": 5, "query in train": 0, "query in val": 0, "val in train": 0}
    assert f"{name}: {SENTENCE}" in told["warnings"]
    assert f"Copies: {name}: {SENTENCE}" in tiny("plan", edit=FOLDER).out
    only = ("--only", "loss=csq", "--only", "method=none")
    assert f"\nwarning: 1 cell: {SENTENCE}\n" in tiny("run", *only, edit=FOLDER).out
    (record,) = load_results(Path("results/tiny")).records
    # Codes that were trained on noise are warned of, too.
    assert record.warnings[0] == SENTENCE
    monkeypatch.setattr(Copies, "sentences", lambda self: [])
    (cell,) = json.loads(tiny("plan", "--json", *only, edit=FOLDER).out)["cells"]
    assert cell["key"] == record.cell_key


def test_a_plan_writes_nothing(noise, tiny, folder):
    assert SENTENCE in tiny("plan", edit=FOLDER).out
    assert not (folder / "cache").exists()


def test_data_prepare_tells(noise, bench, folder, monkeypatch):
    assert "\ncopies: no query or validation image has" in bench("data", "prepare", "digits").out
    monkeypatch.setattr(Copies, "sentences", lambda self: [SENTENCE])
    assert bench("data", "prepare", "digits").out.endswith(f"\ncopies: {SENTENCE}\n")
