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
from bench.datasets import fashion_mnist
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.results.folder import load_results
from bench.types import ImageSet, Splits

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
        labels = np.zeros(len(pixels), np.int64)
        images = ImageSet(pixels, labels, len(fashion_mnist.NAMES), fashion_mnist.AUGMENTATION)
        found[json.dumps(record.params["dataset"], sort_keys=True)] = Known(
            images, Splits(content["protocol"], *parts), content, manifest_hash(content)
        )
    return found


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
