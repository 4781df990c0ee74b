"""The network of a recorded cell is found by what its record says, and by nothing else."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.execution.machine import Machine
from bench.hamming import pack_signs
from bench.stages import encode, networks
from bench.stages.kept import found_stage
from bench.storage.store import Store
from tests.left import artifacts, loaded

EDIT = ("loss: [csq, dch]", "loss: [csq, none]")


@pytest.fixture
def cache(tiny, folder):
    """After a run with both steps, one of them and none."""
    assert tiny("run", edit=EDIT).code == 0
    return Store(folder / "cache")


def cells():
    return {(record.cell.method, record.cell.loss): record for record in loaded(Path("results/tiny"))}


@pytest.mark.parametrize(
    ("cell", "trained"),
    [
        (("none", "csq"), "finetune"),
        (("cukd", "csq"), "finetune"),
        (("cukd", "none"), "distill"),
        (("none", "none"), None),
    ],
    ids=str,
)
def test_the_stage_is_that_of_the_artifacts(cache, cell, trained):
    record = cells()[cell]
    store, stage = found_stage(record, [cache])
    assert store is cache
    assert (stage.kind, stage.key) == ("encode", record.stages["encode"].key)
    assert list(stage.inputs) == ([trained] if trained else [])
    for one in (stage, *stage.inputs.values()):
        index = cache.verify(cache.path(*one.place))
        assert (index["key"], index["spec"], index["kind"]) == (one.key, one.spec, one.kind)
        assert record.stages[one.kind].key == one.key
    assert networks.code_length(stage) == record.cell.bits


def test_its_network_gives_the_codes_of_the_cell_although_all_else_is_gone(cache, folder):
    record = cells()["cukd", "csq"]
    for kind in ("features", "distill", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind)
    store, stage = found_stage(record, [cache])
    machine = Machine(store, folder / "data", "cpu", threads=2, precision="fp32")
    context = machine.context({})
    net, preprocessing = networks.deployed(stage, context)
    dataset = context.dataset(stage.spec["dataset"])
    query = dataset.splits.query
    outputs = encode.outputs_of(net, preprocessing, dataset, query, stage.spec, context)
    codes = load_file(store.path(*stage.place) / encode.CODES)["query"]
    assert torch.equal(torch.from_numpy(pack_signs(outputs.numpy())), codes)


def test_stores_are_asked_in_their_order(cache, folder):
    record = cells()["cukd", "csq"]
    other = Store(shutil.copytree(folder / "cache", folder / "other"))
    assert found_stage(record, [Store(folder / "absent"), other, cache])[0] is other
    assert found_stage(record, [Store(folder / "absent")]) is None
    assert found_stage(record, []) is None


@pytest.mark.parametrize("kind", ["encode", "finetune"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_what_is_damaged_or_gone_is_taken_from_the_next_store_and_stays_there(
    cache, folder, kind, damage, caplog
):
    record = cells()["cukd", "csq"]
    other = Store(shutil.copytree(folder / "cache", folder / "other"))
    victim = other.find(kind, record.stages[kind].key)
    if damage == "changed":
        (file,) = victim.glob("*.safetensors")
        file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    else:
        shutil.rmtree(victim)
    logging.getLogger("bench").propagate = True
    with caplog.at_level(logging.WARNING):
        assert found_stage(record, [other, cache])[0] is cache
        assert found_stage(record, [other]) is None
    assert ("damaged, and not used" in caplog.text) == (damage == "changed")
    assert victim.exists() == (damage == "changed")


def test_a_record_without_stages_is_of_no_network(cache):
    record = cells()["cukd", "csq"]
    assert artifacts(Path(), "encode")
    assert found_stage(record.model_copy(update={"stages": {}}), [cache]) is None
