"""``measure``: the cost card, and what it cannot count."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from bench.cli.measure import LEAST, MOST, measure
from bench.metrics import latency
from bench.planning import schema


@pytest.mark.parametrize("value", [0, 4097, 10**11])
def test_measure_has_the_bounds_of_grids(bench, value):
    for option in ("--bits", "--image-size"):
        result = bench("measure", "cukd_v1", option, str(value))
        assert result.code == 2
        assert "is not in the range" in result.err
    parts = schema.json_schema()["$defs"]
    bits = parts["Axes"]["properties"]["bits"]["items"]["items"]
    size = parts["Defaults"]["properties"]["image_size"]
    ours = {option.name: option.type for option in measure.params}["bits"]
    assert (ours.min, ours.max) == (bits["minimum"], bits["maximum"])
    assert (size["anyOf"][0]["minimum"], size["anyOf"][0]["maximum"]) == (LEAST, MOST)


def test_measure_takes_height_and_width(bench):
    done = bench("measure", "cukd_v1", "--image-size", "64x128", "--budget", 0.1, "--json")
    card = json.loads(done.out)
    assert card["image_size"] == "64x128"
    square = bench("measure", "cukd_v1", "--image-size", 64, "--budget", 0.1, "--json")
    wide, narrow = (one["metrics"]["macs"]["value"] for one in (card, json.loads(square.out)))
    # Each map has twice the pixels, and so has the head twice the inputs; it has 16 outputs.
    assert wide == 2 * narrow
    assert "'64x' is no size" in bench("measure", "cukd_v1", "--image-size", "64x").err


def test_measure_prints_the_cost_card(bench):
    done = bench("measure", "cukd_v1", "--image-size", 64, "--budget", 0.5, "--json")
    metrics = json.loads(done.out)["metrics"]
    # The trunk does not depend on the image size, the head does: 128 features of 64 pixels.
    assert metrics["params"]["value"] == 3_305_920 + 129 * 16
    assert metrics["macs"]["detail"]["counters_agree"] is True
    assert metrics["flops"]["value"] == 2 * metrics["macs"]["value"]
    for batch in (1, 64):
        latency = metrics[f"latency_ms@{batch}"]
        assert len(latency["samples"]) == latency["detail"]["taken"] >= 1
        assert latency["detail"]["stopped"] in {"steady", "budget"}
        assert latency["detail"]["budget_seconds"] == 0.5
        # One call may overrun the budget.
        assert sum(latency["samples"]) <= 500 + latency["samples"][-1]
    assert metrics["peak_memory_mb@64"]["value"] > metrics["peak_memory_mb@1"]["value"]
    assert [line.rpartition("  ")[0] for line in done.err.splitlines()] == [
        "[1/6] parameters",
        "[2/6] multiply-adds",
        "[3/6] weights",
        "[4/6] latency, batch 1",
        "[5/6] latency, batch 64",
        "[6/6] peak memory",
    ]


def test_the_cost_card_for_people(bench):
    options = ("--image-size", 32, "--bits", 64, "--budget", 0.2, "--variant", "channels_last")
    done = bench("measure", "cukd_v1", *options, "--quiet")
    assert "cukd_v1 at 32 x 32 pixels, 64 bits" in done.out
    assert "latency_ms@64:channels_last" in done.out
    assert " samples (" in done.out
    assert not done.err


UNKNOWN_OPERATOR = """\
import torch
from torch import nn

from bench.registry import STUDENTS
from bench.types import Preprocessing
from models.network import NetworkParams


class Spectrum(nn.Module):
    def forward(self, images):
        return torch.fft.rfft2(images).abs().mean((2, 3))


@STUDENTS.register_as("spectral")
class Spectral:
    version, preprocessing, Params = 1, Preprocessing(image_size=16), NetworkParams

    def __init__(self, params):
        self.params = params

    def weights_id(self):
        return "none"

    def feature_dim(self, image_size):
        return 3

    def build(self):
        return Spectrum()
"""


def test_the_cost_card_says_what_it_cannot_count(bench, folder):
    (folder / "spectral.py").write_text(UNKNOWN_OPERATOR)
    out = bench("measure", "spectral", "--include", "spectral.py", "--image-size", 16, "--budget", 0.1).out
    (line,) = (line for line in out.splitlines() if line.startswith("macs "))
    assert line.endswith("not fully counted, at least so many: no count of _fft_r2c")


def test_measure_offers_every_variant():
    (option,) = (one for one in measure.params if one.name == "variants")
    assert tuple(option.type.choices) == get_args(latency.Variant)
