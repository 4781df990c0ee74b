"""``data prepare``: splits of a data set, or of all that a grid names."""

from __future__ import annotations

import json

import pytest
from PIL import Image

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
