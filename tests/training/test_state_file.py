"""Trees come back from files bit for bit, or not at all."""

from __future__ import annotations

import json
import math
import resource

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bench.errors import UsageError
from bench.training.state_file import DamagedError, load, save, size

CPU = torch.device("cpu")
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@st.composite
def tensors(draw):
    """Of any type and shape, lying in memory in any order, with gaps or without."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    order = draw(st.permutations(range(len(shape))))
    count, seed = math.prod(shape), draw(st.integers(0, 99))
    values = torch.randint(-9, 9, (count,), generator=torch.Generator().manual_seed(seed))
    made = values.to(draw(st.sampled_from(DTYPES))).reshape(shape).permute(order)
    return made[..., ::2] if made.ndim and draw(st.booleans()) else made


TREES = st.recursive(
    PLAIN | tensors(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


def same(one, other):
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            same(*pair)
    else:
        assert type(one) is type(other)
        assert one == other


@given(tree=TREES)
@settings(max_examples=150, deadline=None)
def test_any_tree_comes_back(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "file"
    save(tree, path)
    same(tree, load(path, CPU))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (8, 1, 3, 3), (8, 6, 1, 1)])
def test_channels_last_stays_channels_last(tmp_path, shape):
    tensor = torch.randn(shape).to(memory_format=torch.channels_last)
    save([tensor, tensor.contiguous()], tmp_path / "file")
    last, first = load(tmp_path / "file", CPU)
    assert last.stride() == tensor.stride()
    assert first.stride() == tensor.contiguous().stride()


def test_tensors_that_share_memory_get_some_of_their_own(tmp_path):
    whole = torch.arange(6.0)
    tree = {"whole": whole, "part": whole[2:4], "turned": whole.view(2, 3).T, "one": torch.ones(1).expand(3)}
    save(tree, tmp_path / "file")
    found = load(tmp_path / "file", CPU)
    same(tree, found)
    found["part"].zero_()
    assert torch.equal(found["whole"], whole)


def test_parameters_come_back_as_plain_tensors(tmp_path):
    save(torch.nn.Parameter(torch.ones(2)), tmp_path / "file")
    assert not load(tmp_path / "file", CPU).requires_grad


def test_size_counts_the_bytes_of_tensors():
    assert size({"a": [torch.zeros(3), (torch.zeros(2, dtype=torch.int64),)], "b": "text", "c": 1}) == 28


@pytest.mark.parametrize("place", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.9999])
@pytest.mark.parametrize("bit", [1, 64])
def test_one_wrong_bit_is_seen(tmp_path, place, bit):
    path = tmp_path / "file"
    save({"a": torch.randn(50), "b": [1.5, "text", {"c": torch.arange(9)}]}, path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= bit
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        load(path, CPU)


@pytest.mark.parametrize("kept", [0, 1, 7, 100, -1])
def test_a_file_that_was_cut_off_is_seen(tmp_path, kept):
    path = tmp_path / "file"
    save({"a": torch.randn(50)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedError):
        load(path, CPU)


def test_other_files_are_no_trees(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "weights")
    (tmp_path / "text").write_text("{}")
    for name in ("weights", "text"):
        with pytest.raises(DamagedError):
            load(tmp_path / name, CPU)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing", CPU)


def test_it_is_a_safetensors_file_with_json(tmp_path):
    """Nothing in it can run code."""
    save({"a": torch.ones(2), "b": 3}, tmp_path / "file")
    with safe_open(tmp_path / "file", framework="np") as file:
        assert json.loads(file.metadata()["tree"])["dict"][1] == ["b", 3]
        assert list(file.keys()) == ["0"]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", float])
def test_what_neither_is_a_tensor_nor_json_is_refused_and_nothing_is_left(tmp_path, value):
    path = tmp_path / "file"
    save({"old": 1}, path)
    with pytest.raises(TypeError):
        save({"new": [value]}, path)
    assert load(path, CPU) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    save({"old": torch.ones(2)}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(SafetensorError, match="File too large"):
            save({"new": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert size(load(path, CPU)) == 8
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        save({}, tmp_path / "file" / "inside")


@pytest.mark.gpu
def test_tensors_go_back_to_where_they_were(tmp_path):
    there = torch.randn(4, 3, 2, 2, device="cuda").to(memory_format=torch.channels_last)
    save({"gpu": there, "cpu": torch.ones(2)}, tmp_path / "file")
    found = load(tmp_path / "file", torch.device("cuda"))
    assert torch.equal(found["gpu"], there)
    assert found["gpu"].stride() == there.stride()
    assert found["cpu"].device.type == "cpu"
