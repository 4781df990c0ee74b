"""The state of plug-ins is what they declare; one that has some and declares none is found out.

It would go on wrongly after an interruption, and nobody would see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.interfaces import Stateful
from bench.training.state_file import crc32


class Declared:
    """What an object declares as its state.

    Of one that declares none, attributes are looked at, and what lists, dicts and modules in them hold.

    Args:
        kept: tensors that are kept anyway.
    """

    def __init__(self, owner: Stateful, kept: Iterable[Tensor]) -> None:
        self._owner, self._kept = owner, {id(tensor) for tensor in kept}
        # Interfaces need not be inherited from.
        self._declares = getattr(type(owner), "state_dict", Stateful.state_dict) is not Stateful.state_dict
        self._before = {} if self._declares else self._marks()

    def state_dict(self) -> dict[str, Any]:
        """What the owner says.

        Raises:
            ValueError: it says nothing, and has changed.
        """
        if self._declares:
            return self._owner.state_dict()
        for name, mark in self._marks().items():
            if name not in self._before or mark != self._before[name]:
                owner = type(self._owner).__name__
                raise ValueError(f"{owner} changes '{name}' as it trains and has no state_dict that tells it")
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give it back to the owner."""
        if self._declares:
            self._owner.load_state_dict(state)

    def _marks(self) -> dict[str, Any]:
        """By name: what every value that the owner holds is known by."""
        own = {name: value for name, value in vars(self._owner).items() if name not in ("params", "task")}
        return {name: _mark(value) for name, value in _leaves(own, "") if id(value) not in self._kept}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, nn.Module):
        value = {**dict(value.named_parameters()), **dict(value.named_buffers())}
    elif isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, one in value.items():
        yield from _leaves(one, f"{name}.{key}" if name else str(key))


def _mark(value: Any) -> Any:
    """Equal for equal numbers, texts and contents of tensors and arrays, and for one and the same object."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Tensor) and value.layout == torch.strided:
        return value.shape, value.dtype, crc32(value)
    return repr(value) if value is None or isinstance(value, int | float | str) else id(value)
