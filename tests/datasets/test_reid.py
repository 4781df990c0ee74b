"""VeRi-776 and MSMT17 from small files in the published layouts."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench.data import splits
from bench.datasets.msmt17 import Msmt17
from bench.datasets.veri776 import VeRi776
from bench.errors import DataError, MissingDataError
from bench.metrics.reid import ReIdentification
from bench.training import views
from bench.types import Augmentation, RankingRule, Retrieval
from tests.layouts import MSMT17, VERI, two_halves, write_msmt17, write_veri


def veri(**params):
    return VeRi776(VeRi776.Params(**{"side": 16, **params}))


def msmt17(**params):
    return Msmt17(Msmt17.Params(**{"side": 16, **params}))


@pytest.mark.parametrize("folder", ["VeRi", "veri776", "."])
def test_veri_layout(tmp_path, folder):
    write_veri(tmp_path, folder)
    images = veri().load(tmp_path)
    parts = veri().splits(images)
    assert "veri776: 10 images (4 train, 1 query, 5 database), 2 identities" in veri().prepare(tmp_path)
    assert len(images) == 10  # without those that are nobody's
    assert images.classes == 2
    names = [path.name for path in images.pixels.paths]
    assert names[4] == VERI["image_query"][0]
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
    assert images.truth.cameras.tolist() == [1, 3, 2, 20, 2, 2, 3, 4, 2, 4]
    assert parts.query.tolist() == [4]
    assert parts.database.tolist() == [5, 6, 7, 8, 9]
    assert parts.train.tolist() == [0, 1, 2, 3]  # nothing is held out that nobody asks for
    splits.manifest(images, parts)
    held_out = veri(val_share=0.1).splits(images)
    assert sorted([*held_out.train, *held_out.val]) == [0, 1, 2, 3]
    drawn = {tuple(veri(val_share=0.1, split_seed=seed).splits(images).val.tolist()) for seed in range(20)}
    assert drawn > {(0,)}


def test_hidden_files_are_no_images(tmp_path):
    write_veri(tmp_path)
    before = veri().load(tmp_path).pixels.paths
    for name in ("._0002_c002_00030600_0.jpg", ".ipynb_checkpoints/0002_c002_00030600_0.jpg"):
        two_halves(tmp_path / "VeRi/image_query" / name)
    images = veri().load(tmp_path)
    assert images.pixels.paths == before
    assert images.pixels.left_out.hidden == 2


def test_images_are_squashed_to_a_square(tmp_path):
    write_veri(tmp_path)
    (image,) = veri().load(tmp_path).pixels[np.array([4])]
    assert image.shape == (3, 16, 16)
    assert image[0, :7].min() > 200
    assert image[2, 9:].min() > 200


@pytest.mark.parametrize(
    ("write", "plugin", "shift"),
    [(write_veri, VeRi776, 10 / 256), (write_msmt17, Msmt17, (10 / 160, 10 / 320))],
)
def test_random_views_may_be_the_published_ones(tmp_path, write, plugin, shift):
    write(tmp_path)
    published = {"side": 16, "shift": shift, "border": "black", "erased_shape": "uniform"}
    plain, other = (plugin(plugin.Params.of(params)).load(tmp_path) for params in ({"side": 16}, published))
    assert plain.augmentation == Augmentation(crop=1.0, shift=0.0625, erase=0.5)
    assert other.augmentation == Augmentation(
        crop=1.0, shift=shift, erase=0.5, border="black", erased_shape="uniform"
    )
    # Columns: crop, box, black; evaluation knows neither.
    assert views.random_crops(other, 1, 0, 0).shape == (len(other), 9)
    assert views.centre_crops(other).shape == (len(other), 4)


def test_five_images_with_same_camera_junk(tmp_path):
    write_veri(tmp_path)
    images = veri().load(tmp_path)
    parts = veri().splits(images)
    assert [path.name[:9] for path in images.pixels.paths[5:]] == [
        "0002_c002",
        "0002_c003",
        "0002_c004",
        "0003_c002",
        "0003_c004",
    ]
    angles = np.zeros(10)
    angles[parts.database] = [0.1, 0.3, 0.5, 0.2, 0.4]
    units = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    arrays = [array[part] for array in (units, images.labels) for part in (parts.query, parts.database)]
    subject = Retrieval(*arrays, 0, RankingRule(), parts.query, parts.database, images.truth)
    values = ReIdentification(ReIdentification.Params(ks=(1, 2))).compute(subject).values
    # The nearest is the query's vehicle by its own camera; then a stranger, a match, a stranger, a match.
    assert values["map_reid"].value == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (values["cmc@1"].value, values["cmc@2"].value) == (0, 1)


def test_msmt17_layout(tmp_path):
    write_msmt17(tmp_path)
    assert "msmt17: 8 images (3 train, 2 val, 1 query, 2 database), 2 identities" in msmt17().prepare(
        tmp_path
    )
    images = msmt17().load(tmp_path)
    parts = msmt17().splits(images)
    # As published, the list of validation images is trained on, too.
    assert parts.train.tolist() == [0, 1, 2, 3, 4]
    assert parts.val.tolist() == []
    chosen = msmt17(validation=True).splits(images)
    assert (chosen.train.tolist(), chosen.val.tolist()) == ([0, 1, 2], [3, 4])
    assert (parts.protocol, chosen.protocol) == ("msmt17", "msmt17-val")
    assert parts.query.tolist() == [5]
    assert parts.database.tolist() == [6, 7]
    # Person 0 of the tests is not person 0 of the training images.
    assert images.labels.tolist() == [0, 0, 1, 0, 1, 2, 2, 3]
    assert images.truth.cameras.tolist() == [1, 4, 2, 15, 5, 1, 3, 14]
    assert images.pixels.paths[5].parts[-3:-1] == ("test", "0000")
    assert images.pixels[np.arange(8)].shape == (8, 3, 16, 16)
    splits.manifest(images, parts)


@pytest.mark.parametrize("line", ["0000/0000_000.jpg 0", "0000/0000_000_01_x.jpg", "0000/0000_000_x_y.jpg 0"])
def test_msmt17_lines_that_say_something_else(tmp_path, line):
    write_msmt17(tmp_path)
    (tmp_path / "MSMT17" / "list_val.txt").write_text(f"{MSMT17['list_val.txt'][0]}\n\n{line}\n")
    with pytest.raises(DataError, match=rf"list_val.txt:3: '{re.escape(line)}' is not"):
        msmt17().load(tmp_path)


def test_msmt17_stays_in_its_folder(tmp_path):
    write_msmt17(tmp_path)
    (tmp_path / "MSMT17" / "list_val.txt").write_text("../../x/0000_000_01_a.jpg 0\n")
    with pytest.raises(DataError, match="not below"):
        msmt17().load(tmp_path)


@pytest.mark.parametrize(("dataset", "name"), [(veri(), "veri776"), (msmt17(), "msmt17")])
def test_what_is_missing(tmp_path, dataset, name):
    with pytest.raises(
        MissingDataError, match=f"{name}: .* not in {re.escape(str(tmp_path))}.*unpack it into"
    ):
        dataset.prepare(tmp_path)


def test_missing_and_strange_images(tmp_path):
    write_msmt17(tmp_path)
    (tmp_path / "MSMT17/train" / MSMT17["list_val.txt"][0].split()[0]).unlink()
    with pytest.raises(DataError, match="no such image"):
        msmt17().prepare(tmp_path)
    write_veri(tmp_path)
    two_halves(tmp_path / "VeRi/image_test/cover.jpg")
    with pytest.raises(DataError, match="cover.jpg: not named <vehicle>_c<camera>_"):
        veri().load(tmp_path)


def test_a_part_without_images(tmp_path):
    write_veri(tmp_path)
    (tmp_path / "VeRi/image_query" / VERI["image_query"][0]).unlink()
    with pytest.raises(DataError, match="veri776: no images for query in"):
        veri().load(tmp_path)


def test_published_sizes():
    assert veri().sizes() == {"query": 1678, "train": 37778, "database": 11579}
    assert msmt17().sizes() == {"train": 32621}
    assert {VeRi776.judged_by, Msmt17.judged_by} == {"cameras"}
    assert veri().labelled
