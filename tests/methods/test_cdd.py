"""Capacity dynamic distillation: its terms against loops, its two phases, and what pruning leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.methods.cdd import CapacityDynamic
from bench.registry import TEACHERS
from bench.types import DistillationBatch, DistillationTask
from models.layers.retrieval_network import RetrievalNetwork, identity_loss, triplet_loss
from models.pruning.prune import prune
from tests.conftest import PLUGINS

LABELS = torch.eye(3)[[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]]
HOT = LABELS.numpy().astype(np.uint8)
IMAGES = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def trunk():
    registry.include(PLUGINS / "tiny.py")
    plugin = TEACHERS.get("tiny_residual")
    return plugin(plugin.Params()).build()


def make(**params):
    """A method whose teacher has random weights, and that teacher."""
    torch.manual_seed(0)
    teacher = RetrievalNetwork(trunk(), 16, 8, 3)
    deployed = nn.Sequential()
    deployed.add_module("trunk", teacher.trunk)
    deployed.add_module("embedding", teacher.neck)
    deployed.eval().requires_grad_(False)
    nn.init.normal_(teacher.classifier.weight)
    tensors = {"classifier": teacher.classifier.weight.detach()}
    task = DistillationTask(trunk(), 16, [], [deployed], [tensors], HOT, 3, len(HOT), seed=0)
    settings = {"embedding": 8, "images_per_identity": 2, "free_epochs": 1, **params}
    return CapacityDynamic(CapacityDynamic.Params(**settings), task), teacher


def batch(method, epoch=0):
    with torch.no_grad():
        said = [teacher(IMAGES) for teacher in method.task.networks]
    return DistillationBatch(IMAGES, torch.arange(12), said, LABELS, epoch)


def indicators(net):
    """By the name of their block."""
    found = {name: module for name, module in net.named_modules() if name.endswith(".indicator")}
    return {name.removesuffix(".bn1.indicator"): module for name, module in found.items()}


def test_terms_against_the_published_formulas():
    method, teacher = make(temperature=3.0, fit_weight=0.7, lasso_weight=0.2, margin=0.4, triplet_weight=3.0)
    net = method.network().train()
    seen = {}
    for name in ("1", "2"):  # the blocks that have a site
        block = teacher.trunk.get_submodule(name)
        block.bn1.register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output.mean((2, 3))})
        )
    outputs = net(IMAGES)
    terms = {name: float(term.detach()) for name, term in method.terms(outputs, batch(method)).items()}
    assert set(terms) == {"identity", "triplet", "soft", "fit", "lasso"}
    with torch.no_grad():
        wanted = teacher.eval()(IMAGES).logits
        assert terms["identity"] == pytest.approx(float(identity_loss(outputs.logits, LABELS, 0.1)))
        assert terms["triplet"] == pytest.approx(3 * float(triplet_loss(outputs.feature, LABELS, 0.4)))
        soft = 0.0
        for own, target in zip(outputs.logits.tolist(), wanted.tolist(), strict=True):
            q, p = ([math.exp(one / 3) for one in row] for row in (own, target))
            soft += sum(a / sum(p) * math.log(a / sum(p) * sum(q) / b) for a, b in zip(p, q, strict=True))
        assert terms["soft"] == pytest.approx(9 * soft / 12, rel=1e-4)
        sites = indicators(net.trunk)
        assert sites.keys() == seen.keys()
        fit = sum(
            math.dist(one, other) / 12
            for name, site in sites.items()
            for one, other in zip(seen[name].tolist(), site.before.tolist(), strict=True)
        )
        assert terms["fit"] == pytest.approx(0.7 * fit, rel=1e-4)
        # Identity matrices have rows of length 1: 8 and 16 channels.
        assert terms["lasso"] == pytest.approx(0.2 * (8 + 16))


def test_a_student_like_its_teacher_has_nothing_to_fit():
    method, teacher = make()
    before = {k: v for k, v in method.network().state_dict().items() if "indicator" in k}
    plain = {k.replace("bn1.", "bn1.norm."): v for k, v in teacher.state_dict().items() if ".bn1." in k}
    others = {k: v for k, v in teacher.state_dict().items() if ".bn1." not in k}
    net = method.network()
    net.load_state_dict({**others, **plain, **before})
    terms = method.terms(net.eval()(IMAGES), batch(method))
    assert float(terms["soft"].detach()) == pytest.approx(0, abs=1e-5)
    assert float(terms["fit"].detach()) == pytest.approx(0, abs=1e-5)


def backward(method, net, epoch):
    net.zero_grad()
    terms = method.terms(net(IMAGES), batch(method, epoch))
    torch.stack(list(terms.values())).sum().backward()
    method.adjust_gradients(epoch)
    return terms, {name: site.weight.grad.clone() for name, site in indicators(net.trunk).items()}


def test_the_lasso_leaves_the_loss_for_the_gradient_after_the_free_epochs():
    method, _ = make(free_epochs=1, reset_share=0.01)  # so small a share resets no channel
    net = method.network().train()
    terms, free = backward(method, net, 0)
    later, adjusted = backward(method, net, 1)
    assert "lasso" in terms
    assert "lasso" not in later
    for name, gradient in free.items():
        torch.testing.assert_close(adjusted[name], gradient, rtol=1e-3, atol=1e-5)


def test_channels_that_nothing_needs_feel_the_lasso_alone():
    method, teacher = make(free_epochs=0, reset_share=0.5, lasso_weight=0.2)
    # The teacher is silent in three channels of its first block, so nothing can match there.
    with torch.no_grad():
        teacher.trunk.get_submodule("1").bn1.weight[:3] = 0
    net = method.network().train()
    _, gradients = backward(method, net, 0)
    site = indicators(net.trunk)["1"]
    assert method.summary()["reset_channels"]["1"] >= 3
    torch.testing.assert_close(gradients["1"][:3], 0.2 * torch.eye(8)[:3])
    assert site.weight.requires_grad
    assert not torch.allclose(gradients["1"], 0.2 * torch.eye(8), atol=1e-4)


def test_the_distance_of_the_bank_is_a_parameter():
    assert make()[0]._reset.distance == "cosine"
    assert make(distance="l2")[0]._reset.distance == "l2"


def test_the_student_is_pruned_and_computes_the_same_without_small_rows():
    method, _ = make(threshold=1e-3)
    net = method.network().eval()
    with torch.no_grad():
        sites = indicators(net.trunk)
        sites["1"].weight[[0, 2, 3]] = 0
        sites["2"].weight[5:] = 0
        expected = net(IMAGES).embedding
    student, architecture = method.student()
    assert architecture == {
        "channels": {"1": 5, "2": 5},
        "embedding": {"kind": "neck", "width": 8},
    }
    torch.testing.assert_close(student.eval()(IMAGES), expected, rtol=1e-4, atol=1e-5)
    assert count(student.trunk) < count(trunk())


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_indicators_and_the_layers_behind_the_trunk_have_rates_of_their_own():
    method, _ = make(indicator_lr_scale=5.0, head_lr_scale=2.0)
    net = method.network()
    rate = {
        id(one): group.get("lr_scale", 1.0)
        for group in method.parameter_groups(net)
        for one in group["params"]
    }
    for name, one in net.named_parameters():
        expected = 5 if "indicator" in name else 1 if name.startswith("trunk.") else 2
        assert rate[id(one)] == expected, name


def test_nothing_is_pruned_from_an_untrained_student():
    method, _ = make()
    _, channels = prune(method.network().trunk, method.params.threshold)
    assert channels == {"1": 8, "2": 16}


def test_the_teacher_is_trained_with_the_same_settings_for_its_own_epochs():
    params = CapacityDynamic.Params(epochs=7, teacher_epochs=9, lr=0.03, embedding=16, bank=100)
    taught = CapacityDynamic.teacher_params(params)
    assert (taught["epochs"], taught["lr"], taught["embedding"]) == (9, 0.03, 16)
    assert not {"bank", "teacher_epochs", "lasso_weight"} & taught.keys()
    registry.METHODS.get(CapacityDynamic.teacher_trained_by).Params.of(taught)
