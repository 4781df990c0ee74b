"""Whatever a weight file holds: a network, or one line that names file and tensor, before any work."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.errors import WeightsError
from models.weights import load_state_dict, read_state_dict
from tests.conftest import Result
from tests.faults.fuzzing import fuzz

MISFITS = {
    "sparse": (lambda w: w.to_sparse(), r"0\.weight is stored as sparse_coo; save it dense"),
    "rows": (lambda w: w.to_sparse_csr(), r"0\.weight is stored as sparse_csr; save it dense"),
    "meta": (lambda w: w.to("meta"), r"0\.weight has a shape and no values \(device meta\)"),
    "quantised": (
        lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
        r"0\.weight is quantised \(qint8\); save the float network",
    ),
    "complex": (lambda w: w.to(torch.complex64), r"0\.weight is complex \(complex64\), and .* is float32"),
    "integer": (lambda w: w.to(torch.int8), r"0\.weight is int8, and the network's is float32; save"),
    "bool": (lambda w: w > 0, r"0\.weight is bool, and the network's is float32; save"),
    "NaN": (lambda w: w * float("nan"), r"0\.weight: 12 of its 12 values are NaN or infinite in float32"),
    "infinite": (lambda w: w.index_fill(0, torch.tensor(1), float("-inf")), r"0\.weight: 4 of its 12 values"),
    "too large for float32": (lambda w: w.double() * 1e300, r"0\.weight: 12 of its 12 values are NaN or inf"),
    "large": (lambda w: w * 0 + 1e30, r"0\.weight holds 1e\+30, with which no output is finite"),
    "another shape": (
        lambda w: w[None],
        r"fit the network: 0\.weight has shape \(1, 3, 4\), expected \(3, 4\)",
    ),
    "a number": (lambda w: w.sum(), r"0\.weight has shape \(\), expected \(3, 4\)"),
    "expanded without end": (
        lambda w: torch.zeros(1).expand(10**12),
        r"0\.weight has shape \(1000000000000,\), expected \(3, 4\)",
    ),
    "a dict": (
        lambda w: {"weight": w},
        r"'0\.weight' is a dict, and not a flat dict of tensors by name; save",
    ),
    "a list": (lambda w: [w], r"'0\.weight' is a list, and not a flat dict"),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def net() -> nn.Sequential:
    return network()


def save(state: dict[Any, Any], path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of quantisation and sparse rows
        torch.save(state, path)
    return path


@pytest.mark.filterwarnings("ignore")  # torch's, of what the test makes
@pytest.mark.parametrize(("change", "message"), MISFITS.values(), ids=MISFITS)
def test_what_can_be_no_weight_is_named(
    net: nn.Sequential, tmp_path: Path, change: Callable[[Tensor], Any], message: str
) -> None:
    state = net.state_dict()
    path = save({**state, "0.weight": change(state["0.weight"])}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=rf"^{path}: .*{message}") as refused:
        load_state_dict(net, read_state_dict(path), path)
    assert str(refused.value).isprintable()
    assert "lower lr" not in str(refused.value)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (torch.int64, "is int64"),
        (torch.complex64, "is complex"),
        (torch.uint8, "is uint8"),
        (torch.bool, "bool"),
    ],
)
def test_of_safetensors_too(net: nn.Sequential, tmp_path: Path, dtype: torch.dtype, message: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file({**net.state_dict(), "0.bias": torch.ones(3).to(dtype)}, path)
    with pytest.raises(WeightsError, match=rf"^{path}: 0\.bias .*{message}"):
        load_state_dict(net, read_state_dict(path), path)


def test_no_variance_is_negative(net: nn.Sequential, tmp_path: Path) -> None:
    state = {**net.state_dict(), "1.running_var": torch.tensor([1.0, -0.5, 0.0])}
    with pytest.raises(
        WeightsError, match=r"^net\.pt: 1\.running_var holds -0\.5, and no variance is negative"
    ):
        load_state_dict(net, state, Path("net.pt"))


def test_keys_that_are_no_names(tmp_path: Path) -> None:
    path = save({1: torch.ones(1)}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"1 is a tensor, and not a flat dict of tensors by name"):
        read_state_dict(path)


def test_names_of_any_characters_are_escaped(net: nn.Sequential) -> None:
    with pytest.raises(WeightsError) as refused:
        load_state_dict(net, {**net.state_dict(), "\x1b[2J\n" + "x" * 10**4: torch.ones(1)}, Path("net.pt"))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floats_of_other_widths_are_weights(net: nn.Sequential, tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in net.state_dict().items()}  # the counter as well
    path = save(state, tmp_path / "net.pt")
    load_state_dict(net, read_state_dict(path), path)
    assert torch.equal(net[0].weight, state["0.weight"].float())


def test_infinite_values_of_the_network_itself_may_come_again() -> None:
    net = nn.Module()
    net.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    load_state_dict(net, {"mask": torch.tensor([0.0, float("-inf")])}, Path("net.pt"))
    with pytest.raises(WeightsError, match="1 of its 2 values"):
        load_state_dict(net, {"mask": torch.tensor([float("-inf"), 0.0])}, Path("net.pt"))


def test_of_a_command(tiny: Callable[..., Result], folder: Path) -> None:
    """Told before any work, with the network's name."""
    import timm

    state = timm.create_model("test_byobnet").state_dict()
    name = next(iter(state))
    path = save({**state, name: state[name].to_sparse()}, folder / "net.pt")
    student = f"student: [{{name: 'timm:test_byobnet', params: {{weights: {path}}}}}]"
    result = tiny("run", edit=("student: [tiny_student]", student))
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert line == (
        f"error: student timm:test_byobnet: {path}: {name} is stored as sparse_coo; save it dense, with "
        ".to_dense()"
    )
    assert not list(folder.rglob("records/*.json"))


@pytest.mark.parametrize("zipped", [True, False])
def test_pairs_of_pairs_are_never_hashed(net: nn.Sequential, tmp_path: Path, zipped: bool) -> None:
    """A key of 60 pairs, each of which is twice the one before."""
    pairs = b")" + b"".join(b"q%ch%ch%c\x86" % (n, n, n) for n in range(60))
    hostile, path = b"\x80\x02}(" + pairs + b"Nu.", tmp_path / "net.pt"
    torch.save(net.state_dict(), tmp_path / "sound.pt", _use_new_zipfile_serialization=zipped)
    if zipped:
        with zipfile.ZipFile(tmp_path / "sound.pt") as sound, zipfile.ZipFile(path, "w") as made:
            for name in sound.namelist():
                made.writestr(name, hostile if name.endswith("data.pkl") else sound.read(name))
    else:
        content = (tmp_path / "sound.pt").read_bytes()
        path.write_bytes(content[: content.index(b"ccollections")].rpartition(b"\x80\x02")[0] + hostile)
    with pytest.raises(WeightsError, match=rf"^{path}: cannot be read as weights: damaged"):
        read_state_dict(path)
    assert read_state_dict(tmp_path / "sound.pt").keys() == net.state_dict().keys()


def read_network(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_state_dict(network(), read_state_dict(path), path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_files_are_weights_or_one_line(net: nn.Sequential, tmp_path: Path, suffix: str) -> None:
    if suffix == ".pt":
        save(net.state_dict(), tmp_path / "sound")
        torch.save(net.state_dict(), tmp_path / "old", _use_new_zipfile_serialization=False)
    else:
        save_file(net.state_dict(), tmp_path / "sound")
    sound = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    fuzz(read_network, sound, tmp_path / f"net{suffix}").check()
