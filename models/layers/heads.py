"""Hash heads as they are trained and as they are deployed, and the network: trunk and head."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

from bench.types import HeadStart


def hash_network(trunk: nn.Module, feature_dim: int, bits: int, start: HeadStart = "normal") -> nn.Sequential:
    """Put a linear hash head on ``trunk``; the code of an image is the sign of the output.

    Args:
        start: of the head; ``normal``: weights N(0, 0.01²) and biases 0, as the DeepHash line of code has
            them on ResNets; ``pytorch``: as PyTorch starts every linear layer, as it has them on AlexNet.

    Returns:
        A module with attributes ``trunk`` and ``head``: float (n, 3, h, w) -> float (n, bits), no activation.
    """
    return nn.Sequential(OrderedDict(trunk=trunk, head=_linear(feature_dim, bits, start)))


def _linear(feature_dim: int, outputs: int, start: HeadStart) -> nn.Linear:
    layer = nn.Linear(feature_dim, outputs)
    if start == "normal":
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    return layer


def deployed_network(trunk: nn.Module, feature_dim: int, bits: int, classes: int = 0) -> nn.Sequential:
    """``hash_network`` as it is after training, into which weights are loaded.

    Args:
        classes: whose ``CodeWords`` are the codes; 0 = the head is linear.
    """
    if not classes:
        return hash_network(trunk, feature_dim, bits)
    head = CodeWords(feature_dim, torch.zeros(classes, bits))
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))


def classes_in(tensors: Mapping[str, Tensor]) -> int:
    """How many code words the state dict of a deployed network holds; 0 = its head is linear."""
    return len(tensors.get(f"head.{CodeWords.WORDS}", ()))


class CodeWords(nn.Module):
    """A linear classifier; the code of an image is the code word of the class that it is given to.

    In training mode: float (n, feature_dim) -> logits, float (n, classes). In eval mode: -> float (n, bits)
    of +-1, the same for all images that are given to one class; of equal logits the first class has it.

    Args:
        words: float (classes, bits) of +-1, which stay as they are.
        start: of the classifier, see ``hash_network``.
    """

    #: Name of the buffer that holds them.
    WORDS: ClassVar[str] = "words"

    words: Tensor

    def __init__(self, feature_dim: int, words: Tensor, start: HeadStart = "normal") -> None:
        super().__init__()
        self.classifier = _linear(feature_dim, len(words), start)
        self.register_buffer(self.WORDS, words.float())

    def forward(self, features: Tensor) -> Tensor:
        """Logits to learn from, or codes."""
        logits: Tensor = self.classifier(features)
        return logits if self.training else F.embedding(logits.argmax(dim=1), self.words)


class BalancedHead(nn.Module):
    """A linear layer without bias and batch normalisation: float (n, feature_dim) -> float (n, bits).

    Normalised, a bit is 1 for about half of the images. In eval mode it is one linear layer (``folded``).

    Args:
        linear: as it starts; its bias, which normalisation would take off again, is dropped.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        linear.register_parameter("bias", None)
        self.linear, self.norm = linear, nn.BatchNorm1d(linear.out_features)

    def forward(self, features: Tensor) -> Tensor:
        """By the statistics of the batch in training, by their running means in eval mode."""
        normalised: Tensor = self.norm(self.linear(features))
        return normalised

    def folded(self) -> nn.Linear:
        """The layer that says the same in eval mode."""
        return fuse_linear_bn_eval(copy.deepcopy(self.linear).eval(), copy.deepcopy(self.norm).eval())


class CentredHead(nn.Module):
    """A linear layer without bias, normalised over the bits of an image: (n, feature_dim) -> (n, bits).

    What it puts out has mean 0 and deviation 1 over bits. Its signs are those of a linear layer (``folded``).

    Args:
        linear: as it starts; its bias is dropped.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        linear.register_parameter("bias", None)
        self.linear = linear

    def forward(self, features: Tensor) -> Tensor:
        """The same in training and in eval mode."""
        return F.layer_norm(self.linear(features), (self.linear.out_features,))

    def folded(self) -> nn.Linear:
        """The layer whose outputs have mean 0 by themselves; their length is another one."""
        layer = nn.Linear(self.linear.in_features, self.linear.out_features).to(self.linear.weight)
        with torch.no_grad():
            layer.weight.copy_(self.linear.weight - self.linear.weight.mean(dim=0))
            layer.bias.zero_()
        return layer


def shortened(net: nn.Module, bits: int) -> nn.Sequential:
    """``hash_network`` with the first ``bits`` outputs of its head alone; ``net`` stays as it is."""
    trunk, whole = net.get_submodule("trunk"), net.get_submodule("head")
    assert isinstance(whole, nn.Linear)
    head = nn.Linear(whole.in_features, bits)
    with torch.no_grad():
        head.weight.copy_(whole.weight[:bits])
        head.bias.copy_(whole.bias[:bits])
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))
