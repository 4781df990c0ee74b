"""Lists of images and videos that are wrong by chance: each is read, or refused in one line."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.datasets.mirflickr import MirFlickr
from bench.datasets.msmt17 import Msmt17
from bench.datasets.svd import Svd
from tests.faults.fuzzing import damaged, fuzz
from tests.layouts import picture, write_msmt17, write_svd

#: Parts of lists, and of none.
WORDS = (
    *(
        "0",
        "1",
        "2",
        "-1",
        "01",
        "1.0",
        "é",
        "q1",
        "l1",
        "0000",
        "0000_000_01_a.jpg",
        "images/im3.jpg",
        "im3.jpg",
    ),
    *(
        "/etc/passwd",
        "../../x.jpg",
        "..",
        ".",
        "",
        "\\",
        "~",
        "a/../b",
        "x" * 300,
        "y/" * 2500,
        "/dev/zero",
        "pipe",
    ),
    *(
        "\x00",
        "\x1b[2J",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\u200b",
        "\x0b",
        "\x85",
        "👨‍👩‍👧",
    ),
    "9" * 5000,
)
JOINTS = (" ", " ", " ", "\n", "\n", "\t", "  ", "\r\n", "\r", "", "/", "_")


def written(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """Bytes by chance, or a list of lines with words by chance; now and then in another encoding."""
    if rng.random() < 0.4:
        return damaged(sound, rng)
    lines = rng.choice(sound).decode().splitlines(keepends=True)
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        words = (rng.choice(WORDS) + rng.choice(JOINTS) for _ in range(rng.choice([1, 2, 3, 40])))
        line, place = "".join(words), rng.randrange(len(lines) + 1)
        lines[place : place + rng.randrange(2)] = [line] * rng.choice(
            [1, 1, 1, 2, 500 if len(line) < 99 else 3]
        )
    encoding = rng.choice(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"])
    return "".join(lines).encode(encoding, "replace")


def _read(dataset: Any, root: Path) -> None:
    """As a plan does; what is said of images that are not there has lines of its own."""
    images = dataset.load(root)
    assert len(images.pixels.contents.digests) == len(images)
    dataset.splits(images)


def read_hashing(path: Path) -> None:
    _read(MirFlickr(MirFlickr.Params(side=16)), path.parents[1])


def read_cameras(path: Path) -> None:
    _read(Msmt17(Msmt17.Params(side=16)), path.parents[1])


def read_videos(path: Path) -> None:
    _read(Svd(Svd.Params(side=16)), path.parents[2])


def write_hashing(root: Path) -> None:
    folder = root / "mirflickr"
    os.mkfifo(picture_folder(folder) / "pipe")
    parts = {"database": range(6), "train": range(6, 10), "test": range(10, 12)}
    for part, numbers in parts.items():
        labels = [" ".join("1" if number == i else "0" for i in range(38)) for number in numbers]
        lines = (f"images/im{number}.jpg {row}\n" for number, row in zip(numbers, labels, strict=True))
        (folder / f"{part}.txt").write_text("".join(lines))


def picture_folder(folder: Path) -> Path:
    for number in range(12):
        picture(folder / "images" / f"im{number}.jpg", (20 * number, 0, 0))
    return folder / "images"


@pytest.mark.parametrize(
    ("read", "write", "name"),
    [
        (read_hashing, write_hashing, "mirflickr/train.txt"),
        (read_cameras, write_msmt17, "MSMT17/list_train.txt"),
        (read_videos, write_svd, "SVD/metadata/test_groundtruth"),
        (read_videos, write_svd, "SVD/metadata/unlabeled-data-id"),
    ],
    ids=["hashing", "cameras", "videos judged", "videos"],
)
def test_lists(read, write, name, folder):
    write(folder / "data")
    path = folder / "data" / name
    sound = [path.read_bytes()]
    read(path)
    figures = fuzz(read, sound, path, change=written)
    figures.check()
    assert 0 < figures.refused < figures.tried
