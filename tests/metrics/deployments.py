"""Networks as they are deployed, to measure."""

from __future__ import annotations

import torch
from torch import nn

from bench.registry import STUDENTS
from bench.types import Deployment
from models.layers.heads import hash_network


def deployment(net: nn.Module, size: int, bits: int = 16) -> Deployment:
    return Deployment(net.eval(), size, torch.device("cpu"), "fp32", bits)


def student(name: str, size: int, bits: int = 16) -> Deployment:
    plugin = STUDENTS.get(name)
    network = plugin(plugin.Params(weights="none"))
    return deployment(hash_network(network.build(), network.feature_dim(size), bits), size, bits)
