"""``data prepare``: splits of a data set, or of all that a grid names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from bench.data import loading
from tests.conftest import PLUGINS


def test_prepare_shows_splits(bench):
    out = bench("data", "prepare", "digits").out
    assert "200 query, 900 train, 100 val, 1,597 database" in out


def test_prepare_takes_parameters_of_the_data_set(bench, folder):
    for label in ("cat", "dog"):
        (folder / "data/pets" / label).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (20, 20), (number, 0, 0)).save(folder / "data/pets" / label / f"{number}.png")
    asked = ("data", "prepare", "image_folder", "--set", "folder=pets", "--set", "query_per_class=2")
    quotas = ("--set", "train_per_class=4", "--set", "val_per_class=1")
    result = bench(*asked, *quotas)
    assert result.code == 0, result.err
    assert "16 images in 2 classes in" in result.out
    assert "4 query, 6 train, 2 val, 12 database" in result.out
    result = bench(*asked)
    assert result.code == 2
    assert (
        "class 'cat' has 8 images, fewer than query_per_class + train_per_class = 502, and so has 1 more"
        in result.err
    )


def test_prepare_lists_which_image_is_which(bench, folder):
    for label in ("dog", "cat"):
        for number in range(6):
            path = folder / "data/pets" / label / f"{'old/' * (number == 5)}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), (number, 0, 0)).save(path)
    sizes = ("query_per_class=2", "train_per_class=3", "val_per_class=1")
    sets = (text for one in ("folder=pets", *sizes) for text in ("--set", one))
    result = bench("data", "prepare", "image_folder", *sets, "--list", "images.csv")
    assert result.code == 0, result.err
    with open("images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    data = loading.load(
        "image_folder", {"folder": "pets", "query_per_class": 2, "train_per_class": 3, "val_per_class": 1},
        folder / "data", None,
    )  # fmt: skip
    for part in ("query", "database", "train", "val"):
        ids = [int(row["id"]) for row in rows if row["part"] == part]
        assert ids == sorted(getattr(data.splits, part))
    in_order = {int(row["id"]): (row["label"], row["file"]) for row in rows}
    assert [in_order[place] for place in range(12)] == [
        (str(number), str(folder / "data/pets" / label / name))
        for number, label in enumerate(("cat", "dog"))
        for name in ("0.png", "1.png", "2.png", "3.png", "4.png", "old/5.png")
    ]


def test_prepare_lists_one_data_set(tiny, bench, folder):
    tiny("plan")
    assert bench("data", "prepare", "--grid", "grid.yaml", "--list", "images.csv").code == 0
    first, *rest = Path("images.csv").read_text().splitlines()
    assert first == "part,id,label,file"
    assert all(line.endswith(",") for line in rest)  # its images lie in no files
    several = ("--grid", "grid.yaml", "--set", "axes.dataset=[digits, synthetic]")
    result = bench("data", "prepare", *several, "--list", "several.csv")
    assert result.code == 2
    assert "--list is for one data set, and grid.yaml has 2; name one of them" in result.err
    assert not Path("several.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "name one data set, or pass --grid FILE"),
        (["digits", "--grid", "grid.yaml"], "name one data set, or pass --grid FILE"),
        (["digits", "--set", "query_per_class"], "--set query_per_class: write it as --set key=value"),
        (
            ["digits", "--set", "quer_per_class=3", "--set", "split_seed=x"],
            "--set quer_per_class=3:1:1: unknown key 'quer_per_class' of dataset 'digits'; did you mean "
            "'query_per_class'?\n--set split_seed=x:1:1: split_seed of dataset 'digits' should be a valid ",
        ),
    ],
)
def test_what_prepare_cannot_do_is_told(bench, arguments, expected):
    result = bench("data", "prepare", *arguments)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


def test_prepare_takes_every_data_set_of_a_grid_and_plugins(tiny, bench, folder):
    tiny("plan")
    several = "axes.dataset=[digits, {name: synthetic, params: {per_class: 30}}, fashion_mnist, coco]"
    asked = (
        "--include",
        PLUGINS / "tiny.py",
        "--set",
        several,
        "--set",
        "exclude=[{dataset: fashion_mnist}]",
    )
    result = bench("data", "prepare", "--grid", "grid.yaml", *asked)
    assert result.code == 2
    assert "digits-balanced-q20" in result.out
    assert "20 query, 64 train, 16 val, 100 database" in result.out
    assert result.err.startswith("error: coco: ")
    assert len(result.err.splitlines()) == 1
    mine = folder / "mine.py"
    mine.write_text(
        "from bench.datasets.synthetic import Synthetic\nfrom bench.registry import DATASETS\n\n"
        "@DATASETS.register\nclass Mine(Synthetic):\n    pass\n"
    )
    assert "20 query" in bench("data", "prepare", "mine", "--include", mine).out
    assert json.loads(bench("doctor", "--json", "--include", mine).out)["datasets"]["mine"] == "160 images"
