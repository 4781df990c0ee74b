"""What the grid of the papers plans is what they did."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.planning.build import build_plan
from bench.planning.config import load_grid

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
        (cell.info.dataset, cell.info.image_size, network.get("aspect", 1))
        for cell in cells
        if cell.info.method in {"cdd", "retrieval"}
        for network in (cell.params["student"], *cell.params["teachers"])
    }
    assert found == {("veri776", 256, 1), ("msmt17", 320, 0.5)}


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
