"""Trees of tensors and plain values in one file, which is there whole or not at all and checked when read.

A file is safetensors: tensors by number, and in its metadata the tree around them as JSON and a checksum of
everything. Nothing is ever unpickled. Tensors come back bit for bit with the strides they had: how a tensor
lies in memory decides which kernel takes it, and with that how it is rounded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.storage import atomic

#: Entries of the metadata.
_TREE, _CHECKSUM = "tree", "crc32"


class DamagedError(Exception):
    """A file is not what ``save`` has written."""


def save(tree: Any, path: Path) -> None:
    """Write a tree of dicts, lists, tuples, tensors and JSON values; tuples come back as lists.

    Raises:
        UsageError, SafetensorError: the disk is full, or the folder cannot be written.
        TypeError, ValueError: something in the tree is none of these.
    """
    parts = _Parts()
    text = json.dumps(parts.take(tree))
    with atomic.written(path) as temporary:
        save_file(parts.tensors, temporary, {_TREE: text, _CHECKSUM: _checksum(text, parts.tensors)})


def load(path: Path, device: torch.device) -> Any:
    """The tree that ``save`` wrote; tensors that were on an accelerator are put on ``device``.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: the file was changed or cut off since.
    """
    path.stat()
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in map(str, range(len(file.keys())))}
        checksum = _checksum(metadata.get(_TREE, ""), tensors)
    except Exception as error:  # what is damaged can make the parser raise anything
        raise DamagedError(f"{path}: {error}") from error
    if metadata.get(_CHECKSUM) != checksum:
        raise DamagedError(f"{path}: its checksum differs")
    return _joined(json.loads(metadata[_TREE]), tensors, device)


def size(tree: Any) -> int:
    """Bytes of all tensors in ``tree``."""
    if isinstance(tree, Tensor):
        return tree.nbytes
    inner = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return sum(map(size, inner))


class _Parts:
    """Takes a tree apart.

    Attributes:
        tensors: those that were in it, on the CPU, contiguous, each in memory of its own.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._storages: set[int] = set()

    def take(self, value: Any) -> Any:
        """``value`` as JSON, with what leads to its tensors in their place."""
        if isinstance(value, Tensor):
            return self._noted(value.detach())
        if isinstance(value, Mapping):
            return {"dict": [[key, self.take(one)] for key, one in value.items()]}
        if isinstance(value, list | tuple):
            return [self.take(one) for one in value]
        return value

    def _noted(self, tensor: Tensor) -> dict[str, Any]:
        if not tensor.permute(_order(tensor.stride())).is_contiguous():
            tensor = tensor.contiguous()  # it has gaps, or elements that share a place
        row = tensor.permute(_order(tensor.stride())).cpu()
        if row.untyped_storage().data_ptr() in self._storages:
            row = row.clone()
        self._storages.add(row.untyped_storage().data_ptr())
        name = str(len(self.tensors))
        self.tensors[name] = row
        return {"tensor": name, "device": tensor.device.type, "stride": tensor.stride()}


def _joined(value: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """What ``_Parts`` took apart."""
    if isinstance(value, list):
        return [_joined(one, tensors, device) for one in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _joined(one, tensors, device) for key, one in value["dict"]}
    stored, stride = tensors[value["tensor"]], value["stride"]
    order = _order(stride)
    rows = stored.permute(sorted(range(len(order)), key=order.__getitem__))
    place = torch.device("cpu") if value["device"] == "cpu" else device
    return torch.empty_strided(rows.shape, stride, dtype=rows.dtype, device=place).copy_(rows)


def _order(stride: Sequence[int]) -> list[int]:
    """Dimensions from the one with the largest steps in memory to that with the smallest."""
    return sorted(range(len(stride)), key=lambda dimension: -stride[dimension])


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Of the tree and all bytes of its tensors: against damage, not against people."""
    found = zlib.crc32(text.encode())
    for tensor in tensors.values():
        found = crc32(tensor, found)
    return f"{found:08x}"


def crc32(tensor: Tensor, start: int = 0) -> int:
    """Of the bytes of a dense tensor in the order of its elements, after others that had ``start``."""
    row = tensor.detach().cpu().contiguous()
    # Strides along dimensions of one element are anything.
    row = row.as_strided((row.numel(),), (1,), row.storage_offset())
    return zlib.crc32(row.view(torch.uint8).numpy().data, start)
