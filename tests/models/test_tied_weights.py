"""Weights that a network uses in several places: stored once, counted once, and tied again when loaded."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from bench.errors import WeightsError
from bench.metrics.params import ParameterCount
from bench.metrics.peak_memory import PeakMemory
from bench.metrics.weights import WeightsSize
from bench.stages import networks
from bench.types import Deployment
from models.layers.folding import folded
from models.weights import load_state_dict, read_state_dict, restore, stored_bytes, stored_tensors, ties


class Tied(nn.Module):
    """One layer under two names, a weight that two layers share, and a buffer that is a parameter."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.same = self.one
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.right.weight = self.left.weight
        self.register_buffer("seen", self.left.bias.data)
        self.register_buffer("nothing", torch.empty(0))
        self.register_buffer("nothing_else", torch.empty(0))

    def forward(self, x):
        return self.right(self.left(self.same(self.one(x))) + self.seen)


BY_IDENTITY = {"same.weight": "one.weight", "same.bias": "one.bias", "right.weight": "left.weight"}
#: Buffers come before the parameters of inner modules.
TIES = {**BY_IDENTITY, "left.bias": "seen"}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Tied()


def test_every_further_name_is_found(net):
    assert ties(net) == TIES
    assert stored_tensors(net).keys() == net.state_dict().keys() - TIES.keys()
    # A copy of tensors that only share memory does not share it.
    assert ties(copy.deepcopy(net)) == ties(copy.deepcopy(net).to("cpu")) == BY_IDENTITY
    assert not ties(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)))


def test_saved_once_and_restored_tied(net, tmp_path):
    networks.save(net, tmp_path / "net.safetensors")
    stored = load_file(tmp_path / "net.safetensors")
    assert stored.keys() == stored_tensors(net).keys()
    torch.manual_seed(1)
    again = Tied()
    restore(again, stored)
    assert ties(again) == TIES
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    with pytest.raises(RuntimeError, match=r"Missing key.*left\.weight"):
        restore(again, {name: value for name, value in stored.items() if name != "left.weight"})


def test_what_shares_memory_otherwise_is_saved_whole(net, tmp_path):
    net.register_buffer("part", net.left.weight.data[1:3])
    networks.save(net, tmp_path / "net.safetensors")
    assert torch.equal(load_file(tmp_path / "net.safetensors")["part"], net.left.weight[1:3])


def test_files_of_other_networks_stay_as_they_are(tmp_path):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    networks.save(plain, tmp_path / "ours.safetensors")
    expected = {name: value.contiguous() for name, value in plain.state_dict().items()}
    save_file(expected, tmp_path / "expected.safetensors")
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "expected.safetensors").read_bytes()


def test_counted_once(net):
    subject = Deployment(net, 16, torch.device("cpu"), "fp32", 16)
    assert ParameterCount(ParameterCount.Params()).compute(subject).values["params"].value == 3 * 20 - 16
    # The buffer is a bias, and so adds nothing.
    weights = WeightsSize(WeightsSize.Params()).compute(subject).values["weights_mb"].value
    assert weights == pytest.approx((3 * 20 - 16) * 4e-6)


def test_memory_holds_them_once():
    layer = nn.Conv2d(3, 3, 3, padding=1)
    subject = Deployment(nn.Sequential(layer, layer).eval(), 16, torch.device("cpu"), "fp32", 16)
    value = PeakMemory(PeakMemory.Params(batch_sizes=(1,))).compute(subject).values["peak_memory_mb@1"]
    assert value.detail["weights_mb"] == pytest.approx((3 * 3 * 9 + 3) * 4e-6)


@pytest.mark.parametrize("save", [save_model, networks.save])
def test_weight_files_need_one_of_the_names(net, tmp_path, save):
    """Safetensors' own way keeps another name than the first."""
    del net.seen
    path = tmp_path / "net.safetensors"
    save(net, str(path))
    torch.manual_seed(1)
    again = Tied()
    del again.seen
    load_state_dict(again, read_state_dict(path), path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())


def test_two_values_for_one_tensor_are_refused(net, tmp_path):
    state = {name: value.clone() for name, value in net.state_dict().items()}
    load_state_dict(Tied(), state, tmp_path / "net.pt")
    state["right.weight"] += 1
    with pytest.raises(WeightsError, match=r"right\.weight and left\.weight differ, which are one tensor"):
        load_state_dict(Tied(), state, tmp_path / "net.pt")


class Views(nn.Module):
    """Buffers that begin where another one begins, and are read otherwise."""

    def __init__(self):
        super().__init__()
        self.register_buffer("a", torch.randn(3, 3, dtype=torch.complex64))
        self.register_buffer("conjugate", self.a.conj())
        self.register_buffer("real", torch.randn(3, 3))
        self.register_buffer("negative", torch._neg_view(self.real))
        self.register_buffer("transposed", self.real.T)
        self.register_buffer("expanded", torch.randn(1, 3).expand(2, 3))
        self.register_buffer("expanded_again", self.expanded)
        self.register_buffer("scalar", torch.randn(()).expand(4))


def test_other_readings_of_one_memory_are_tensors_of_their_own(tmp_path):
    """A conjugated or negated view has pointer, shape, strides and type of the tensor itself."""
    torch.manual_seed(0)
    net, path = Views(), tmp_path / "net.safetensors"
    assert ties(net) == {"expanded_again": "expanded"}
    expected = {name: value.resolve_conj().resolve_neg().clone() for name, value in net.state_dict().items()}
    assert stored_bytes(net) == 2 * 72 + 3 * 36 + 24 + 16
    networks.save(net, path)
    stored = load_file(path)
    assert all(torch.equal(value, expected[name]) for name, value in stored.items())
    for load in (lambda net: restore(net, stored), lambda net: load_state_dict(net, dict(stored), path)):
        torch.manual_seed(1)
        again = Views()
        load(again)
        assert all(torch.equal(value, expected[name]) for name, value in again.state_dict().items())
        assert ties(again) == ties(net)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("convert", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_buffers_are_counted_restored_and_not_stored(tmp_path, convert):
    net = nn.Linear(4, 4)
    net.register_buffer("graph", convert(torch.eye(4)))
    net.register_buffer("same", net.graph)
    assert ties(net) == {"same": "graph"}
    assert stored_bytes(net) == (16 + 4 + 16) * 4
    state = {name: value.clone() for name, value in net.state_dict().items()}
    restore(net, {name: value for name, value in state.items() if name != "same"})
    load_state_dict(net, state, tmp_path / "net.pt")
    with pytest.raises(
        WeightsError, match=r"^graph is a sparse tensor, which no weight file holds; make it dense"
    ):
        networks.save(net, tmp_path / "net.safetensors")


@pytest.mark.parametrize("change", [torch.Tensor.clone, torch.Tensor.double])
def test_not_a_number_under_both_names_is_one_value(net, tmp_path, change):
    with torch.no_grad():
        net.left.weight[0, 0] = torch.nan
    state = {name: value.clone() for name, value in net.state_dict().items()}
    state["right.weight"] = change(state["right.weight"])
    load_state_dict(net, state, tmp_path / "net.pt")
    state["right.weight"][0, 0] = 0
    with pytest.raises(WeightsError, match=r"right\.weight and left\.weight differ"):
        load_state_dict(net, state, tmp_path / "net.pt")


def test_folding_leaves_the_other_user_of_a_weight_alone():
    """Two convolutions share a weight, and one of them is normalised."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    net[1].weight = net[0].weight
    nn.init.normal_(net[2].running_mean)
    images = torch.randn(2, 3, 4, 4)
    ours = folded(net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours)
    torch.testing.assert_close(ours(images), net(images))
