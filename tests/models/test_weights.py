from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.errors import WeightsError
from models.weights import fingerprint, load_state_dict, read_state_dict


class Runs:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def net():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_reads_what_was_saved(net, tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(net.state_dict(), path)
    state = read_state_dict(path)
    assert state.keys() == net.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_fingerprint_follows_the_content(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"one")
    assert fingerprint(path) == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    path.write_bytes(b"other")
    assert fingerprint(path) == f"sha256:{hashlib.sha256(b'other').hexdigest()}"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_damaged_files_are_named(net, tmp_path, suffix, damage):
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(net.state_dict(), path)
    content = {"garbage": b"\x80garbage" * 50, "truncated": path.read_bytes()[:-40], "empty": b""}[damage]
    path.write_bytes(content)
    cure = "copy it again" if suffix == ".safetensors" else "save net.state_dict"
    with pytest.raises(
        WeightsError, match=rf"{re.escape(str(path))}: cannot be read as weights: damaged.*{cure}"
    ):
        read_state_dict(path)


def test_pickled_code_does_not_run(tmp_path):
    torch.save({"weight": Runs(tmp_path / "created")}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="could run code and are refused"):
        read_state_dict(tmp_path / "net.pt")
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize(
    "content", [{"state_dict": {"weight": torch.ones(1)}}, [torch.ones(1)], torch.ones(1)]
)
def test_only_flat_dicts_of_tensors(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="not a flat dict of tensors by name; save net.state_dict"):
        read_state_dict(tmp_path / "net.pt")


@pytest.mark.parametrize("path", ["gone.pt", "."])
def test_missing_file(path):
    for read in (fingerprint, read_state_dict):
        with pytest.raises(WeightsError, match=f"no such weights file: {re.escape(path)}"):
            read(Path(path))


def test_misfits_are_listed_and_counted(net):
    state = net.state_dict()
    state["0.weight"] = torch.ones(3, 5)
    state["extra"] = torch.ones(1)
    del state["0.bias"], state["1.bias"]
    before = net[0].bias.clone()
    with pytest.raises(WeightsError) as caught:
        load_state_dict(net, state, Path("net.pt"))
    message = "net.pt: does not fit the network: 0.bias is missing; 1.bias is missing; extra is unknown"
    cure = "under its names and without layers that it does not have"
    end = f"and 1 more; give the state dict of this very network, {cure}"
    assert str(caught.value) == f"{message} to the network; {end}"
    assert torch.equal(net[0].bias, before)


def test_wrong_shape_names_both_shapes(net):
    state = net.state_dict() | {"0.weight": torch.ones(3, 5)}
    with pytest.raises(WeightsError, match=r"0\.weight has shape \(3, 5\), expected \(3, 4\); give"):
        load_state_dict(net, state, Path("net.pt"))


def test_only_the_classifier_is_left_out(net):
    state = net.state_dict() | {"fc.weight": torch.ones(5, 3), "fc.bias": torch.ones(5)}
    load_state_dict(net, state, Path("net.pt"), {"fc.weight": (5, 3), "fc.bias": (5,)})
    with pytest.raises(WeightsError, match=r"fc\.weight is unknown to the network; fc\.bias is unknown"):
        load_state_dict(net, state, Path("net.pt"))
    with pytest.raises(WeightsError) as caught:
        load_state_dict(net, state, Path("net.pt"), {"fc.weight": (7, 3), "fc.bias": (7,)})
    assert str(caught.value) == (
        "net.pt: does not fit the network: fc.weight of shape (5, 3) would not be used, and is not of the "
        "classifier of its pretraining, (7, 3); fc.bias of shape (5,) would not be used, and is not of the "
        "classifier of its pretraining, (7,); if features go through it, choose a network that has it (for "
        "ResNets of torchvision, projection is its width), otherwise take it out of the file"
    )


def test_a_square_layer_is_no_classifier(net):
    """Whatever the network's own is like; but one that another layer follows, as AlexNet's fc7, is of it."""
    state = net.state_dict() | {"fc.weight": torch.ones(3, 3)}
    with pytest.raises(WeightsError, match=r"fc\.weight of shape \(3, 3\) would not be used, and is not of"):
        load_state_dict(net, state, Path("net.pt"), {"fc.weight": (3, 3), "fc.bias": (3,)})
    state["last.weight"] = torch.ones(5, 3)
    load_state_dict(net, state, Path("net.pt"), {"fc.weight": (3, 3), "last.weight": (5, 3)})
    # Nor need the file have what follows it.
    del state["last.weight"]
    load_state_dict(net, state, Path("net.pt"), {"fc.weight": (3, 3), "last.weight": (5, 3)})


def test_the_batch_counter_may_be_absent(net):
    state = net.state_dict() | {"1.running_mean": torch.full((3,), 2.0)}
    del state["1.num_batches_tracked"]
    load_state_dict(net, state, Path("net.pt"))
    assert net[1].running_mean.tolist() == [2.0] * 3


def test_a_path_that_cannot_be_is_one_line():
    for ask in (fingerprint, read_state_dict):
        with pytest.raises(WeightsError, match=r"^x+\.\.\.x+: File name too long; give another path, .*$"):
            ask(Path("x" * 5000))
