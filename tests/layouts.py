"""Small data sets in the published layouts, written to a data root."""

from __future__ import annotations

import pickle
import re

import numpy as np
from PIL import Image

DATABASE = ["all_souls_000013", "bodleian_000001", "oxford_000317", "radcliffe_000002", "trinity_000009"]
QUERIES = ["all_souls_000051", "keble_000245"]
#: Vehicles 1 and 4 in training, 2 asked for, 3 a stranger, -1 nobody.
VERI = {
    "image_train": [
        "0001_c001_00016450_0.jpg",
        "0001_c003_00016460_0.jpg",
        "0004_c002_00018000_0.jpg",
        "0004_c020_00018060_1.jpg",
        "-1_c005_00000000_0.jpg",
    ],
    "image_query": ["0002_c002_00030600_0.jpg"],
    "image_test": [
        "0002_c002_00030605_0.jpg",
        "0002_c003_00030700_0.jpg",
        "0003_c002_00001000_0.jpg",
        "0003_c004_00001100_0.jpg",
        "0002_c004_00030800_0.jpg",
        "-1_c001_00000000_1.jpg",
    ],
}
#: Number of frames by video: q* ask, l* are labelled, u* are not.
MSMT17 = {
    "list_train.txt": [
        "0000/0000_000_01_0303morning_0015_0.jpg 0",
        "0000/0000_001_04_0303morning_0020_1.jpg 0",
        "0001/0001_000_02_0303noon_0015_0.jpg 1",
    ],
    "list_val.txt": [
        "0000/0000_002_15_0303morning_0021_0.jpg 0",
        "0001/0001_001_05_0303noon_0016_0.jpg 1",
    ],
    "list_query.txt": ["0000/0000_000_01_0303morning_0008_0.jpg 0"],
    "list_gallery.txt": [
        "0000/0000_001_03_0303morning_0009_0.jpg 0",
        "0001/0001_000_14_0303afternoon_0100_0.jpg 1",
    ],
}
FRAMES = {"q1": 3, "q2": 2, "qt": 4, "l1": 5, "l2": 1, "l3": 2, "lt1": 3, "lt2": 2, "u1": 7, "u2": 1}
SVD_LISTS = {
    "query-id": ["q1", "q2", "qt"],
    "labeled-data-id": ["l1", "l2", "l3", "lt1", "lt2", "unused"],
    "unlabeled-data-id": ["u1", "u2"],
    "train_groundtruth": ["qt lt1 1", "qt lt2 0", "qt l3 0"],
    "test_groundtruth": ["q1 l1 1", "q1 l2 0", "q2 l2 1", "q2 l3 1", "q2 q1 0"],
}


def picture(path, colour, size=(40, 20)):
    """One colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, quality=95)


def two_halves(path, size=(10, 30)):
    """Red above, blue below."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0], size[1] // 2))
    image.save(path, quality=95)


def revisited_truth():
    """What the pickle of Revisited Oxford holds."""
    return {
        "imlist": DATABASE,
        "qimlist": QUERIES,
        "gnd": [
            {"bbx": [10.0, 5.0, 20.0, 15.0], "easy": [0], "hard": [3, 1], "junk": [4]},
            {"bbx": [0.0, 0.0, 40.0, 20.0], "easy": [], "hard": np.array([2]), "junk": []},
        ],
    }


def write_revisited(root, name="roxford5k", gnd=None, protocol=2):
    """Five images of the database, two queries."""
    folder = root / name
    for number, image in enumerate(DATABASE):
        picture(folder / "jpg" / f"{image}.jpg", (40 * number, 0, 0))
    for image in QUERIES:
        picture(folder / "jpg" / f"{image}.jpg", (0, 0, 0))
    # The first query shows something in its box only.
    query = Image.new("RGB", (40, 20))
    query.paste((0, 250, 0), (8, 3, 22, 17))
    query.save(folder / "jpg" / f"{QUERIES[0]}.jpg", quality=95)
    with (folder / f"gnd_{name}.pkl").open("wb") as file:
        pickle.dump(revisited_truth() if gnd is None else gnd, file, protocol)
    return folder


def write_veri(root, folder="VeRi"):
    """The images of ``VERI``."""
    for part, names in VERI.items():
        for name in names:
            two_halves(root / folder / part / name)


def write_svd(root, *, suffix=".mp4", **changes):
    """Lists, with ``changes`` of some of them, and frames."""
    for name, lines in {**SVD_LISTS, **changes}.items():
        content = "\n".join(re.sub(r"\b([qlu]\w*)", rf"\1{suffix}", line) for line in lines)
        path = root / "SVD" / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    for video, count in FRAMES.items():
        for number in range(count):
            path = root / "SVD" / "frames" / video / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 30), (0, 10 * number, 0)).save(path)


def write_msmt17(root, folder="MSMT17"):
    for name, lines in MSMT17.items():
        inner = "train" if name in {"list_train.txt", "list_val.txt"} else "test"
        for line in lines:
            two_halves(root / folder / inner / line.split()[0])
        (root / folder / name).write_text("\n".join(lines) + "\n")
