"""Networks of timm and torchvision by name: ``timm:resnet18.a1_in1k``, ``torchvision:resnet18``.

Making a class checks nothing, because that would import the library: a name that the library does not
have is an error on the first use.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UsageError, WeightsError, did_you_mean
from bench.types import Preprocessing
from bench.types.sizes import ImageSize, sides
from models.families.resnet_options import TorchvisionParams, adapt
from models.network import BaseNetwork
from models.weights import load_state_dict

if TYPE_CHECKING:
    from torch import nn

#: A network that both libraries have, for messages.
NETWORK = "resnet18"


@cache
def timm_network(arch: str) -> type[TimmNetwork]:
    """Plug-in class for timm's ``arch``; a tag behind a dot chooses among its published weights."""
    return type(f"timm:{arch}", (TimmNetwork,), {"arch": arch, "__module__": __name__})


@cache
def torchvision_network(arch: str) -> type[TorchvisionNetwork]:
    """Plug-in class for torchvision's ``arch``; a tag behind a dot chooses among its published weights."""
    name, _, tag = arch.partition(".")
    own = {"arch": name, "tag": tag or "DEFAULT", "__module__": __name__}
    return type(f"torchvision:{arch}", (TorchvisionNetwork,), own)


class ZooNetwork(BaseNetwork):
    """A classifier from a library, used without its last layer."""

    library: ClassVar[str]
    #: the call that lists the library's networks
    listing: ClassVar[str]
    arch: ClassVar[str]

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """As published with the weights; imports the library."""
        return self.published_preprocessing()

    def build_classifier(self) -> nn.Module:
        """The network with its last layer: float (n, 3, s, s) -> float (n, classes), logits."""
        path = self.weights_file()
        net = self.make()
        if path is not None:
            load_state_dict(net, self.read(path), path)
        self.adapt(net)
        return net

    @abstractmethod
    def published_preprocessing(self) -> Preprocessing:
        """What the library says of the input that its weights expect."""

    @property
    def fetched(self) -> bool:
        """Whether the library is to fetch its published weights."""
        return self.params.weights == "default" and self.weights_file() is None

    def weights_file(self) -> Path | None:
        """The file to load; None for published weights too, which the library keeps."""
        return None if self.params.weights == "default" else super().weights_file()

    def weights_id(self) -> str:
        """For published weights library, name and release, since a release may change them."""
        return f"{self.library}:{self.arch}:{version(self.library)}" if self.fetched else super().weights_id()

    def feature_dim(self, image_size: ImageSize) -> int:
        """Found by running the network on shapes alone."""
        return _feature_dim(type(self), image_size)

    def unknown(self, names: list[str]) -> UsageError:
        """The error for a name that is not among ``names``, which are too many to list."""
        if not self.arch:
            return UsageError(f"{self.library}: names no network; write {self.library}:{NETWORK}")
        hint = did_you_mean(self.arch, names) or f"; {self.listing} lists those it has"
        return UsageError(f"{self.library} has no network '{self.arch}'{hint}")

    def unknown_tag(self, arch: str, tag: str, tags: list[str]) -> UsageError:
        """The error for published weights of ``arch`` that are not among ``tags``."""
        listed = f" (choices: {', '.join(tags)})" if tags else "; it publishes none"
        return UsageError(
            f"{self.library} has no weights '{tag}' for {arch}{did_you_mean(tag, tags)}{listed}"
        )

    def unavailable(self, source: str, error: Exception) -> WeightsError:
        """The error for published weights that could not be fetched from ``source``."""
        return WeightsError(
            f"{self.library}:{self.arch}: cannot fetch the published weights ({type(error).__name__}); "
            f"without internet, copy them from {source} and set weights to the path of that file"
        )


class TimmNetwork(ZooNetwork):
    """A network of timm."""

    library = "timm"
    listing = "timm.list_models()"

    def make(self) -> nn.Module:
        """With its classifier: only then does timm insist that published weights fit completely."""
        import timm

        config = self._config()
        if self.fetched and not config.has_weights:
            raise WeightsError(f"timm publishes no weights for {self.arch}; set weights to 'none' or a path")
        try:
            net: nn.Module = timm.create_model(self.arch, pretrained=self.fetched)
        except Exception as error:  # hub clients raise whatever their HTTP library raises
            if not self.fetched:
                raise
            hub = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
            raise self.unavailable(hub, error) from error
        return net

    def strip(self, net: Any) -> None:
        """The same as asking timm for ``num_classes=0``."""
        net.reset_classifier(0)

    def licence(self) -> str:
        """As timm's configuration of the weights names it."""
        return str(getattr(self._config(), "license", None) or "")

    def published_preprocessing(self) -> Preprocessing:
        """From timm's configuration of the weights."""
        config = self._config()
        return Preprocessing(config.mean, config.std, config.input_size[-1], config.interpolation)

    def _config(self) -> Any:
        import timm

        try:
            config = timm.models.get_pretrained_cfg(self.arch)
        except RuntimeError:  # the tag is unknown
            config = None
        if config is None:
            arch, _, tag = self.arch.partition(".")
            known = timm.list_models()
            if tag and arch in known:
                tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{arch}.*")]
                raise self.unknown_tag(arch, tag, tags)
            raise self.unknown(timm.list_pretrained() if tag else known)
        return config


class TorchvisionNetwork(ZooNetwork):
    """An image classifier of torchvision."""

    library = "torchvision"
    listing = "torchvision.models.list_models()"
    tag: ClassVar[str] = "DEFAULT"
    Params = TorchvisionParams

    def weights_id(self) -> str:
        """For published weights, the tag too."""
        weights_id = super().weights_id()
        return f"{weights_id}:{self.tag}" if self.fetched else weights_id

    def weights_file(self) -> Path | None:
        """The file to load; a projection is in no published weights.

        Raises:
            WeightsError: a projection is asked of published weights.
        """
        if self.params.projection is not None and self.params.weights == "default":
            raise WeightsError(
                "no published weights hold a projection; set weights to the path of a state dict that does, "
                "or to 'none'"
            )
        return super().weights_file()

    def feature_dim(self, image_size: ImageSize) -> int:
        """That of the projection, if there is one."""
        return self.params.projection or super().feature_dim(image_size)

    def make(self) -> nn.Module:
        """With its classifier."""
        from torchvision import models

        weights = self._weights()
        try:
            net: nn.Module = models.get_model(
                self.arch, weights=weights if self.fetched else None, progress=False
            )
        except Exception as error:  # errors of network, disk and checksum have no common base
            if not self.fetched:
                raise
            raise self.unavailable(weights.url, error) from error
        return net

    def strip(self, net: nn.Module) -> None:
        """Put the projection, or nothing, in place of the last linear layer and of a dropout before it."""
        from torch import nn

        from models.layers.embeddings import Projection

        linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
        if not linear or hasattr(net, "aux_logits"):
            raise UsageError(f"torchvision:{self.arch} does not end in one linear classifier; choose another")
        last: Any = net.get_submodule(linear[-1])
        width = self.params.projection
        net.set_submodule(linear[-1], Projection(last.in_features, width) if width else nn.Identity())
        parent = net.get_submodule(linear[-1].rpartition(".")[0])
        if isinstance(parent, nn.Sequential) and len(parent) > 1 and isinstance(parent[-2], nn.Dropout):
            parent[-2] = nn.Identity()

    def adapt(self, net: nn.Module) -> None:
        """What ``TorchvisionParams`` says of ResNets."""
        adapt(net, self.params, f"torchvision:{self.arch}")

    def published_preprocessing(self) -> Preprocessing:
        """From the transforms that torchvision publishes with the weights."""
        transforms = self._weights().transforms()
        return Preprocessing(
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            image_size=transforms.crop_size[0],
            interpolation=transforms.interpolation.value,
        )

    def _weights(self) -> Any:
        from torchvision import models

        names = models.list_models(module=models)
        if self.arch not in names:
            raise self.unknown(names)
        weights = models.get_model_weights(self.arch)
        if self.tag not in weights.__members__:
            raise self.unknown_tag(self.arch, self.tag, list(weights.__members__))
        return weights[self.tag]


@cache
def _feature_dim(network: type[ZooNetwork], image_size: ImageSize) -> int:
    import torch

    name = f"{network.library}:{network.arch}"
    untrained = network(network.Params(weights="none"))
    try:
        with torch.device("meta"):
            net = untrained.build()
    except NotImplementedError:  # some constructors read values of tensors; those on meta have none
        with torch.random.fork_rng(devices=[]):
            net = untrained.build().to("meta")
    try:
        with torch.no_grad():
            feature = net.eval()(torch.empty(1, 3, *sides(image_size), device="meta"))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        message = f"{name} does not take images of {image_size} px: {reason}; set another image_size"
        raise UsageError(message) from error
    if not isinstance(feature, torch.Tensor) or feature.ndim != 2:
        raise UsageError(f"{name} does not give one feature vector per image; choose another")
    return feature.shape[1]
