"""What is published is what the shipped grids plan today."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.data import loading
from bench.data.copies import Copies
from bench.data.loading import LoadedDataset
from bench.data.splits import manifest_hash
from bench.data.unseen import numbered_last
from bench.datasets import fashion_mnist
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.results.folder import load_results
from bench.types import ImageSet, Splits, Unseen

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "results/published").glob("*/grid.json"))


class Known(LoadedDataset):
    """Fashion-MNIST as a manifest knows it, without its pictures."""

    def copies(self, *, remember=True):
        return Copies({}, {})


def known(folder: Path) -> dict[str, Known]:
    """What manifests of a folder say, by the parameters of the data set."""
    found = {}
    for record in load_results(folder).records:
        split = record.cell.protocol
        (path,) = folder.glob(f"splits/{split['split']}*{split['manifest']}.json")
        content = json.loads(path.read_text())
        parts = (
            np.concatenate([np.arange(*run) for run in content[part]] or [np.empty(0, np.int64)])
            for part in ("query", "train", "val", "database")
        )
        pixels = np.broadcast_to(np.uint8(0), (content["images"], *fashion_mnist.SHAPE))
        images = ImageSet(pixels, labels(), len(fashion_mnist.NAMES), fashion_mnist.AUGMENTATION)
        kept = unseen_in(content, images)
        found[json.dumps(record.params["dataset"], sort_keys=True)] = Known(
            numbered_last(images, kept),
            Splits(content["protocol"], *parts, unseen=kept),
            content,
            manifest_hash(content),
        )
    return found


def labels():
    """Of all images of Fashion-MNIST (Zalando Research, MIT licence), int64; the file has two in a byte."""
    with np.load(Path(__file__).parent / "fashion_mnist_labels.npz") as file:
        pairs = file["pairs"]
    return np.stack([pairs >> 4, pairs & 15], axis=1).ravel().astype(np.int64)


def unseen_in(content, images: ImageSet) -> Unseen | None:
    """What a manifest says of unseen classes, and their images."""
    if not (told := content.get("unseen_classes")):
        return None
    classes = np.array(told["classes"])
    theirs = np.flatnonzero(np.isin(images.labels, classes))
    return Unseen(classes, told["of"], theirs, told["in_pool"])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_published_cells_are_those_that_the_shipped_grid_plans(folder, monkeypatch):
    right, published = loading.load, known(folder)

    def load(name, params, *asked, **how):
        if name != "fashion_mnist":
            return right(name, params, *asked, **how)
        return published[json.dumps(params, sort_keys=True)]

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.chdir(ROOT)
    plan = build_plan(load_grid(ROOT / f"bench/grids/{folder.name}.yaml"), Path("no data"), "no hardware")
    records = load_results(folder).records
    assert {record.status for record in records} == {"ok"}
    assert {record.cell_key for record in records} == {cell.key for cell in plan.cells}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_published_folder_is_made_by_one_commit(folder):
    made = {json.dumps(record.environment["git"], sort_keys=True) for record in load_results(folder).records}
    assert len(made) == 1
    assert json.loads(made.pop())["dirty"] is False
