"""Networks to test with."""

import torch
from torch import nn

from bench.registry import STUDENTS, TEACHERS


def plain(name):
    """A network of the registry with random weights."""
    plugin = STUDENTS.get(name)
    return plugin(plugin.Params(weights="none")).build()


def trained_like(name, seed=0):
    """The network with batch normalisations as of training, biases and signs too."""
    torch.manual_seed(seed)
    net = plain(name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


def network(name, **params):
    """The plug-in of a teacher's name."""
    plugin = TEACHERS.get(name)
    return plugin(plugin.Params(**params))
