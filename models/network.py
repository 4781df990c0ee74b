"""What all networks have in common: which weights they start from. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bench.errors import WeightsError
from bench.types import Parameters
from models.weights import fingerprint, load_state_dict, read_state_dict

if TYPE_CHECKING:
    from torch import Tensor, nn


class NetworkParams(Parameters):
    """Where the initial weights come from."""

    weights: str = Field(
        "default", description="default: the published ones; none: random; or the path of a state dict"
    )


class BaseNetwork(ABC):
    """An encoder that starts from random weights, published ones, or a file, and never from another kind.

    Subclasses make the full network and say how its classifier comes off; see ``bench.types.Network``
    for the methods that callers use.
    """

    version: ClassVar[int] = 1
    Params: ClassVar[type[NetworkParams]] = NetworkParams

    def __init__(self, params: Any) -> None:
        self.params = params

    def weights_id(self) -> str:
        """Fingerprint of the initial weights, ``"none"`` for random ones."""
        if self.params.weights == "none":
            return "none"
        path = self.weights_file()
        return self.published_id() if path is None else fingerprint(path)

    def build(self) -> nn.Module:
        """A new encoder: float (n, 3, s, s) normalised images -> float (n, feature_dim(s))."""
        path = self.weights_file()
        net = self.make(published=path is None and self.params.weights == "default")
        complete = set(net.state_dict())
        self.strip(net)
        if path is not None:
            # Published files are those of the full network. Exactly the tensors that stripping removed
            # may be left over; a file without them fits as well.
            load_state_dict(net, self.read(path), path, drop=complete - set(net.state_dict()))
        return net

    def weights_file(self) -> Path | None:
        """The file to load, None where the weights are random or a library fetches them."""
        weights = self.params.weights
        return None if weights in ("none", "default") else Path(weights).expanduser()

    def read(self, path: Path) -> dict[str, Tensor]:
        """Tensors of ``path`` under the names that the network uses."""
        return read_state_dict(path)

    @abstractmethod
    def feature_dim(self, image_size: int) -> int:
        """Width of the feature for square inputs of ``image_size`` pixels."""

    @abstractmethod
    def make(self, *, published: bool = False) -> nn.Module:
        """The full network, with random weights or with those that its library publishes."""

    @abstractmethod
    def strip(self, net: nn.Module) -> None:
        """Remove the classifier from ``net``, in place."""

    def published_id(self) -> str:
        """Fingerprint of weights that a library fetches."""
        raise WeightsError(
            "no weights are published for this network; set weights to 'none' or the path of a state dict"
        )
