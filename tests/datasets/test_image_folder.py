"""A folder of images with one subfolder per class."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.data import splits
from bench.datasets.image_folder import ImageFolder
from bench.errors import DataError, MissingDataError

SUFFIXES = ["png", "jpg", "JPEG", "bmp", "webp"]


def write(root, classes=3, per_class=10):
    """Images of the class's own grey level in several formats, one of them a level deeper."""
    for label in range(classes):
        folder = root / "pets" / f"class{label}"
        (folder / "more").mkdir(parents=True)
        for number in range(per_class):
            name = f"more/{number}.png" if number == 0 else f"{number}.{SUFFIXES[number % len(SUFFIXES)]}"
            Image.fromarray(np.full((20, 10 + number), 50 * label, np.uint8)).convert("RGB").save(
                folder / name
            )
        (folder / "notes.txt").write_text("no image")
        (folder / ".thumb.png").write_bytes(b"no image")
    (root / "pets" / ".cache").mkdir()
    (root / "pets" / "readme.md").write_text("no class")


def dataset(**params):
    quotas = {"query_per_class": 2, "train_per_class": 5, "val_per_class": 1, "side": 16}
    return ImageFolder(ImageFolder.Params.of({"folder": "pets", **quotas, **params}))


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_subfolders_are_classes(tmp_path, fit):
    write(tmp_path)
    plugin = dataset(fit=fit, flip=False)
    images = plugin.load(tmp_path)
    assert (len(images), images.classes, images.pixels.fit) == (30, 3, fit)
    assert not images.augmentation.flip
    np.testing.assert_array_equal(np.bincount(images.labels), [10, 10, 10])
    centre = images.pixels[np.arange(30)][:, 0, 8, 8].astype(int)
    np.testing.assert_allclose(centre, 50 * images.labels, atol=3)
    parts = plugin.splits(images)
    splits.manifest(images, parts)
    assert [len(parts.query), len(parts.train), len(parts.val), len(parts.database)] == [6, 12, 3, 24]
    assert "30 images in 3 classes" in plugin.prepare(tmp_path)


def test_what_is_hidden_is_no_image_and_is_counted(tmp_path, monkeypatch):
    write(tmp_path)
    plain = dataset().load(tmp_path)
    assert plain.pixels.left_out.hidden == 4  # a thumbnail in each class, and the cache beside them
    for place in ("class0/.ipynb_checkpoints/3.png", "class1/more/.thumbnails/deep/0.png", "class2/._4.png"):
        path = tmp_path / "pets" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(path)
    (tmp_path / "pets/__MACOSX/class0").mkdir(parents=True)
    (tmp_path / "pets/class0/.DS_Store").write_bytes(b"")
    images = dataset().load(tmp_path)
    assert images.pixels.paths == plain.pixels.paths
    assert images.pixels.left_out.hidden == 9
    # The data root itself may lie below a hidden folder.
    write(tmp_path / ".local")
    assert len(dataset().load(tmp_path / ".local")) == 30


def test_data_prepare_says_how_many_were_left_out(bench, folder):
    write(folder / "data", per_class=700)
    (folder / "data/pets").rename(folder / "data/images")
    result = bench("data", "prepare", "image_folder")
    assert result.code == 0, result.err
    assert "\n4 hidden files and folders left out" in result.out


def test_the_manifest_knows_which_files_there_are(tmp_path):
    write(tmp_path)

    def digest():
        images = dataset().load(tmp_path)
        return splits.manifest(images, dataset().splits(images))["images_sha256"]

    first = digest()
    assert digest() == first
    (tmp_path / "pets/class0/3.bmp").rename(tmp_path / "pets/class0/33.bmp")
    assert digest() != first


def test_what_is_missing_or_does_not_fit_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=f"image_folder: {tmp_path}/pets is not there"):
        dataset().load(tmp_path)
    (tmp_path / "pets" / "one").mkdir(parents=True)
    with pytest.raises(DataError, match="has 1 subfolder; make one per class"):
        dataset().load(tmp_path)
    (tmp_path / "pets" / "two").mkdir()
    with pytest.raises(DataError, match="no images in .*one"):
        dataset().prepare(tmp_path)
    with pytest.raises(DataError, match="not below the data root"):
        dataset(folder="../pets").load(tmp_path)


def test_classes_that_are_too_small_are_an_error(tmp_path):
    write(tmp_path, per_class=6)
    with pytest.raises(DataError, match="class 'class0' has 6 images, .* = 7, and so have 2 more; lower"):
        dataset().splits(dataset().load(tmp_path))
