"""What the grid of the papers plans is what they did."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.stage import walk

PAPERS = Path(__file__).parents[2] / "bench/grids/papers.yaml"


@pytest.fixture(scope="module")
def cells():
    return build_plan(load_grid(PAPERS), Path("/no data"), "no hardware").cells


def test_the_hash_heads_of_resnets_alone_start_small(cells):
    found = {
        (cell.info.student, cell.params["loss"].get("head_start", "normal"))
        for cell in cells
        if cell.info.bits
    }
    starts = {"cukd_v1": "pytorch", "cukd_v2": "pytorch", "alexnet": "pytorch", "resnet50": "normal"}
    assert found == set(starts.items())


def test_landmarks_are_searched_at_three_scales(cells):
    found = {
        (cell.info.dataset, str(cell.params.get("encode")))
        for cell in cells
        if cell.info.method == "whiten_mtd"
    }
    three = str({"scales": [1.0, 0.7071, 0.5], "flip": False})
    assert found == {("roxford5k", three), ("rparis6k", three), ("svd", "None")}


def test_persons_are_high_and_narrow(cells):
    found = {
        (cell.info.dataset, cell.info.image_size, cell.params["dataset"]["side"])
        for cell in cells
        if cell.info.method in {"cdd", "retrieval"}
    }
    assert found == {("veri776", 256, 256), ("msmt17", "320x160", "320x160")}


def test_training_images_are_shown_as_published(cells):
    """Step 2 on CIFAR shows whole images, on NUS-WIDE crops of them; step 1 crops of both."""
    shown = {
        (
            cell.info.dataset,
            cell.params["dataset"].get("views") or cell.params["dataset"]["crops"],
            cell.params["loss"].get("random_views", True),
        )
        for cell in cells
        if cell.info.bits
    }
    assert shown == {("cifar10", "enlarged", False), ("nuswide_21m", "whole", True)}
    reid = {
        (cell.info.dataset, str(cell.params["dataset"]["shift"]), cell.params["dataset"]["border"])
        for cell in cells
        if cell.info.method == "cdd"
    }
    assert all(
        cell.params["dataset"].get("aspect") == cell.params["student"].get("aspect")
        for cell in cells
        if cell.info.method == "cdd"
    )
    assert reid == {("veri776", str(10 / 256), "black"), ("msmt17", str([10 / 160, 10 / 320]), "black")}


def test_teachers_of_landmarks_have_the_layer_that_they_learnt(cells):
    teachers = [
        teacher
        for cell in cells
        for teacher in cell.params["teachers"]
        if "gem.safetensors" in teacher["weights"]
    ]
    assert teachers
    assert all(teacher["projection"] == 2048 for teacher in teachers)


def set_for(cells, step):
    """Name of a method or loss that is trained -> what the cells set for it, parameter by parameter."""
    found = {}
    for cell in cells:
        name, params = getattr(cell.info, step), cell.params[step]
        for key in params if "epochs" in params else ():
            values = found.setdefault(name, {}).setdefault(key, [])
            values += [params[key]] if params[key] not in values else []
    return found


def test_no_image_is_held_out_where_no_epoch_is_chosen(cells):
    assert {cell.params["loss"].get("select", "last") for cell in cells} == {"last"}
    methods = set_for(cells, "method")
    assert methods
    assert all(params["hold_out"] == ["if_chosen"] for params in methods.values())
    # Steps 1 see the 37,778 training images of VeRi-776 and the 32,621 of both lists of MSMT17.
    images = {}
    for cell in cells:
        if cell.info.method == "retrieval":
            (stage,) = {
                stage.key: stage
                for leaf in cell.leaves.values()
                for stage in walk([leaf]).values()
                if stage.kind == "distill"
            }.values()
            images[cell.info.dataset] = stage.images / stage.spec["method"]["params"]["epochs"]
    assert images == {"veri776": 37_778, "msmt17": 32_621}


def test_batches_are_made_as_published(cells):
    methods, losses = (set_for(cells, step) for step in ("method", "loss"))
    for name in ("retrieval", "cdd"):
        assert methods[name]["sampler"] == ["distinct"]
        assert (methods[name]["batch_size"], methods[name]["images_per_identity"]) == ([96], [6])
    for params in (methods["cukd"], losses["dch"], losses["csq"]):
        assert params["incomplete"] == ["keep"]
    pairs = {cell.info.dataset: cell.params["method"].get("pairs") for cell in cells if whitens(cell)}
    assert pairs == {"roxford5k": "labels", "rparis6k": "labels", "svd": "videos"}


def whitens(cell):
    return cell.info.method == "whiten_mtd"


def test_rates_go_as_published(cells):
    methods = set_for(cells, "method")
    assert (methods["whiten_mtd"]["lr"], methods["whiten_mtd"]["epochs"]) == ([1e-3], [200])
    assert methods["whiten_mtd"]["schedule"] == [{"fall": "cosine", "final_lr": 1e-6}]
    published = {"fall": "cosine", "warmup": 10 / 120, "level": 40 / 120, "final_lr": 1e-7, "per": "epoch"}
    for name in ("retrieval", "cdd"):
        assert methods[name]["schedule"] == [pytest.approx(published)]
        assert (methods[name]["lr"], methods[name]["epochs"]) == ([0.01], [120])
    assert methods["cukd"]["schedule"] == ["constant"]
