"""Artifacts are there whole or not at all, and what is damaged is made again."""

from __future__ import annotations

import errno
import logging
import multiprocessing
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.storage import store
from bench.storage.artifact_index import INDEX
from bench.storage.store import Store


@pytest.fixture
def artifact(tmp_path):
    """A store with one artifact."""
    made = Store(tmp_path / "cache")
    folder = made.path("encode", "some cell", "ab" * 32)
    with made.write(folder, {"kind": "encode"}) as (temporary, summary):
        (temporary / "codes.bin").write_bytes(b"0123")
        summary["images"] = 4
    return made, folder


def test_what_was_written_is_found_by_another_process(artifact):
    made, folder = artifact
    index = Store(made.root).verify(folder)
    assert index["summary"] == {"images": 4}
    assert index["files"]["codes.bin"]["bytes"] == 4
    assert folder.name == "some-cell-abababababab"
    assert [found["kind"] for found in made.history()] == ["encode"]


@pytest.mark.parametrize("damage", ["change", "shorten", "remove", "no index", "half an index"])
def test_damage_is_seen_set_aside_and_reported(artifact, damage, caplog):
    made, folder = artifact
    data, index = folder / "codes.bin", folder / INDEX
    if damage == "change":
        data.write_bytes(b"0124")
    elif damage == "shorten":
        data.write_bytes(b"01")
    elif damage == "remove":
        data.unlink()
    elif damage == "no index":
        index.unlink()
    else:
        index.write_text(index.read_text()[:30])
    logging.getLogger("bench").propagate = True
    with caplog.at_level(logging.WARNING):
        assert Store(made.root).verify(folder) is None
    assert "damaged or incomplete" in caplog.text
    assert not folder.exists()
    assert len(list((made.root / "damaged").iterdir())) == 1


def test_an_error_while_writing_leaves_nothing(artifact):
    made, _ = artifact
    folder = made.path("encode", "other", "cd" * 32)
    with pytest.raises(KeyboardInterrupt), made.write(folder, {}) as (temporary, _):
        (temporary / "codes.bin").write_bytes(b"01")
        raise KeyboardInterrupt
    assert [path.name for path in folder.parent.iterdir()] == ["some-cell-abababababab"]
    assert made.verify(folder) is None


def test_what_a_killed_run_left_is_removed(artifact):
    made, folder = artifact
    left = folder.with_name(f".{folder.name}.4194999")
    left.mkdir()
    (left / "half").write_text("")
    with made.write(folder, {}):
        pass
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_another_run_has_just_put_there_is_not_set_aside(artifact, monkeypatch):
    made, folder = artifact
    other = Store(made.root)
    looked, right = [], Store.intact

    def too_early(store, place):
        looked.append(place)
        return None if len(looked) == 1 else right(store, place)

    monkeypatch.setattr(Store, "intact", too_early)
    assert other.verify(folder) is not None
    assert folder.is_dir()


def test_who_holds_an_artifact_may_verify_it(artifact):
    made, folder = artifact
    (folder / "codes.bin").write_bytes(b"4567")
    with made.lock(folder):
        assert made.verify(folder) is None
    assert not folder.exists()


def test_what_is_set_aside_is_not_made_from_the_same_file_again(artifact):
    made, folder = artifact
    (made.partial(folder) / "rows").hardlink_to(folder / "codes.bin")
    (folder / "codes.bin").write_bytes(b"4567")
    assert Store(made.root).verify(folder) is None
    assert not list(made.partial(folder).iterdir())


def test_an_artifact_is_replaced_whole(artifact):
    made, folder = artifact
    with made.write(folder, {"kind": "encode"}) as (temporary, _):
        (temporary / "codes.bin").write_bytes(b"new")
        assert (folder / "codes.bin").read_bytes() == b"0123"
    assert (folder / "codes.bin").read_bytes() == b"new"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def _make_under_lock(root: Path, folder: Path, log: Path) -> None:
    made = Store(root)
    with made.lock(folder):
        if made.verify(folder) is None:
            with made.write(folder, {}) as (temporary, _), log.open("a") as file:
                (temporary / "x").write_text("x")
                file.write("made\n")


def test_two_runs_at_once_make_an_artifact_once(tmp_path):
    folder = Store(tmp_path).path("encode", "x", "ef" * 32)
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_under_lock, args=(tmp_path, folder, log)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert log.read_text() == "made\n"
    assert all(process.exitcode == 0 for process in processes)


def test_a_root_that_is_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    made = Store(tmp_path / "file")
    with pytest.raises(UsageError, match="BENCH_CACHE"), made.lock(made.path("a", "b", "c" * 64)):
        pass


def test_an_artifact_is_found_by_its_key_whatever_its_slug(tmp_path):
    made = Store(tmp_path)
    for slug, key in (("one", "ab" * 32), ("other", "ab" * 6 + "cd" * 26)):
        with made.write(made.path("encode", slug, key), {"kind": "encode", "key": key}):
            pass
    assert made.find("encode", "ab" * 32).name == "one-abababababab"
    assert made.find("encode", "ab" * 6 + "cd" * 26).name == "other-abababababab"
    assert made.find("encode", "ab" * 6 + "ef" * 26) is None
    assert made.find("finetune", "ab" * 32) is None


def test_who_only_reads_moves_nothing(artifact):
    made, folder = artifact
    (folder / "codes.bin").write_bytes(b"4567")
    assert Store(made.root).intact(folder) is None
    assert folder.is_dir()
    assert not (made.root / "damaged").exists()


def test_a_copy_is_a_copy_and_found_there(artifact, tmp_path):
    made, folder = artifact
    other = Store(tmp_path / "other")
    made.copy(folder, other)
    copied = other.root / "encode" / folder.name
    assert other.verify(copied) == made.verify(folder)
    assert (copied / "codes.bin").stat().st_ino != (folder / "codes.bin").stat().st_ino
    assert [path.name for path in copied.parent.iterdir()] == [folder.name]


def test_a_copy_takes_the_place_of_a_damaged_one_and_of_what_a_killed_run_left(artifact, tmp_path):
    made, folder = artifact
    other = Store(tmp_path / "other")
    made.copy(folder, other)
    copied = other.root / "encode" / folder.name
    (copied / "codes.bin").write_bytes(b"01")
    copied.with_name(f".{folder.name}.4194999").mkdir()
    made.copy(folder, other)
    assert Store(other.root).verify(copied)
    assert [path.name for path in copied.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("fault", ["disk full", "damaged"])
def test_a_copy_that_fails_leaves_nothing(artifact, tmp_path, monkeypatch, fault):
    made, folder = artifact
    if fault == "damaged":
        (folder / "codes.bin").write_bytes(b"4567")
        said = "differs"
    else:

        def full(source, to):
            Path(to).write_bytes(b"0")
            raise OSError(errno.ENOSPC, "No space left on device", str(to))

        monkeypatch.setattr(store.shutil, "copyfile", full)
        said = "No space left"
    with pytest.raises(OSError, match=said):
        made.copy(folder, Store(tmp_path / "other"))
    assert not [path for path in (tmp_path / "other").rglob("*") if path.name != "encode"]


def test_files_are_as_readable_as_each_other(tmp_path):
    """Some libraries write files that only their owner may read."""
    store = Store(tmp_path)
    folder = store.path("kind", "slug", "0" * 64)
    with store.write(folder, {}) as (temporary, _):
        (temporary / "tensors").write_bytes(b"")
        (temporary / "tensors").chmod(0o600)
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
