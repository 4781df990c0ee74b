"""Weight files: a fingerprint that says which one was used, and loading that is exact or an error.

Weights that a network uses in several places are one tensor with several names. It is stored and counted
once, under the first of them.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError, escaped, path_fault, shortened
from models.weight_faults import COUNTER, UNUSED, fault, unused
from models.weight_pickles import unfolds

if TYPE_CHECKING:
    from torch import Tensor, nn

#: How many faults of a file an error message spells out.
LISTED = 3
_OWN = "; give the state dict of this very network, under its names and without layers that it does not have"
_NOT_FLAT = "and not a flat dict of tensors by name; save net.state_dict() by itself"


def fingerprint(path: Path) -> str:
    """Return ``sha256:<hex>`` of a weight file; needs no torch.

    Raises:
        WeightsError: there is no such file.
    """
    _require(path)
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a ``torch.save`` file without running its code.

    Raises:
        WeightsError: missing, damaged, or anything but a flat dict of tensors.
    """
    import torch
    from safetensors.torch import load_file

    _require(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if unfolds(path):
            raise ValueError("a pickle whose tuples nobody can go through")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensors of rare kinds, which are refused by name
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the parsers raise anything
        raise WeightsError(f"{path}: cannot be read as weights: {_why(path)}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: {_article(state)}, {_NOT_FLAT}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f"{path}: {escaped(shortened(repr(name)))} is {_article(value)}, {_NOT_FLAT}")
    return state


def ties(net: nn.Module) -> dict[str, str]:
    """Of weights with several names in the state dict: every further name -> the first one.

    What shares memory in any other way (transposed, conjugated, a part of it) is a tensor of its own.
    """
    first: dict[Any, str] = {}
    found = {}
    for name, tensor in net.state_dict(keep_vars=True).items():
        original = first.setdefault(_place(tensor), name)
        if original != name:
            found[name] = original
    return found


def _place(tensor: Tensor) -> Any:
    """What two names of one tensor have in common: its place in memory and how that is read.

    Buffers may share memory without being one object. Where there is no memory to tell, the object does.
    """
    import torch

    place = tensor.data_ptr() if tensor.layout == torch.strided and not tensor.is_meta else 0
    how = tensor.shape, tensor.dtype, tensor.is_conj(), tensor.is_neg()
    return (place, tensor.stride(), *how) if place and tensor.numel() else id(tensor)


def stored_tensors(net: nn.Module) -> dict[str, Tensor]:
    """The state dict without further names of the same weights."""
    repeated = ties(net)
    return {name: tensor for name, tensor in net.state_dict().items() if name not in repeated}


def stored_bytes(net: nn.Module) -> int:
    """Size of ``stored_tensors``; a sparse one counts as if it were dense."""
    return sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(net).values())


def restore(net: nn.Module, stored: Mapping[str, Tensor]) -> None:
    """Load what ``stored_tensors`` left of a network of the same architecture; tied weights stay tied."""
    _load(net, _with_ties(stored, ties(net)))


def load_state_dict(
    net: nn.Module,
    state: dict[str, Tensor],
    source: Path,
    classifier: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> None:
    """Load ``state`` into ``net``; every tensor must have its place, every place its tensor.

    Args:
        net: changed in place.
        state: tensors by name.
        source: file that the tensors come from, for messages.
        classifier: name -> shape of what was taken off ``net``, in order; ``state`` may hold these tensors.

    Raises:
        WeightsError: names or shapes differ, the network would not use a tensor that is none of its
            pretraining classifier, a tensor can be no weight, or the file has two values for weights that are
            one in the network; lists the first few faults and their number.
    """
    expected, tied = net.state_dict(), ties(net)
    counters = {name: value for name, value in expected.items() if name.endswith(COUNTER)}
    over = unused(state, classifier)
    state = {name: value for name, value in state.items() if name not in classifier}
    state = counters | _with_ties(state, tied)
    faults = [f"{name} is missing" for name in expected if name not in state]
    faults += [f"{name} is unknown to the network" for name in state if name not in expected]
    faults += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    _tell(f"{source}: does not fit the network", faults, _OWN)
    _tell(f"{source}: does not fit the network", over, UNUSED)
    _tell(
        str(source), [told for name, value in expected.items() if (told := fault(name, state[name], value))]
    )
    differ = [f"{name} and {first}" for name, first in tied.items() if not _same(state[name], state[first])]
    faults = [f"{both} differ, which are one tensor in the network" for both in differ]
    _tell(f"{source}: does not fit the network", faults, _OWN)
    _load(net, state)


def _tell(what: str, faults: list[str], cure: str = "") -> None:
    """Raise WeightsError with the first of ``faults``, if there are any; names may hold anything."""
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        listed = "; ".join(escaped(shortened(one, 400)) for one in faults[:LISTED])
        raise WeightsError(f"{what}: {listed}{more}{cure}")


def _load(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    import torch

    for tensor in net.state_dict(keep_vars=True).values():
        # What was expanded has one place for several elements, and torch writes into no such tensor.
        if tensor.layout == torch.strided and 0 in tensor.stride():
            tensor.data = tensor.data.contiguous()
    net.load_state_dict(state)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether all values are equal, NaN to NaN as well; whatever the types."""
    a, b = one.to_dense(), other.to_dense()
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _with_ties(stored: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    """``stored`` with all names of tensors that it holds by one of them."""
    whole = {**{first: stored[name] for name, first in tied.items() if name in stored}, **stored}
    return {**{name: whole[first] for name, first in tied.items() if first in whole}, **whole}


def _article(value: object) -> str:
    return "a tensor" if hasattr(value, "dtype") else f"a {type(value).__name__}"


def _why(path: Path) -> str:
    if path.suffix == ".safetensors":
        return "damaged, or no safetensors file; copy it again, or save it with safetensors.torch.save_file"
    return (
        "damaged, or it holds objects other than tensors, which could run code and are refused; save "
        "net.state_dict() as .safetensors or .pt"
    )


def _require(path: Path) -> None:
    try:
        there = path.is_file()
    except OSError as error:
        raise WeightsError(path_fault(error)) from error
    if not there:
        raise WeightsError(
            f"no such weights file: {path}; weights is 'none', 'default' or the path of a state dict"
        )


@cache
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Hash once per state of the file: planning asks for every cell."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
