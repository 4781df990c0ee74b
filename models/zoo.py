"""Networks of timm and torchvision by name: ``timm:resnet18.a1_in1k``, ``torchvision:resnet18``.

Naming a class checks nothing, because that would import the library; a name that the library does not
have is reported on the first use.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache, cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from bench.errors import UsageError, WeightsError, did_you_mean
from bench.types import Interpolation, Preprocessing
from models.network import BaseNetwork

if TYPE_CHECKING:
    from torch import nn


@cache
def timm_network(arch: str) -> type[TimmNetwork]:
    """Plug-in class for timm's ``arch``; a tag behind a dot chooses among its published weights."""
    return type(f"timm:{arch}", (TimmNetwork,), {"arch": arch})


@cache
def torchvision_network(arch: str) -> type[TorchvisionNetwork]:
    """Plug-in class for torchvision's ``arch``; a tag behind a dot chooses among its published weights."""
    name, _, tag = arch.partition(".")
    return type(f"torchvision:{arch}", (TorchvisionNetwork,), {"arch": name, "tag": tag or "DEFAULT"})


class ZooNetwork(BaseNetwork):
    """A classifier that a library publishes, cut before its last layer."""

    library: ClassVar[str]
    arch: ClassVar[str]

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """As published with the weights; imports the library."""
        return self.published_preprocessing()

    @abstractmethod
    def published_preprocessing(self) -> Preprocessing:
        """What the library says about the input of the published weights."""

    def published_id(self) -> str:
        """Library, architecture and release: another release may publish other weights."""
        return f"{self.library}:{self.arch}:{version(self.library)}"

    def feature_dim(self, image_size: int) -> int:
        """Found by passing the shape of an image through the network, without computing anything."""
        return _feature_dim(type(self), image_size)

    def unknown(self, choices: list[str]) -> UsageError:
        """The error for an architecture that is not among ``choices``, which are too many to list."""
        return UsageError(f"{self.library} has no network '{self.arch}'{did_you_mean(self.arch, choices)}")

    def unavailable(self, source: str, error: Exception) -> WeightsError:
        """The error for published weights that could not be fetched from ``source``."""
        return WeightsError(
            f"{self.library}:{self.arch}: the published weights could not be fetched ({type(error).__name__}: "
            f"{error}); without internet, copy them from {source} and set weights to the path of that file"
        )


class TimmNetwork(ZooNetwork):
    """A network of timm."""

    library = "timm"

    def make(self, *, published: bool = False) -> nn.Module:
        """The classifier; timm loads weights strictly only into a network that still has its last layer."""
        import timm

        config = self._config()
        if published and not config.has_weights:
            raise WeightsError(f"timm publishes no weights for '{self.arch}'; set weights to 'none' or to a file")
        try:
            return timm.create_model(self.arch, pretrained=published)  # type: ignore[no-any-return]
        except Exception as error:  # the hub raises what its HTTP library raises
            if not published:
                raise
            raise self.unavailable(f"https://huggingface.co/{config.hf_hub_id}", error) from error

    def strip(self, net: Any) -> None:
        """Remove the last layer, as ``num_classes=0`` would."""
        net.reset_classifier(0)

    def published_preprocessing(self) -> Preprocessing:
        """From timm's configuration of the weights."""
        config = self._config()
        interpolation = config.interpolation if config.interpolation in get_args(Interpolation) else "bicubic"
        return Preprocessing(config.mean, config.std, config.input_size[-1], interpolation)

    def _config(self) -> Any:
        import timm

        # Untagged names of every network, tagged names of published weights.
        names = [*timm.list_models(), *timm.list_pretrained()]
        if self.arch not in names:
            raise self.unknown(names)
        return timm.models.get_pretrained_cfg(self.arch)


class TorchvisionNetwork(ZooNetwork):
    """An image classifier of torchvision."""

    library = "torchvision"
    tag: ClassVar[str] = "DEFAULT"

    def published_id(self) -> str:
        """Library, architecture, tag and release."""
        return f"{self.library}:{self.arch}.{self.tag}:{version(self.library)}"

    def make(self, *, published: bool = False) -> nn.Module:
        """The classifier."""
        from torchvision import models

        weights = self._weights()
        if not published:
            return models.get_model(self.arch)  # type: ignore[no-any-return]
        try:
            return models.get_model(self.arch, weights=weights, progress=False)  # type: ignore[no-any-return]
        except Exception as error:  # network, disk and checksum errors have no common base
            raise self.unavailable(weights.url, error) from error

    def strip(self, net: nn.Module) -> None:
        """Replace the last linear layer, and a dropout right before it, by identity."""
        from torch import nn

        linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
        if not linear or hasattr(net, "aux_logits"):
            raise UsageError(
                f"torchvision:{self.arch} does not end in one linear classifier; use the network of timm"
            )
        net.set_submodule(linear[-1], nn.Identity())
        parent = net.get_submodule(linear[-1].rpartition(".")[0])
        if isinstance(parent, nn.Sequential) and len(parent) > 1 and isinstance(parent[-2], nn.Dropout):
            parent[-2] = nn.Identity()

    def published_preprocessing(self) -> Preprocessing:
        """From the transforms that torchvision publishes with the weights."""
        transforms = self._weights().transforms()
        return Preprocessing(
            tuple(transforms.mean),
            tuple(transforms.std),
            transforms.crop_size[0],
            transforms.interpolation.value,
        )

    def _weights(self) -> Any:
        from torchvision import models

        names = models.list_models(module=models)
        if self.arch not in names:
            raise self.unknown(names)
        weights = models.get_model_weights(self.arch)
        if self.tag not in weights.__members__:
            tags = ", ".join(weights.__members__)
            raise UsageError(f"torchvision has no weights '{self.tag}' for {self.arch} (choices: {tags})")
        return weights[self.tag]


@cache
def _feature_dim(network: type[ZooNetwork], image_size: int) -> int:
    import torch

    untrained = network(network.Params(weights="none"))
    try:
        with torch.device("meta"):
            net = untrained.build()
    except NotImplementedError:  # some constructors read tensor values, which meta tensors have none of
        with torch.random.fork_rng(devices=[]):
            net = untrained.build().to("meta")
    name = f"{network.library}:{network.arch}"
    try:
        with torch.no_grad():
            feature = net.eval()(torch.empty(1, 3, image_size, image_size, device="meta"))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UsageError(f"{name} does not take images of {image_size} px: {error}") from error
    if not isinstance(feature, torch.Tensor) or feature.ndim != 2:
        raise UsageError(f"{name} does not give one feature vector per image; choose another network")
    return feature.shape[1]
