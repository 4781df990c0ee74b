"""What makes up the state of every training; each part has ``state_dict`` and ``load_state_dict``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.weights import restore, stored_tensors


class Parts:
    """Several parts as one, loaded in their order."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = parts

    def state_dict(self) -> dict[str, Any]:
        """Those of the parts by their names."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give every part its own."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch, step: the epoch at work, from 0, and how many of its steps are done.
        images: that have been shown, those of every epoch counted.
        sums: of every term over those steps.
        history: of the epochs that are done.
    """

    epoch: int = 0
    step: int = 0
    images: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be as far as that."""
        vars(self).update(state)


class Weights:
    """The network, and what an optimizer trains beside it."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        inside = {id(parameter) for parameter in net.parameters()}
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._net, self._beside = net, [one for one in trained if id(one) not in inside]

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers."""
        return {"network": stored_tensors(self._net), "beside": self._beside}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set them, in place."""
        restore(self._net, state["network"])
        for parameter, value in zip(self._beside, state["beside"], strict=True):
            parameter.copy_(value)

    def tensors(self) -> list[Tensor]:
        """All of them, as they are."""
        return [*self._net.parameters(), *self._net.buffers(), *self._beside]


class Randomness:
    """The generators that a training draws from."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> dict[str, Any]:
        """Where they are."""
        return {"generators": random_state(self._device)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Draw on from there."""
        restore_random(self._device, state["generators"])


def random_state(device: torch.device) -> list[Tensor]:
    """Of torch's global generators, on the CPU and on ``device``."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def restore_random(device: torch.device, states: list[Tensor]) -> None:
    """Set the generators back to what ``random_state`` has found."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
