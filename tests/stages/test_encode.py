"""Codes, and what they can be made again from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from bench.data import loading
from bench.hamming import pack_signs
from bench.registry import STUDENTS
from bench.stages import networks
from bench.training import views as views_of
from models.layers.heads import hash_network
from tests.left import loaded


def test_codes_can_be_made_again_when_step_one_is_gone(done, tiny, folder):
    before = {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    }
    for kind in ("features", "distill", "encode", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind)
    shutil.rmtree("results")
    assert tiny("run").code == 0
    assert {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    } == before
    assert not (folder / "cache" / "distill").exists()


def test_several_views_change_codes_and_their_cost_and_no_training(tiny, folder):
    one = ("run", "--only", "method=none", "--only", "loss=csq")
    several = ("--set", "defaults.encode={scales: [1, 0.5], flip: true}", "--out", "several")
    assert tiny(*one, "--out", "once").code == 0
    assert tiny(*one, *several).code == 0
    (once,), (views,) = loaded(Path("once")), loaded(Path("several"))
    assert views.params["encode"] == {"scales": [1.0, 0.5], "flip": True}
    assert "encode" not in once.params
    assert views.stages["finetune"].key == once.stages["finetune"].key
    assert views.stages["encode"].key != once.stages["encode"].key
    assert views.metrics["params"].value == once.metrics["params"].value
    # A convolution of stride 4 and width 5 has 3 x 3 places in 16 px and 1 in 8; the head works every time.
    places = (once.metrics["macs"].value - 12 * 16) / 9
    assert views.metrics["macs"].value == 2 * (places * (9 + 1) + 2 * 12 * 16)

    names = {record.key: next(folder.glob(f"cache/encode/*{record.stages['encode'].key[:12]}*"))
             for record in (once, views)}  # fmt: skip
    network = next(folder.glob("cache/finetune/*")) / "network.safetensors"
    net = hash_network(STUDENTS.get("tiny_student")(None).build(), 12, 16).eval()
    net.load_state_dict(load_file(network))
    data = loading.load("synthetic", {}, folder / "data", None)
    query = data.images.pixels[data.splits.query]
    crops = views_of.centre_crops(data.images)[data.splits.query]
    inputs = views_of.render(torch.from_numpy(query), crops, STUDENTS.get("tiny_student").preprocessing, 16)
    with torch.no_grad():
        total = torch.zeros(len(query), 16)
        for size in (16, 8):
            view = inputs if size == 16 else functional.interpolate(inputs, (size, size), mode="bilinear")
            total += sum(functional.normalize(net(seen), dim=1) for seen in (view, view.flip(-1)))
    codes = {key: load_file(path / "codes.safetensors")["query"].numpy() for key, path in names.items()}
    assert (np.bitwise_count(codes[views.key] ^ pack_signs(total.numpy())).sum()) <= 2  # by rounding
    assert np.bitwise_count(codes[once.key] ^ codes[views.key]).sum() > 20


def test_views_of_other_sizes_need_a_feature_of_one_width(tiny):
    views = ("--set", "defaults.encode.scales=[1, 0.5]", "--set", "defaults.image_size=128")
    asked = tiny("run", *views, "--only", "method=none", edit=("[tiny_student]", "[cukd_v1]"))
    assert asked.code == 2
    assert asked.err.splitlines()[-1] == (
        "error: student cukd_v1 gives 512 numbers at 128 px and 128 at 64 px, which cannot be added; drop "
        "encode.scales, or take one that pools its last map"
    )


def test_views_need_pixels(tiny):
    asked = tiny("run", "--set", "defaults.encode.scales=[1, 0.01]", "--only", "method=none")
    assert asked.code == 2
    assert asked.err.splitlines()[-1] == (
        "error: encode.scales: nothing is left of 16 px at a scale; raise the smallest"
    )


def test_the_largest_view_is_that_with_the_most_pixels():
    for size, scales, expected in (
        (224, (1.0, 0.5), 224),
        ("1000x500", (1.0, 0.5), "1000x500"),
        ("321x320", (0.5, 1.0), "321x320"),
        ("64x32", (0.5, 2.0), "128x64"),
    ):
        assert networks.largest({"image_size": size, "encode": {"scales": scales}}) == expected


def test_scales_that_mean_nothing_are_refused_where_they_stand(tiny):
    for scales, what in (("[1, 1]", "scales should differ from one another"), ("[]", "at least 1 item"),
                         ("[0]", "greater than 0"), ("[3]", "less than or equal to 2")):  # fmt: skip
        asked = tiny("plan", "--set", f"defaults.encode.scales={scales}")
        assert asked.code == 2
        assert what in asked.err
