"""Heads that are trained otherwise than they are deployed: what is left of them after step 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.cli import main
from bench.deployment.student import load
from bench.hamming import pack_signs
from models.layers.heads import BalancedHead
from tests.conftest import PLUGINS, TINY_GRID
from tests.left import artifacts, loaded

ONLY = "--only", "method=none"


def test_a_balanced_head_costs_and_says_what_a_linear_one_does(tiny, folder, monkeypatch):
    trained = []
    right = BalancedHead.folded
    monkeypatch.setattr(BalancedHead, "folded", lambda head: trained.append(head) or right(head))
    edit = "[csq, dch]", "[{name: orthohash, params: {select: val, eval_every: 1}}, dch]"
    assert tiny("run", *ONLY, edit=edit).code == 0
    ours, dch = sorted(loaded(Path("results/tiny")), key=lambda record: record.cell.loss != "orthohash")
    for metric in ("params", "macs", "latency_ms"):
        assert ours.metric(metric)[1] == dch.metric(metric)[1]
    assert ours.stages["finetune"].history[-1].keys() >= {"centers", "val_map"}
    (head,) = trained
    (path,) = (path for path in artifacts(folder, "finetune") if "orthohash" in path.name)
    kept = load_file(path / "network.safetensors")
    features = torch.randn(20, 12)
    said = features @ kept["head.weight"].T + kept["head.bias"]
    torch.testing.assert_close(said, head.eval()(features).detach(), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working folder in which a cell of the classifier and one of csq have been run."""
    place = tmp_path_factory.mktemp("classified")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name in ("cache", "data"):
            patch.setenv(f"BENCH_{name.upper()}", str(place / name))
        patch.setenv("CI", "1")
        params = "{epochs: 20, select: val, eval_every: 1}"
        grid = TINY_GRID.replace("[csq, dch]", f"[{{name: classifier, params: {params}}}, csq]")
        (place / "grid.yaml").write_text(grid)
        asked = ("--include", str(PLUGINS / "tiny.py"), "--only", "method=none")
        assert main(["run", "--grid", "grid.yaml", "--jobs", "1", "--device", "cpu", "-q", *asked]) == 0
        yield place


def records(home):
    found = {record.cell.loss: record for record in loaded(home / "results/tiny")}
    return found["classifier"], found["csq"]


def test_codes_of_a_classifier_are_code_words_of_classes(home):
    ours, _ = records(home)
    (path,) = (path for path in artifacts(home, "finetune") if "classifier" in path.name)
    kept = load_file(path / "network.safetensors")
    words = {pack_signs(word[None].numpy()).tobytes() for word in kept["head.words"]}
    (encode,) = (path for path in artifacts(home, "encode") if "classifier" in path.name)
    codes = load_file(encode / "codes.safetensors")
    for part in ("query", "database"):
        assert {code.numpy().tobytes() for code in codes[part]} <= words
    assert ours.metric("map")[1].value > 0.5
    summary = ours.stages["finetune"].summary
    assert 0.5 < summary["train_accuracy"] <= 1


def test_a_classifier_has_costs_of_its_own(home):
    ours, csq = records(home)
    width, classes, bits = 12, 4, 16
    trunk = csq.metric("params")[1].value - (width + 1) * bits
    assert ours.metric("params")[1].value == trunk + (width + 1) * classes
    saved = csq.metric("macs")[1].value - ours.metric("macs")[1].value
    assert saved == width * (bits - classes)
    assert ours.metric("macs")[1].detail["fully_counted"]


@pytest.mark.slow
def test_a_classifier_that_is_exported_makes_the_codes_of_its_record(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    for name in ("cache", "data"):
        monkeypatch.setenv(f"BENCH_{name.upper()}", str(home / name))
    cell = "results/tiny/synthetic__no-teacher__tiny_student__none__classifier__16b__s0"
    assert main(["export", cell, "bundle", "-q", "--include", str(PLUGINS / "tiny.py")]) == 0
    proof = json.loads((home / "bundle/bundle.json").read_text())["agreement"]
    assert proof["codes_changed"] == proof["bits_changed"] == proof["difference"] == 0
    outputs = load(home / "bundle")(torch.randn(5, 3, 16, 16))
    assert set(outputs.abs().unique().tolist()) == {1.0}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "bits: [16]",
            "bits: [[16, 8]]",
            "13:10: loss 'classifier' has no codes within its codes",
        ),
        (
            "bits: [16]",
            "bits: [1]",
            "12:10: loss 'classifier': there are 2 code words, and 4 classes",
        ),
        ("[synthetic]", "[{name: synthetic, params: {multi_label: true}}]", "it tells one class of an image"),
    ],
)
def test_what_a_classifier_cannot_be_is_refused_at_its_place(tiny, folder, old, new, message):
    text = TINY_GRID.replace("[csq, dch]", "[classifier]").replace(old, new)
    result = tiny("plan", edit=(TINY_GRID, text))
    assert result.code == 2
    assert message in result.err


def test_a_classifier_tells_the_classes_of_training_alone(tiny, folder):
    dataset = "dataset: [{name: synthetic, params: {unseen_classes: 2}}]"
    text = TINY_GRID.replace("dataset: [synthetic]", dataset).replace("[csq, dch]", "[classifier]")
    assert tiny("run", *ONLY, edit=(TINY_GRID, text)).code == 0
    (record,) = loaded(Path("results/tiny"))
    (path,) = artifacts(folder, "finetune")
    assert len(load_file(path / "network.safetensors")["head.words"]) == 2
    assert record.metric("params")[1].value == sum(
        tensor.numel()
        for name, tensor in load_file(path / "network.safetensors").items()
        if "running" not in name and "batches" not in name and name != "head.words"
    )


def test_heads_of_a_frozen_trunk_are_trained_otherwise_as_well(tiny, folder):
    params = "{train: head, lr: 1.0e-2}"
    losses = f"[{{name: classifier, params: {params}}}, {{name: orthohash, params: {params}}}]"
    assert tiny("run", *ONLY, edit=("[csq, dch]", losses)).code == 0
    records = loaded(Path("results/tiny"))
    assert {record.status for record in records} == {"ok"}
    kept = {
        path.name.split("__")[3]: load_file(path / "network.safetensors")
        for path in artifacts(folder, "finetune")
    }
    assert kept["orthohash"]["head.weight"].shape == (16, 12)
    assert kept["classifier"]["head.words"].shape == (4, 16)
    for name, tensor in kept["orthohash"].items():
        if name.startswith("trunk"):
            assert torch.equal(tensor, kept["classifier"][name])


@pytest.mark.parametrize("loss", ["orthohash", "dhd"])
def test_several_lengths_share_what_is_folded(tiny, folder, loss):
    text = TINY_GRID.replace("[csq, dch]", f"[{loss}]").replace("bits: [16]", "bits: [[16, 8]]")
    assert tiny("run", *ONLY, edit=(TINY_GRID, text)).code == 0
    assert [record.status for record in loaded(Path("results/tiny"))] == ["ok", "ok"]
    (path,) = artifacts(folder, "finetune")
    assert load_file(path / "network.safetensors")["head.weight"].shape == (16, 12)
