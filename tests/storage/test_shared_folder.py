"""Whether a folder can be shared: what holds here, and file systems that do not keep their promises."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bench.storage import shared_folder


def found(folder: Path) -> dict[str, shared_folder.Finding]:
    return {finding.name: finding for finding in shared_folder.examine(folder)}


def test_a_folder_of_this_machine_keeps_every_promise_but_that_others_see_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folder, "LOCAL", {shared_folder.file_system(tmp_path)})
    findings = found(tmp_path)
    assert findings.pop("file system").verdict == "doubt"
    findings.pop("room")  # as may be
    findings.pop("speed")
    assert {finding.verdict for finding in findings.values()} == {"ok"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "nowhere"])
def test_what_is_no_folder_is_no_finding(tmp_path, name):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=name):
        shared_folder.examine(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_creation_that_several_win(tmp_path, monkeypatch):
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *mode: really(path, flags & ~os.O_EXCL, *mode))
    finding = found(tmp_path)["claims"]
    assert finding.verdict == "bad"
    assert "8 of 8 have created the same file" in finding.text


def test_renames_that_several_win(tmp_path, monkeypatch):
    def copied(path: Path, to: Path) -> None:
        to.write_bytes(path.read_bytes())  # and the old one stays

    monkeypatch.setattr(Path, "rename", copied)
    finding = found(tmp_path)["rename"]
    assert (finding.verdict, finding.text) == ("bad", "8 of 8 have renamed the same file")


def test_folders_that_replace_others(tmp_path, monkeypatch):
    really = Path.rename

    def replaced(path: Path, to: Path) -> Path:
        if to.is_dir():
            really(to, to.with_name("gone"))
        return really(path, to)

    monkeypatch.setattr(Path, "rename", replaced)
    finding = found(tmp_path)["rename"]
    assert finding.verdict == "bad"
    assert "a folder takes the place of another one" in finding.text


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refused(*paths: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    finding = found(tmp_path)["hard links"]
    assert finding.verdict == "doubt"
    assert "Operation not permitted" in finding.text


def test_times_that_stand_still(tmp_path, monkeypatch):
    really = os.fstat

    class Still:
        st_mtime_ns = 0

        def __init__(self, descriptor: int) -> None:
            self._stat = really(descriptor)

        def __getattr__(self, name: str) -> object:
            return getattr(self._stat, name)

    monkeypatch.setattr(os, "fstat", Still)
    monkeypatch.setattr(shared_folder, "COARSE", 0.05)
    finding = found(tmp_path)["signs of life"]
    assert finding.verdict == "bad"
    assert "every worker would seem dead" in finding.text


def test_a_clock_of_the_server_that_is_hours_off_does_no_harm(tmp_path, monkeypatch):
    really = shared_folder.time.time
    monkeypatch.setattr(shared_folder.time, "time", lambda: really() + 7200)
    finding = found(tmp_path)["signs of life"]
    assert finding.verdict == "ok"
    assert "-7200.0 s off" in finding.text
    assert "does no harm" in finding.text


def test_slow_and_full_ones_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folder, "UNNOTICED", 0.0)
    monkeypatch.setattr(shared_folder, "ROOM", 1e18)
    findings = found(tmp_path)
    assert findings["speed"].verdict == findings["room"].verdict == "doubt"


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "a / ext4 rw 0 0\n"
        f"b {tmp_path} nfs4 rw 0 0\n"
        f"c {tmp_path}/with\\040space fuse.s3fs rw 0 0\n"
        f"d {tmp_path}/wit lustre rw 0 0\n"
    )
    really = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, **options: really(mounts if path == "/proc/self/mounts" else path, **options),
    )
    (spaced := tmp_path / "with space/inner").mkdir(parents=True)
    assert shared_folder.file_system(spaced) == "fuse.s3fs"
    assert shared_folder.file_system(tmp_path / "with") == "nfs4"
    assert found(spaced)["file system"].verdict == "bad"
    assert found(tmp_path)["file system"].verdict == "ok"
