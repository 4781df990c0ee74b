"""Step 2 on features of a frozen trunk: computed once, and what is left is a network like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.data import loading
from bench.execution.machine import Machine
from bench.hamming import pack_signs
from bench.registry import LOSSES
from bench.stages import encode, memory, networks
from bench.stages.kept import found_stage
from bench.storage.store import Store
from bench.training.loop import seeded, shuffled
from bench.types import HashingTask
from models.layers.heads import hash_network
from tests.left import artifacts, loaded
from tests.trainings import Trainings

FITTED = [name for name in LOSSES.names() if LOSSES.get(name).fitted and not LOSSES.get(name).compresses]
HEADS = "{name: csq, params: {train: head}}", "{name: dch, params: {train: head, select: val, eval_every: 1}}"
BITS = "[8]"


def edit(losses, bits=BITS, seeds="[0]"):
    old = "  loss: [csq, dch]\n  bits: [16]\n  seed: [0]"
    return old, f"  loss: [{', '.join(losses)}]\n  bits: {bits}\n  seed: {seeds}"


def index_of(path):
    return json.loads((path / "artifact.json").read_text())


def context():
    return Machine(Store(Path("cache")), Path("data"), "cpu", threads=2, precision="fp32").context({})


#: Of cells in which costs do not matter.
CHEAP = [
    *("--set", "report.examples=0"),
    *(
        word
        for name in ("latency", "search", "peak_memory", "macs")
        for word in ("--set", f"measure.{name}=false")
    ),
]


@pytest.fixture
def records(tiny):
    """Of everything that leaves the trunk as it is, behind each of the two students."""
    assert tiny("run", *CHEAP, edit=edit([*FITTED, *HEADS])).code == 0
    return {(one.cell.method, one.cell.loss): one for one in loaded(Path("results/tiny"))}


def test_features_are_computed_once_for_everything_behind_a_trunk(records, folder):
    assert len(records) == 2 * (len(FITTED) + 2)
    assert all(record.status == "ok" for record in records.values())
    assert len(artifacts(folder, "trunk")) == len({one.cell.method for one in records.values()}) == 2
    assert len(artifacts(folder, "fit")) == 2 * len(FITTED)
    assert len(artifacts(folder, "finetune")) == 2 * 2
    data = loading.load("synthetic", records["none", "pca"].params["dataset"], Path("data"), None)
    parts = (getattr(data.splits, part) for part in ("query", "database", "train", "val"))
    expected = np.unique(np.concatenate([*parts]))
    for path in artifacts(folder, "trunk"):
        np.testing.assert_array_equal(load_file(path / "images.safetensors")["images"], expected)
        assert load_file(path / "features.safetensors")["features"].shape == (len(expected), 12)


def test_networks_that_are_left_give_the_codes_of_their_cells_from_images(records, folder):
    """Without the features, as an export has them."""
    for record in records.values():
        store, stage = found_stage(record, [Store(folder / "cache")])
        assert set(stage.inputs) == {"finetune" if record.cell.loss in ("csq", "dch") else "fit"}
        net, preprocessing = networks.deployed(stage, context())
        codes = load_file(store.path(*stage.place) / encode.CODES)
        data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
        for part in ("query", "database"):
            outputs = encode.outputs_of(
                net, preprocessing, data, getattr(data.splits, part), stage.spec, context()
            )
            differ = pack_signs(outputs.numpy()) != codes[part].numpy()
            assert differ.mean() < 0.01  # an output next to 0 may be rounded to the other side


def test_trunks_stay_as_they_were_bit_for_bit(records, folder):
    started = {}
    with seeded(0, torch.device("cpu")):
        started["none"] = hash_network(context().student(block()).build(), 12, 8)
    (path,) = artifacts(folder, "distill")
    distilled = load_file(path / "student.safetensors")
    for path in [*artifacts(folder, "finetune"), *artifacts(folder, "fit")]:
        tensors = load_file(path / "network.safetensors")
        before = started["none"].trunk.state_dict() if "__none__" in path.name else distilled
        for name, tensor in before.items():
            assert torch.equal(tensors[f"trunk.{name}"], tensor), (path.name, name)


def block():
    return {"name": "tiny_student", "version": 1, "params": {}, "weights": "none"}


def test_a_head_is_trained_as_by_a_plain_loop_over_features(records, folder):
    (trunk,) = (path for path in artifacts(folder, "trunk") if "__none__" in path.name)
    (made,) = (path for path in artifacts(folder, "finetune") if "__none__csq__" in path.name)
    features = load_file(trunk / "features.safetensors")["features"]
    places = load_file(trunk / "images.safetensors")["images"].numpy()
    record = records["none", "csq"]
    params = LOSSES.get("csq").Params.of(record.params["loss"])
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    train = np.union1d(data.splits.train, data.splits.val)
    rows = features[torch.from_numpy(np.searchsorted(places, train))]
    labels = torch.from_numpy(data.images.multi_hot(train)).float()
    with seeded(0, torch.device("cpu")):
        head = hash_network(context().student(block()).build(), 12, 8).head
    loss = LOSSES.get("csq")(params, HashingTask(8, data.images.classes, len(train), 0, False, "synthetic"))
    optimizer = torch.optim.AdamW(head.parameters(), lr=params.lr, weight_decay=params.weight_decay)
    for epoch in range(params.epochs):
        for chosen in shuffled(len(train), params.batch_size, 0)(epoch):
            index = torch.from_numpy(chosen)
            optimizer.zero_grad()
            sum(loss.terms(head(rows[index]), labels[index], index).values()).backward()
            optimizer.step()
    tensors = load_file(made / "network.safetensors")
    torch.testing.assert_close(tensors["head.weight"], head.weight.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(tensors["head.bias"], head.bias.detach(), rtol=1e-4, atol=1e-6)


def test_an_epoch_is_chosen_by_validation_on_features_too(records, folder):
    for path in artifacts(folder, "finetune"):
        summary = index_of(path)["summary"]
        scores = [epoch["val_map"] for epoch in summary["history"] if "val_map" in epoch]
        assert len(scores) == (2 if "__dch__" in path.name else 0)
        assert summary["images"] == (64 if "__dch__" in path.name else 80)


def test_codes_are_fitted_to_the_pool_and_never_to_queries(tiny, folder, monkeypatch):
    from bench.losses.pca import Pca

    seen = []
    right = Pca.fit
    monkeypatch.setattr(
        Pca, "fit", lambda self, features: seen.append(len(features)) or right(self, features)
    )
    losses = "{name: pca, params: {pool: train}}", "pca"
    assert tiny("run", *CHEAP, "--only", "method=none", edit=edit(losses)).code == 0
    record, *_ = loaded(Path("results/tiny"))
    splits = loading.load("synthetic", record.params["dataset"], Path("data"), None).splits
    train = np.union1d(splits.train, splits.val)
    assert not set(train) & set(splits.query)
    assert sorted(seen) == [len(train), len(np.union1d(splits.database, train))]


def test_several_views_are_put_together_by_the_network(tiny, folder):
    losses = edit(["itq", HEADS[0]])
    assert (
        tiny("run", *CHEAP, "--only", "method=none", "--set", "defaults.encode.flip=true", edit=losses).code
        == 0
    )
    assert all(record.status == "ok" for record in loaded(Path("results/tiny")))
    for path in artifacts(folder, "encode"):
        assert "trunk" not in index_of(path)["inputs"]


def test_one_network_has_several_lengths(tiny, folder):
    losses = edit(["pca", HEADS[0]], bits="[[4, 8]]")
    assert tiny("run", *CHEAP, "--only", "method=none", edit=losses).code == 0
    found = loaded(Path("results/tiny"))
    assert sorted((one.cell.loss, one.cell.bits, one.status) for one in found) == [
        (loss, bits, "ok") for loss in ("csq", "pca") for bits in (4, 8)
    ]
    assert len(artifacts(folder, "encode")) == 2


def test_metrics_of_the_whole_system_measure_networks_that_were_fitted(tiny):
    asked = (
        "--set",
        "measure.onnx={batch_sizes: [1], samples: 5, warmup_seconds: 0.05}",
        "--only",
        "method=none",
    )
    assert tiny("run", *CHEAP, *asked, edit=edit(["itq"])).code == 0
    (record,) = loaded(Path("results/tiny"))
    assert record.status == "ok", record.error
    assert record.metrics["onnx_bits_changed:fp32"].value < 0.01


def test_an_interrupted_trunk_goes_on_where_it_stopped(tiny, folder, monkeypatch):
    from bench.storage import growing_rows
    from bench.training import views
    from bench.training.micro_batches import Forward

    monkeypatch.setattr(growing_rows, "NOTE_EVERY", 50)
    monkeypatch.setattr(views, "EVALUATION_BATCH", 50)
    right, calls = Forward.__call__, []

    def broken(forward, inputs):
        calls.append(len(inputs))
        if len(calls) == 3:
            raise RuntimeError("the lights go out")
        return right(forward, inputs)

    only = ("--only", "method=none")
    monkeypatch.setattr(Forward, "__call__", broken)
    assert tiny("run", *CHEAP, *only, edit=edit(["pca"])).code == 1
    monkeypatch.setattr(Forward, "__call__", right)
    assert tiny("run", *CHEAP, *only, "--overwrite", "failed", edit=edit(["pca"])).code == 0
    (path,) = artifacts(folder, "trunk")
    assert index_of(path)["summary"]["resumed_at"] == 100


def test_features_that_are_not_finite_are_told(tiny, monkeypatch):
    from bench.training.micro_batches import Forward

    right = Forward.__call__
    monkeypatch.setattr(Forward, "__call__", lambda forward, inputs: right(forward, inputs) * float("nan"))
    assert tiny("run", *CHEAP, "--only", "method=none", edit=edit(["pca"])).code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.error.stage == "trunk"
    assert "features of tiny_student are not finite; check its weights" in record.error.message


def test_a_split_without_the_pool_is_told(tiny, folder, monkeypatch):
    from bench.data import pools

    right = pools.drawn
    monkeypatch.setattr(pools, "drawn", lambda *asked: right(*asked)[:0])
    assert tiny("run", *CHEAP, "--only", "method=none", edit=edit(["lsh"])).code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.error.stage == "fit"
    assert record.error.message.endswith("has no images in pool 'database' to fit codes to")


def test_what_frozen_stages_need_of_memory_is_little(tmp_path, monkeypatch):
    losses = f"lsh, {HEADS[0]}"
    every = Trainings(
        tmp_path, monkeypatch, TEACHER="tiny_teacher", STUDENT="tiny_student", METHOD="none", LOSSES=losses
    )
    needs = memory.Needs(every.context())
    stages = [stage for stage in every.plan.stages() if stage.kind not in ("measure", "examples")]
    assert {stage.kind for stage in stages} == {"trunk", "fit", "finetune", "encode"}
    found = needs.of(stages)
    assert found.keys() == {stage.key for stage in stages}
    assert all(memory.PROCESS <= need < 1.2 * memory.PROCESS for need in found.values())


def test_a_head_that_is_trained_again_is_the_same(tiny, folder):
    """From features that are read again."""
    only = ("--only", "method=none", "--only", "loss=csq")
    assert tiny("run", *CHEAP, *only, "--out", "one", edit=edit([HEADS[0]])).code == 0
    (path,) = artifacts(folder, "finetune")
    first = index_of(path)["files"]
    for kind in ("finetune", "encode", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind, ignore_errors=True)
    assert tiny("run", *CHEAP, *only, "--out", "two", edit=edit([HEADS[0]])).code == 0
    (path,) = artifacts(folder, "finetune")
    assert index_of(path)["files"] == first
    one, two = (loaded(Path(name))[0] for name in ("one", "two"))
    assert one.cell == two.cell
    assert one.metric("map")[1].value == two.metric("map")[1].value
