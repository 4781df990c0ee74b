"""Pictures that change are other data, whatever their names, sizes and times say; copies of them are not."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data import contents, loading
from bench.data.image_files import ImageFiles
from bench.errors import DataError
from bench.results.folder import load_results
from bench.stages.context import Context
from bench.storage import store
from tests.faults import photos
from tests.faults.photos import ONE


@pytest.fixture
def pictures(folder):
    return photos.write(folder / "data")


@pytest.fixture
def aged(monkeypatch):
    """Files of just now count as old ones, which are remembered."""
    monkeypatch.setattr(contents, "_TICK", -3600)


def invert(path, keep_times=True):
    """Other pixels in place: bitmaps of one size each, so that nothing shows outside."""
    times = os.stat(path)
    data = bytearray(path.read_bytes())
    data[54:] = bytes(255 - byte for byte in data[54:])
    path.write_bytes(data)
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def as_bitmaps(paths):
    made = []
    for path in paths:
        made.append(path.with_suffix(".bmp"))
        Image.open(path).save(made[-1])
        path.unlink()
    return made


def test_inverted_pictures_are_run_again(pictures, tiny, folder):
    paths = as_bitmaps(pictures)
    assert "nothing to do" not in tiny("run", *ONE, edit=photos.grid()).out
    assert "nothing to do" in tiny("run", *ONE, edit=photos.grid()).out
    sizes = [path.stat().st_size for path in paths]
    for path in paths[::2]:
        invert(path)
    assert [path.stat().st_size for path in paths] == sizes
    again = tiny("run", *ONE, edit=photos.grid())
    assert again.code == 0
    assert "nothing to do" not in again.out
    assert "all from cache" not in again.out
    (record,) = load_results(Path("results/tiny")).records
    first, second = (json.loads(path.read_text()) for path in Path("results/tiny/splits").iterdir())
    assert first["images_sha256"] != second["images_sha256"]
    assert record.cell.protocol["manifest"] in {
        path.stem[-12:] for path in Path("results/tiny/splits").iterdir()
    }


def test_a_copied_and_touched_tree_keeps_its_keys(pictures, tiny, folder):
    def keys():
        return [cell["key"] for cell in json.loads(tiny("plan", "--json", edit=photos.grid()).out)["cells"]]

    first = keys()
    shutil.move(folder / "data/photos", folder / "elsewhere")
    shutil.copytree(folder / "elsewhere", folder / "data/photos", copy_function=shutil.copyfile)
    assert keys() == first
    for path in pictures:
        os.utime(path, (1, 1))
    assert keys() == first
    pictures[3].rename(pictures[3].with_name("renamed.png"))
    assert keys() != first


def test_a_change_within_one_process_is_seen_at_the_next_look(pictures, aged, folder):
    files = ImageFiles(tuple(pictures), 16)
    first = files.digest()
    Image.fromarray(255 - photos.picture(0, 5)).save(pictures[5])
    assert ImageFiles(tuple(pictures), 16).digest() != first


def test_what_is_remembered_is_not_read_again(pictures, aged, folder, monkeypatch):
    first = ImageFiles(tuple(pictures), 16).digest()
    with monkeypatch.context() as nothing:
        nothing.setattr(contents, "_read", None)
        assert ImageFiles(tuple(pictures), 16).digest() == first
    read = []
    real = contents._read

    def watched(names, places, *rest):
        read.append(len(places))
        return real(names, places, *rest)

    monkeypatch.setattr(contents, "_read", watched)
    # Neither does whether they can be decoded.
    assert not ImageFiles(tuple(pictures), 16).undecodable()
    assert not ImageFiles(tuple(pictures), 16).undecodable()
    os.utime(pictures[7], (1, 1))
    ImageFiles(tuple(pictures), 16).digest()
    assert read == [len(pictures), 1]


def test_a_file_that_changed_just_now_is_not_remembered(pictures, folder):
    ImageFiles(tuple(pictures), 16).digest()
    assert not (folder / "cache/contents").exists()
    for path in pictures[1:]:
        os.utime(path, (1, 1))
    time.sleep(0.01)
    assert contents.look(pictures).unseen == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "folder", "other"])
def test_a_wrong_memory_costs_reading_alone(pictures, aged, folder, damage):
    first = ImageFiles(tuple(pictures), 16).digest()
    (memory,) = (folder / "cache/contents").iterdir()
    data = bytearray(memory.read_bytes())
    memory.unlink()
    if damage == "folder":
        memory.mkdir()
    elif damage != "gone":
        data[len(data) // 2] ^= 64
        memory.write_bytes({"flip": data, "cut": data[:-7], "empty": b"", "other": b"x" * 999}[damage])
    assert ImageFiles(tuple(pictures), 16).digest() == first


def test_another_decoder_decodes_again_and_reads_no_digest_anew(pictures, aged, folder, monkeypatch):
    assert not ImageFiles(tuple(pictures), 16).undecodable()
    monkeypatch.setattr(contents.decoding, "VERSION", 999)
    memory = contents._Memory(contents.root_of([str(path) for path in pictures]))
    assert len(memory._entries) == len(pictures)
    assert not memory._entries["decodes"].any()


def test_the_memory_does_not_grow_for_ever(pictures, aged, folder, monkeypatch):
    monkeypatch.setattr(contents, "_STALE", 10)
    for number in range(8):
        for path in pictures:
            os.utime(path, (number, number))
        ImageFiles(tuple(pictures), 16).digest()
    (memory,) = (folder / "cache/contents").iterdir()
    assert (memory.stat().st_size - 32) / contents._ENTRY.itemsize <= 3 * len(pictures) + 10


def test_what_is_found_is_kept_on_the_way(pictures, aged, folder, monkeypatch):
    monkeypatch.setattr(contents, "_STALE", 0)
    monkeypatch.setattr(contents, "_KEEP", 0)
    monkeypatch.setattr(contents, "_PIECE", 5)
    kept = []
    real = contents._Memory.keep

    def watched(memory, entries, still):
        kept.append(len(entries))
        if len(kept) == 30:
            raise KeyboardInterrupt
        real(memory, entries, still)

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(contents._Memory, "keep", watched)
        contents.look(pictures)
    memory = contents._Memory(contents.root_of([str(path) for path in pictures]))
    assert 29 <= len(memory._entries) <= 30
    contents.look(pictures)
    memory = contents._Memory(contents.root_of([str(path) for path in pictures]))
    assert len(memory._entries) == len(pictures)


def test_processes_that_look_at_once_share_the_work(pictures, aged, folder, monkeypatch):
    monkeypatch.setattr(contents, "_KEEP", 0)
    monkeypatch.setattr(contents, "_PIECE", 1)
    read = []

    def decode(place, file):
        read.append(place)
        time.sleep(0.01)

    def decode_too(place, file):
        if place == 5:  # another process has done the second half
            contents.look(pictures, lambda place, file: None, np.arange(20, 40))
        decode(place, file)

    with monkeypatch.context() as shared:
        shared.setattr(contents, "root_of", lambda names: "one")
        found = contents.look(pictures, decode_too)
    assert set(range(15)) <= set(read)
    assert len(read) < 35, "most of the second half is not read again"
    np.testing.assert_array_equal(found.digests, contents.look(pictures).digests)


def test_an_interruption_waits_for_no_file(pictures, folder, monkeypatch):
    monkeypatch.setattr(contents, "_PIECE", 20)
    slow = []

    def decode(place, file):
        slow.append(place)
        time.sleep(0.05)
        if len(slow) == 3:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        contents.look(pictures, decode)
    count = len(slow)
    time.sleep(0.3)
    assert len(slow) <= count + 1
    assert time.monotonic() - began < 1.5


def _digest(paths: list[Path]) -> str:
    contents._TICK = -3600
    return ImageFiles(tuple(paths), 16).digest()


def test_two_processes_may_look_at_once(pictures, aged, folder):
    with ProcessPoolExecutor(2) as pool:
        found = set(pool.map(_digest, [pictures] * 6))
    assert found == {ImageFiles(tuple(pictures), 16).digest()}
    (memory,) = (store.default_root() / "contents").iterdir()
    assert not list(memory.parent.glob("*.tmp"))


def test_a_plan_of_many_files_knows_names_only_and_says_so(pictures, tiny, aged, folder, monkeypatch):
    monkeypatch.setattr(contents, "QUICK_FILES", 10)
    said = "nobody has looked into 40 image files (0.0 GB), so nothing made of them counts as cached"
    out = tiny("plan", edit=photos.grid()).out
    assert f"Contents: image_folder (image_folder-balanced-q3-t8-s0): {said}" in out
    told = json.loads(tiny("plan", "--json", edit=photos.grid()).out)
    assert said in told["unseen"][0]
    assert said in told["warnings"][0]
    assert all(row["images"] for row in told["stages"] if row["stage"] == "features")
    assert not (folder / "cache").exists(), "a plan writes nothing"
    assert tiny("run", *ONE, edit=photos.grid()).code == 0
    told = json.loads(tiny("plan", "--json", *ONE, edit=photos.grid()).out)
    assert told["unseen"] == []
    assert all(row["cached"] == row["total"] for row in told["stages"])
    assert "nothing to do" in tiny("run", *ONE, edit=photos.grid()).out


def test_a_stage_refuses_other_images_than_its_run_began_with(pictures, folder):
    params = {"folder": "photos", "query_per_class": 3, "train_per_class": 8, "val_per_class": 2}
    found = loading.load("image_folder", params, folder / "data", None)
    block = {"name": "image_folder", "params": params, "limit": None, "manifest": found.manifest_hash}
    context = Context(store.Store(folder / "cache"), folder / "data", torch.device("cpu"), {}, "")
    assert context.dataset(block) is found
    Image.fromarray(photos.picture(0, 5)).save(pictures[6])
    loading.forget()  # as another process has nothing to forget
    with pytest.raises(
        DataError, match="image_folder: its images or splits are not those that this run began"
    ):
        context.dataset(block)


def test_files_that_no_part_has_are_not_looked_into(pictures, folder, monkeypatch):
    params = {"folder": "photos", "query_per_class": 3, "train_per_class": 8, "val_per_class": 2}
    read = []
    real = contents._read

    def watched(names, places, *rest):
        read.extend(places.tolist())
        return real(names, places, *rest)

    monkeypatch.setattr(contents, "_read", watched)
    loading.forget()
    loaded = loading.load("image_folder", params, folder / "data", 4)
    parts = loaded.splits
    used = np.unique(np.concatenate([parts.query, parts.train, parts.val, parts.database]))
    assert sorted(read) == used.tolist()
    assert len(used) < len(pictures)


def test_progress_is_told(pictures, folder, monkeypatch, caplog):
    monkeypatch.setattr(contents._Advance, "tell", contents._Advance.tell)
    monkeypatch.setattr(contents, "_PIECE", 5)
    moments = iter(range(0, 10_000, 10))
    monkeypatch.setattr(contents.time, "monotonic", lambda: next(moments))
    with caplog.at_level("INFO", logger="bench"):
        contents.look(pictures)
    assert "looking into files: 5 of 40 (0.0 GB), " in caplog.text
    assert " s left" in caplog.text
