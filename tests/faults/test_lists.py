"""List files with what nobody sees in them: read where it means nothing, else refused with its place."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from bench.data import list_text
from bench.data.image_lists import read_list
from bench.data.list_text import read_lines
from bench.data.video_lists import ids, judged_pairs
from bench.datasets.mirflickr import MirFlickr
from bench.datasets.msmt17 import Msmt17
from bench.errors import DataError
from tests.layouts import write_msmt17

SOUND = "images/a.jpg 1 0\nimages/b.jpg 0 1\n"


@pytest.mark.parametrize(
    "content",
    [
        SOUND.encode("utf-8-sig"),
        SOUND.replace("\n", "\r\n").encode(),
        SOUND.replace("\n", "\r").encode(),
        SOUND.replace(" ", "\t").encode(),
        SOUND.replace("\n", " \t \n").encode(),
        b"\n\n" + SOUND.encode() + b"\n",
        SOUND.rstrip().encode(),
    ],
    ids=["mark", "windows", "old mac", "tabs", "blanks at the end", "empty lines", "no last break"],
)
def test_what_means_nothing_is_read_over(tmp_path, content):
    path = tmp_path / "train.txt"
    path.write_bytes(content)
    listed = read_list(path, 2)
    assert listed.names == ["images/a.jpg", "images/b.jpg"]
    np.testing.assert_array_equal(listed.labels, [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        ("\0", r"U\+0000 \(a control character\)"),
        ("\x1b", r"U\+001B \(a control character\)"),
        ("\u00a0", r"U\+00A0 \(no-break space\)"),
        ("\u3000", r"U\+3000 \(ideographic space\)"),
        ("\u200b", r"U\+200B \(zero width space\)"),
        ("\u2028", r"U\+2028 \(line separator\)"),
        ("\u202e", r"U\+202E \(right-to-left override\)"),
        ("\ufeff", r"U\+FEFF \(zero width no-break space\)"),
        ("\x0b", r"U\+000B \(a control character\)"),
        ("\x85", r"U\+0085 \(a control character\)"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_what_nobody_sees_is_refused_with_its_place(tmp_path, odd, name, ends):
    path = tmp_path / "list_train.txt"
    text = SOUND.replace("b.jpg", f"é{odd}b{odd}.jpg").replace("\n", ends)
    path.write_bytes(text.encode())
    with pytest.raises(
        DataError, match=rf"list_train\.txt:2:9: {name}, which nobody sees, and 1 more such"
    ) as error:
        read_lines(path)
    assert str(error.value).isprintable()


def test_names_in_any_script_are_names(tmp_path):
    path = tmp_path / "train.txt"
    names = ["фото.jpg", "写真.jpg", "👨\u200d👩\u200d👧.jpg", "نیم\u200cفاصله.jpg", "é.jpg"]
    path.write_text("".join(f"{name} 1 0\n" for name in names), encoding="utf-8")
    assert read_list(path, 2).names == names


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (SOUND.encode("utf-16"), r"train\.txt: UTF-16; save it as UTF-8"),
        (SOUND.encode("utf-16-le"), r"train\.txt:1:2: U\+0000 .* save it as UTF-8"),
        ("a 1 0\ncafé 0 1\n".encode("latin-1"), r"train\.txt:2:4: byte 0xe9 is no UTF-8"),
        (b"\xff\xfe\xfd", r"train\.txt: UTF-16"),
        (b"a 1 0\r\n\r\n\xc3", r"train\.txt:3:1: byte 0xc3 is no UTF-8"),
    ],
)
def test_other_encodings_are_told(tmp_path, content, told):
    path = tmp_path / "train.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_list(path, 2)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "train.txt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"train\.txt: not a readable list"):
        read_list(path, 2)


def test_a_list_that_memory_has_no_room_for_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "train.txt"
    with path.open("wb") as file:
        file.truncate(40 << 20)  # all zeros, and none of them on the disk
    monkeypatch.setattr(list_text.environment, "available_memory", lambda: 100 << 20)
    with pytest.raises(DataError, match="41,943,040 bytes, more than memory has room for"):
        read_list(path, 2)


def test_lists_of_persons_and_videos_are_read_alike(tmp_path):
    write_msmt17(tmp_path)
    listed = tmp_path / "MSMT17/list_train.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + listed.read_bytes())
    assert len(Msmt17(Msmt17.Params(side=16)).load(tmp_path)) == 8
    listed.write_text(listed.read_text("utf-8-sig").replace("_0015_", "_0015\u00a0_"), encoding="utf-8")
    with pytest.raises(DataError, match=r"list_train\.txt:1:34: U\+00A0"):
        Msmt17(Msmt17.Params(side=16)).load(tmp_path)
    (tmp_path / "ids").write_bytes(b"\xef\xbb\xbfone.mp4 two.mp4\r\nthree\n")
    assert list(ids(tmp_path / "ids")) == ["one", "two", "three"]
    (tmp_path / "pairs").write_text("q c 1\nq \x1b[2J 2\n")
    with pytest.raises(DataError, match=r"pairs:2:3: U\+001B"):
        judged_pairs(tmp_path / "pairs")
    for name in ("..", "a/..", "a/", ".mp4"):
        (tmp_path / "ids").write_text(f"one\n{name}\n")
        with pytest.raises(DataError, match=r"ids:2: '.*' is the name of no video"):
            ids(tmp_path / "ids")


def mirflickr(folder, searched, queries):
    """Images of one letter each, and the lists that name them; the folder of the images."""
    images = folder / "data/mirflickr/images"
    images.mkdir(parents=True)
    for name in searched + queries:
        Image.new("RGB", (20, 20)).save(images / f"{name}.jpg")
    for part, names in {"database": searched, "train": searched, "test": queries}.items():
        lines = "".join(f"images/{name}.jpg{' 1' * MirFlickr.classes}\n" for name in names)
        (folder / f"data/mirflickr/{part}.txt").write_text(lines, encoding="utf-8")
    return images


def test_check_tells_of_a_damaged_list(bench, folder):
    images = mirflickr(folder, searched="ab", queries="cd")
    assert bench("data", "check", "mirflickr").out == "mirflickr: 4 images, all can be read\n"
    # Whoever names a pipe in a list waits for nobody.
    (images / "b.jpg").unlink()
    os.mkfifo(images / "b.jpg")
    found = bench("data", "check", "mirflickr")
    assert found.code == 1
    assert found.out.splitlines() == [
        f"{images}/b.jpg: not a file but a pipe, a socket or a device",
        "mirflickr: 1 of 4 images cannot be read",
    ]
    path = folder / "data/mirflickr/train.txt"
    path.write_text(path.read_text().replace("b.jpg ", "b.jpg\u00a0"), encoding="utf-8")
    found = bench("data", "check", "mirflickr")
    assert (found.code, found.out) == (2, "")
    assert "train.txt:2:13: U+00A0 (no-break space), which nobody sees; take it out" in found.err


def test_skipping_works_for_lists_too(bench, folder):
    images = mirflickr(folder, searched="abef", queries="cd")
    (images / "b.jpg").write_bytes(b"")
    (images / "d.jpg").unlink()
    failed = bench("data", "prepare", "mirflickr")
    assert failed.code == 2
    assert "d.jpg: no such image" in failed.err
    done = bench("data", "prepare", "mirflickr", "--set", "unreadable=skip")
    assert done.code == 0, done.err
    assert "mirflickr: 4 images (3 database, 3 train, 1 query)" in done.out
    assert "unreadable: 2 of 6 images cannot be read and were left out (first: b.jpg)" in done.out
