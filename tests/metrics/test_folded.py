"""The network with its normalisations folded: the same outputs, fewer parameters, numbers of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.metrics.folded import Folded, deployed_of
from bench.metrics.macs import MultiplyAdds
from bench.metrics.params import ParameterCount
from bench.results import catalogue
from models.layers.embeddings import embedded, embedding
from models.layers.heads import hash_network
from models.pruning.indicators import add_indicators
from models.pruning.prune import prune
from tests.metrics.deployments import deployment
from tests.models.pruning.prunable import images, relative
from tests.networks import trained_like

PARAMS = Folded.Params(batch_sizes=(1, 2), samples=5, warmup_seconds=0.01, budget_seconds=0.2)


@pytest.fixture(scope="module")
def pruned():
    """What capacity dynamic distillation deploys: a third of the channels, neck and hash head."""
    trunk = trained_like("timm:resnet10t")
    with torch.no_grad():
        for indicator in add_indicators(trunk).values():
            width = len(indicator.weight)
            indicator.weight.add_(torch.randn(width, width) / width)
            indicator.weight[width // 3 :] = 0
    net = embedded(prune(trunk, threshold=1e-5)[0], embedding("neck", 512, 24))
    return deployment(hash_network(net, 24, 16), 64)


def test_the_pruned_network_computes_the_same(pruned):
    ours = deployed_of(pruned)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours.net.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in pruned.net.modules())
    with torch.inference_mode():
        assert relative(ours.net(images()), pruned.net(images())) <= 1e-5


def test_it_is_counted_and_timed_under_names_of_its_own(pruned):
    before = pruned.net.state_dict()
    values = Folded(PARAMS).compute(pruned).values
    norms = [module for module in pruned.net.modules() if isinstance(module, nn.BatchNorm2d)]
    # Weight and bias of each become one bias, as no convolution in front of one has a bias already.
    whole = ParameterCount(ParameterCount.Params()).compute(pruned).values["params"].value
    assert values["params_folded"].value == whole - sum(norm.num_features for norm in norms)
    macs = MultiplyAdds(MultiplyAdds.Params()).compute(pruned).values["macs"].value
    assert values["macs_folded"].value == macs
    assert values["macs_folded"].detail["fully_counted"]
    size = sum(tensor.nbytes for tensor in before.values())
    # Without mean, variance and counter, and one number in place of two.
    folded = sum(3 * 4 * norm.num_features + 8 for norm in norms)
    assert values["weights_mb_folded"].value == pytest.approx((size - folded) / 1e6)
    assert values["latency_ms_folded@1"].value > 0
    assert values["latency_ms_folded@2"].detail["batch_size"] == 2
    assert len(values) == 5
    assert all(value.detail["normalisations_left"] == 2 for value in values.values())  # those of the neck
    assert all(catalogue.entry(name).noise == value.noise for name, value in values.items())
    assert pruned.net.state_dict().keys() == before.keys()
    assert "before" not in "".join(values)
