"""What all networks have in common: the weights they start from. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bench.errors import WeightsError
from bench.types import Parameters
from bench.types.sizes import ImageSize
from models.weights import fingerprint, load_state_dict, read_state_dict

if TYPE_CHECKING:
    from torch import Tensor, nn


class NetworkParams(Parameters):
    """Where the initial weights come from."""

    weights: str = Field(
        "default", description="default: the published ones; none: random; or the path of a state dict"
    )


class BaseNetwork(ABC):
    """An encoder that starts from the weights that were asked for, or not at all.

    Callers use what ``bench.interfaces.Network`` lists; subclasses make the whole network and say how its
    classifier comes off.
    """

    version: ClassVar[int] = 1
    Params: ClassVar[type[NetworkParams]] = NetworkParams

    def __init__(self, params: Any) -> None:
        self.params = params

    def weights_id(self) -> str:
        """Fingerprint of the initial weights, ``"none"`` for random ones."""
        path = self.weights_file()
        return "none" if path is None else fingerprint(path)

    def build(self) -> nn.Module:
        """A new encoder: float (n, 3, s, s) normalised images -> float (n, feature_dim(s))."""
        path = self.weights_file()
        state = {} if path is None else self.read(path)  # first, so that a bad file is told at once
        net = self.make()
        complete = {name: tensor.shape for name, tensor in net.state_dict().items()}
        self.strip(net)
        if path is not None:
            # Files are often saved with the classifier: the tensors that stripping removed, and no
            # others, may be left over. A file without them fits as well.
            kept = net.state_dict()
            classifier = {name: shape for name, shape in complete.items() if name not in kept}
            load_state_dict(net, state, path, classifier)
        self.adapt(net)
        return net

    def weights_file(self) -> Path | None:
        """The file to load, None if there is none to load."""
        if self.params.weights == "default":
            raise WeightsError(
                "no weights are published for this network; set weights to 'none' or the path of a state dict"
            )
        return None if self.params.weights == "none" else Path(self.params.weights).expanduser()

    def read(self, path: Path) -> dict[str, Tensor]:
        """Tensors of ``path`` under the names that the network uses."""
        return read_state_dict(path)

    def licence(self) -> str:
        """Of the published weights, as their publisher names it; empty where nobody does."""
        return ""

    @abstractmethod
    def feature_dim(self, image_size: ImageSize) -> int:
        """Width of the feature for inputs of this size."""

    @abstractmethod
    def make(self) -> nn.Module:
        """The network with its classifier, before any file is loaded."""

    def adapt(self, net: nn.Module) -> None:  # noqa: B027  (most networks have nothing to adapt)
        """Change what parameters ask for and no weights depend on, in place."""

    @abstractmethod
    def strip(self, net: nn.Module) -> None:
        """Remove the classifier from ``net``, in place."""
