"""``encode`` as a person or a program meets it."""

from __future__ import annotations

import logging

import pytest
from PIL import Image

from bench.cli import encode as verb
from bench.deployment.code_files import CodeFile
from bench.deployment.encode import Progress
from bench.errors import shortened
from tests.deployment.bundles import write_bundle


@pytest.fixture
def album(folder):
    """Twelve photos, and a bundle beside them."""
    write_bundle(folder / "bundle", 32)
    (folder / "album" / ".hidden").mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (20, 20), (20 * number, 99, 9)).save(folder / "album" / f"{number:02}.png")
    return folder / "album"


def test_codes_are_made_and_made_again_only_where_they_must(bench, album, folder):
    first = bench("encode", "bundle", "album")
    assert (first.code, first.err) == (0, "hidden files and folders passed over: 1\n")
    assert first.out.startswith("codes.npz: 12 codes of 32 bits, 12 of them new in ")
    assert first.out.endswith("/s)\n")
    again = bench("encode", "bundle", "album")
    assert (again.code, again.out) == (0, "codes.npz: 12 codes of 32 bits, 0 of them new\n")
    assert CodeFile(folder / "codes.npz").rows == 12
    assert sorted(path.name for path in folder.iterdir()) == ["album", "bundle", "codes.npz"]


def test_nobody_needs_to_watch(bench, album, folder, monkeypatch):
    """Stderr may be closed, as some services have it."""
    monkeypatch.setattr(verb.sys, "stderr", None)
    assert bench("encode", "bundle", "album").out.startswith("codes.npz: 12 codes of 32 bits")
    verb.sys.stderr.close()  # what takes its place


def test_embeddings_are_called_so(bench, album, folder):
    write_bundle(folder / "vectors", 0, 5)
    result = bench("encode", "vectors", "album", "--out", "out/vectors.npz", "-q")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("out/vectors.npz: 12 embeddings of 5 dimensions, 12 of them new in ")


def test_what_cannot_be_read_is_listed_and_left_out(bench, album, folder):
    (album / "13.png").write_bytes(b"no image")
    result = bench("encode", "bundle", "album", "album/00.png")
    assert result.code == 1
    assert "12 codes of 32 bits, 12 of them new" in result.out
    listing = folder / "codes.npz.unreadable.txt"
    assert listing.read_text() == f"{album / '13.png'}: PIL knows no such format\n"
    assert result.err.splitlines()[-2:] == [
        f"left out: {album / '13.png'}: PIL knows no such format",
        "images that cannot be read: 1, all listed in codes.npz.unreadable.txt",
    ]
    (album / "13.png").unlink()
    assert bench("encode", "bundle", "album").code == 0
    assert not listing.exists()


def test_of_many_that_cannot_be_read_the_first_are_shown_and_all_counted(bench, album, folder):
    for number in range(25):
        (album / f"bad\n{number:02}.png").write_bytes(b"")
    result = bench("encode", "bundle", "album", "-q")
    lines = result.err.splitlines()
    assert result.code == 1
    assert len(lines) == 11
    assert lines[0] == f"left out: {album}/bad\\n00.png: PIL knows no such format"
    assert lines[-1].endswith(": 25, all listed in codes.npz.unreadable.txt (15 more than shown)")
    assert len((folder / "codes.npz.unreadable.txt").read_text().splitlines()) == 25


def test_where_no_image_can_be_read_no_file_is_named(bench, album, folder):
    for path in album.glob("*.png"):
        path.write_bytes(b"")
    result = bench("encode", "bundle", "album", "-q")
    assert (result.code, result.out) == (1, "no image could be read: codes.npz was not written\n")
    assert not (folder / "codes.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["encode"], "Missing argument 'BUNDLE'"),
        (["encode", "bundle"], "Missing argument 'IMAGES...'"),
        (["encode", "absent", "album"], "absent: no bundle; make one with: python -m bench export CELL DIR"),
        (["encode", "bundle", "absent"], "absent: no such file or folder"),
        (["encode", "bundle", "empty"], "empty: no images there"),
        (["encode", "bundle", "album", "--batch", "0"], "'0' is not a whole number of at least 1"),
        (["encode", "bundle", "album", "--threads", "x"], "'x' is not a whole number of at least 1"),
        (["encode", "bundle", "album", "--threads", "100000"], "1<=x<=256"),
        (["encode", "bundle", "album", "--out", "bundle/bundle.json"], "not a file of 'encode'"),
        (["encode", "bundle", "album", "--out", "album"], "album: not a file"),
        (["encode", "bundle", "album", "--out", "bundle/bundle.json/x"], "Not a directory"),
        (["encode", "bundle", "album", "--out", "x" * 300], "File name too long"),
        (["encode", "b" * 5000, "album"], "File name too long"),
        (["encode", "bundle", "i" * 5000], "no such file or folder"),
    ],
    ids=lambda value: shortened(str(value), 60),
)
def test_wrong_use_is_told_and_leaves_nothing(bench, album, folder, arguments, expected):
    (folder / "empty").mkdir()
    result = bench(*arguments)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err
    assert "defect" not in result.err
    assert result.out == ""
    assert sorted(path.name for path in folder.iterdir()) == ["album", "bundle", "empty"]


def test_codes_of_another_bundle_are_not_mixed_in(bench, album, folder):
    assert bench("encode", "bundle", "album").code == 0
    before = (folder / "codes.npz").read_bytes()
    write_bundle(folder / "other", 16)
    result = bench("encode", "other", "album")
    assert result.code == 2
    assert "codes.npz: holds codes of another bundle; choose another --out" in result.err
    stored = bench("encode", "bundle", "album", "--as-stored")
    assert "was made without --as-stored; choose another --out" in stored.err
    assert (folder / "codes.npz").read_bytes() == before


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_one_line_on_a_terminal_and_a_line_now_and_then_in_a_log(
    monkeypatch, capsys, caplog, terminal
):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    now = [0.0]
    monkeypatch.setattr(verb.time, "monotonic", lambda: now[0])
    bench_log = logging.getLogger("bench")
    monkeypatch.setattr(bench_log, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(bench_log, "propagate", True)
    with caplog.at_level("INFO"):
        line = verb._Line()
        for second in range(100):
            now[0] = float(second)
            line.show(Progress(found=10_000, seen=20 * second, encoded=10 * second, seconds=second))
        line.end()
    shown = capsys.readouterr().err
    if terminal:
        assert not caplog.messages
        assert shown.count("\r") == 100
        assert "\r1,200 of 10,000 images, 10/s, about 15 min left\x1b[K" in shown
        assert shown.endswith("\r\x1b[K")
    else:
        assert shown == ""
        assert len(caplog.messages) == 3
        assert caplog.messages[1] == "1,200 of 10,000 images, 10/s, about 15 min left"


def test_help_says_how_it_goes_on(bench):
    assert "goes on after an interruption" in bench("encode", "--help").out
