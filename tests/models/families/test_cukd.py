from __future__ import annotations

import pytest
import torch

from bench.errors import WeightsError
from bench.registry import STUDENTS
from models.layers.heads import hash_network

FACTS = {  # trunk parameters, with a 16-bit head, feature at 224 px, GMACs at 224 px
    "cukd_v1": (3_305_920, 3_338_704, 2048, 1.087),
    "cukd_v2": (4_798_144, 4_863_696, 4096, 1.111),
}
LAYERS = {
    "cukd_v1": [9_536, 147_968, 226_176, 1_411_840, 902_912, 607_488],
    "cukd_v2": [9_536, 147_968, 226_176, 1_411_840, 902_912, 2_099_712],
}


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def student(name):
    plugin = STUDENTS.get(name)
    return plugin(plugin.Params())


@pytest.mark.parametrize("name", FACTS)
def test_parameters(name):
    trunk_params, net_params, feature_dim, _ = FACTS[name]
    trunk = student(name).build()
    assert [count(layer) for layer in trunk][:-1] == LAYERS[name]
    assert count(trunk) == trunk_params
    assert count(hash_network(trunk, feature_dim, bits=16)) == net_params


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_macs(name):
    from fvcore.nn import FlopCountAnalysis

    _, _, feature_dim, gmacs = FACTS[name]
    net = hash_network(student(name).build(), feature_dim, bits=16).eval()
    operations = FlopCountAnalysis(net, torch.zeros(1, 3, 224, 224)).by_operator()
    assert (operations["conv"] + operations["linear"]) / 1e9 == pytest.approx(gmacs, abs=0.0005)


@pytest.mark.parametrize("name", FACTS)
def test_feature_dim_in_closed_form_equals_the_network(name):
    with torch.device("meta"):
        net = student(name).build().eval()
        for size in (1, 32, 64, 65, 224, 225, 256, 257):
            assert net(torch.empty(1, 3, size, size)).shape[1] == student(name).feature_dim(size)


@pytest.mark.parametrize("name", FACTS)
def test_feature_is_the_teachers_width_and_not_negative(name):
    assert student(name).feature_dim(224) == FACTS[name][2]
    with torch.no_grad():
        assert student(name).build()(torch.randn(2, 3, 64, 64)).min() >= 0


def test_students_start_untrained_and_say_so():
    plugin = STUDENTS.get("cukd_v1")
    assert plugin.Params().weights == "none"
    with pytest.raises(WeightsError, match="no weights are published"):
        plugin(plugin.Params(weights="default")).weights_id()
