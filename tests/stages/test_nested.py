"""Several code lengths of one network: trained once, encoded once, and judged as codes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bench.data import loading
from bench.hamming import average_precision, first_bits, pack_codes
from bench.registry import LOSSES
from bench.results.names import Names
from bench.stages.nested import NestedLoss
from bench.types import HashingTask
from models.layers.heads import hash_network, shortened
from tests.left import artifacts, loaded

TASK = HashingTask(bits=16, classes=4, train_images=12, seed=3)
EDIT = "bits: [16]", "bits: [[16, 8], 16]"
ONLY = "--only", "method=none"


def of(records, bits, *, nested):
    return {
        one.cell.loss: one for one in records if one.cell.bits == bits and ("nested" in one.params) == nested
    }


@pytest.fixture
def records(tiny, folder):
    """Of networks with 8 and 16 bits, and of those with 16 alone."""
    assert tiny("run", *ONLY, edit=EDIT).code == 0
    return loaded(Path("results/tiny"))


def test_cells_of_one_network_share_its_training_and_its_codes(records, folder):
    assert len(records) == 6
    assert len(artifacts(folder, "finetune")) == len(artifacts(folder, "encode")) == 4
    for bits in (8, 16):
        for record in of(records, bits, nested=True).values():
            assert record.params["nested"] == [8, 16]
    names = Names(records)
    said = {names(one).loss for one in records}
    assert said == {"csq", "dch", "csq[nested=8+16]", "dch[nested=8+16]"}


def test_the_first_bits_are_judged(records, folder):
    shorter, longer = (of(records, bits, nested=True)["csq"] for bits in (8, 16))
    data = loading.load("synthetic", shorter.params["dataset"], Path("data"), None)
    (encode,) = (
        path for path in artifacts(folder, "encode") if shorter.stages["encode"].key[:12] in path.name
    )
    assert longer.stages["encode"].key == shorter.stages["encode"].key
    codes = load_file(encode / "codes.safetensors")
    labels = [data.images.labels[part] for part in (data.splits.query, data.splits.database)]
    for record, bits in ((shorter, 8), (longer, 16)):
        cut = [first_bits(codes[part], bits) for part in ("query", "database")]
        expected = average_precision(*cut, *labels, bits=bits).mean()
        assert record.metric("map")[1].value == pytest.approx(expected, abs=1e-12)
    assert shorter.metric("map")[1].value != longer.metric("map")[1].value
    assert shorter.metric("params")[1].value < longer.metric("params")[1].value


def test_a_network_costs_what_one_of_that_length_alone_does(records):
    alone, nested = (of(records, 16, nested=nested)["dch"] for nested in (False, True))
    for metric in ("params", "macs", "latency_ms"):
        assert nested.metric(metric)[1] == alone.metric(metric)[1]


def test_an_interrupted_run_goes_on_with_what_is_there(tiny, records, folder):
    before = {path.name for path in artifacts(folder, "finetune")}
    assert tiny("run", *ONLY, "--overwrite", "always", "--only", "bits=8", edit=EDIT).code == 0
    assert {path.name for path in artifacts(folder, "finetune")} == before


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("[[16, 12]]", r"grid.yaml:\d+:\d+: csq needs a power of two .* not 12; take 8 or 16; drop it"),
        ("[[16, 16]]", r"lengths of one network should differ, not \[16, 16\]"),
        ("[[16, []]]", r"grid.yaml:\d+:\d+"),
        ("[[]]", r"grid.yaml:\d+:\d+"),
    ],
)
def test_lengths_that_cannot_be_are_refused_at_their_place(tiny, folder, bits, message):
    result = tiny("plan", *ONLY, edit=("bits: [16]", f"bits: {bits}"))
    assert result.code == 2
    assert __import__("re").search(message, result.err), result.err


@pytest.mark.parametrize(
    ("bits", "weights", "message"),
    [
        ("[[16, 8]]", [1, 2, 3], "length_weights takes a number for each of [8, 16], not (1.0, 2.0, 3.0)"),
        ("[16]", [1, 2, 3], "length_weights takes bits of several lengths: [[16, 32]], not (1.0, 2.0, 3.0)"),
        ("[[16, 8]]", [], "length_weights takes a number for each of [8, 16], not ()"),
        ("[16]", [], "length_weights takes bits of several lengths: [[16, 32]], not ()"),
    ],
)
def test_weights_are_a_number_for_each_length(tiny, folder, bits, weights, message):
    loss = f"loss: [{{name: csq, params: {{length_weights: {weights}}}}}]"
    result = tiny("plan", *ONLY, edit=("loss: [csq, dch]\n  bits: [16]", f"{loss}\n  bits: {bits}"))
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if LOSSES.get(name).trains])
def test_the_loss_is_the_weighted_sum_of_one_for_each_length(name):
    plugin = LOSSES.get(name)
    params = plugin.Params(length_weights=(0.5, 2.0))
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(6, 16, generator=generator, requires_grad=True)
    labels = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0, 1])]
    index = torch.arange(6)

    def made():
        torch.manual_seed(1)
        nested = NestedLoss(plugin, params, TASK, (8, 16))
        torch.manual_seed(1)
        return nested, [plugin(params, HashingTask(bits, 4, 12, 3)) for bits in (8, 16)]

    nested, alone = made()
    for loss in (nested, *alone):
        loss.begin_epoch(0)
    expected = {
        f"{term}@{bits}": weight * value
        for loss, bits, weight in zip(alone, (8, 16), (0.5, 2.0), strict=True)
        for term, value in loss.terms(codes[:, :bits], labels, index).items()
    }
    found = nested.terms(codes, labels, index)
    assert found.keys() == expected.keys()
    for term, value in found.items():
        torch.testing.assert_close(value, expected[term])
    assert len(list(nested.parameters())) == sum(len(list(loss.parameters())) for loss in alone)
    # As a checkpoint keeps it.
    again, _ = made()
    again.load_state_dict(nested.state_dict())
    for own, other in zip(nested.parameters(), again.parameters(), strict=True):
        other.data = own.data.clone()
    repeated = again.terms(codes, labels, index)
    for term, value in nested.terms(codes, labels, index).items():
        torch.testing.assert_close(repeated[term], value)


def test_without_weights_the_losses_are_averaged():
    plugin = LOSSES.get("csq")
    nested = NestedLoss(plugin, plugin.Params(), TASK, (8, 16))
    codes, labels = torch.randn(4, 16), torch.eye(4)
    alone = [plugin(plugin.Params(), HashingTask(bits, 4, 12, 3)) for bits in (8, 16)]
    terms = [
        sum(loss.terms(codes[:, :bits], labels, None).values())
        for loss, bits in zip(alone, (8, 16), strict=True)
    ]
    torch.testing.assert_close(sum(nested.terms(codes, labels, None).values()), sum(terms) / 2)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 24])
def test_first_bits_are_those_of_the_outputs(bits):
    outputs = np.random.default_rng(0).standard_normal((20, 24))
    np.testing.assert_array_equal(first_bits(pack_codes(outputs), bits), pack_codes(outputs[:, :bits]))


def test_a_shortened_network_gives_the_first_outputs_and_leaves_the_other_as_it_is():
    net = hash_network(torch.nn.Flatten(), 12, 8)
    images = torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(shortened(net, 3)(images), net(images)[:, :3])
    assert net(images).shape == (5, 8)
