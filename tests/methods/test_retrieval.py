"""Training on identities: triplet and identity losses against loops, and the sampler."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from bench.methods import _identities as identities
from bench.methods.retrieval import Retrieval
from models.layers.retrieval_network import RetrievalNetwork, identity_loss, triplet_loss
from tests.tasks import batch, noise, task

SINGLE = torch.eye(4, dtype=torch.float64)[[0, 0, 0, 1, 1, 2, 3]]
MULTI = SINGLE.clone()
MULTI[0, 2] = MULTI[4, 3] = 1
kinds = pytest.mark.parametrize("labels", [SINGLE, MULTI], ids=["single-label", "multi-label"])


def batch_hard(features, labels, margin):
    """The farthest of the same identity against the nearest of another, image by image."""
    rows, owned = features.tolist(), [{c for c, one in enumerate(row) if one} for row in labels.tolist()]
    costs = []
    for i, row in enumerate(rows):
        distances = [math.dist(row, other) for other in rows]
        positives = [d for j, d in enumerate(distances) if owned[i] & owned[j]]
        negatives = [d for j, d in enumerate(distances) if not owned[i] & owned[j]]
        costs.append(max(0.0, margin + max(positives) - min(negatives)) if negatives else 0.0)
    return sum(costs) / len(costs)


@kinds
@pytest.mark.parametrize("margin", [0.0, 0.35, 2.0])
def test_triplet_loss_against_a_loop(labels, margin):
    # Identities that are partly apart: some triplets cost nothing.
    features = noise(7, 5) + 2 * labels @ noise(4, 5, seed=1)
    assert float(triplet_loss(features, labels, margin)) == pytest.approx(
        batch_hard(features, labels, margin), rel=1e-6
    )


@kinds
def test_gradient_of_the_triplet_loss(labels):
    features = noise(7, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, labels, 0.35), features)


def test_of_equal_distances_one_has_the_whole_gradient():
    # Positives at -1 and 1, two negatives that are one image: the first of each counts.
    features = torch.tensor([[0.0], [-1.0], [1.0], [3.0], [3.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 2, dtype=torch.float64)
    triplet_loss(features, labels, 10.0).backward()
    # Of (anchor, positive, negative): (0, 1, 3), (1, 2, 3), (2, 1, 3), (3, 4, 2) and (4, 3, 2).
    expected = torch.zeros(5, 1, dtype=torch.float64)
    for a, p, n in [(0, 1, 3), (1, 2, 3), (2, 1, 3), (3, None, 2), (4, None, 2)]:
        for other, sign in ((p, 1), (n, -1)):
            if other is not None:  # equal images have no direction to be drawn in
                side = (features[a] - features[other]).sign().detach()
                expected[a] += sign * side / 5
                expected[other] -= sign * side / 5
    torch.testing.assert_close(features.grad, expected)


def test_triplets_need_another_identity():
    features = noise(4, 5).requires_grad_()
    loss = triplet_loss(features, torch.ones(4, 1, dtype=torch.float64), 0.35)
    loss.backward()
    assert loss.item() == 0
    assert float(features.grad.abs().max()) == 0


def test_equal_images_of_two_identities_cost_the_margin_and_stay_finite():
    features = torch.ones(4, 5, requires_grad=True)
    loss = triplet_loss(features, torch.eye(2)[[0, 0, 1, 1]], 0.35)
    loss.backward()
    assert loss.item() == pytest.approx(0.35, abs=1e-5)
    assert torch.isfinite(features.grad).all()


def test_identities_far_apart_cost_nothing():
    features = 10 * SINGLE @ noise(4, 5) + 0.01 * noise(7, 5, seed=1)
    assert float(triplet_loss(features, SINGLE, 0.35)) == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identity_loss_against_a_loop(smoothing):
    logits = 2 * noise(7, 4)
    expected = 0.0
    for row, label in zip(logits.tolist(), SINGLE.argmax(dim=1).tolist(), strict=True):
        total = math.log(sum(math.exp(one) for one in row))
        for c, one in enumerate(row):
            target = smoothing / 4 + (1 - smoothing) * (c == label)
            expected += target * (total - one) / 7
    assert float(identity_loss(logits, SINGLE, smoothing)) == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identity_loss_for_several_labels_against_a_loop(smoothing):
    logits = 2 * noise(7, 4)
    expected = 0.0
    for row, wanted in zip(logits.tolist(), MULTI.tolist(), strict=True):
        for one, target in zip(row, wanted, strict=True):
            soft = target * (1 - smoothing) + smoothing / 2
            probability = 1 / (1 + math.exp(-one))
            expected -= (soft * math.log(probability) + (1 - soft) * math.log(1 - probability)) / 28
    assert float(identity_loss(logits, MULTI, smoothing, several=True)) == pytest.approx(expected)


@kinds
def test_gradient_of_the_identity_loss(labels):
    logits = noise(7, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: identity_loss(x, labels, 0.1, several=labels is MULTI), logits)


# -- The sampler ---------------------------------------------------------------------------------


def sampler(labels, seed=0, epoch=0, **params):
    settings = identities.IdentityParameters(**params)
    return list(identities.batches(np.array(labels), settings, seed, epoch))


def test_every_identity_of_a_batch_has_so_many_images():
    labels = np.repeat(np.arange(10), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    batches = sampler(labels, batch_size=16, images_per_identity=4)
    assert batches
    for positions in batches:
        assert len(positions) == 16
        _, counts = np.unique(labels[positions], return_counts=True)
        assert (counts % 4 == 0).all()
    # An identity may come twice, with other images; three images for four places repeat one.
    shown = np.concatenate(batches)
    assert len(np.unique(shown)) > 0.8 * len(labels)


def test_every_two_identities_meet_in_time():
    labels = np.arange(64) % 8
    met = set()
    for epoch in range(20):
        for positions in sampler(labels, epoch=epoch, batch_size=16, images_per_identity=4):
            shown = np.unique(labels[positions])
            met |= {(a, b) for a in shown for b in shown if a < b}
    assert len(met) == 8 * 7 / 2


def test_all_images_are_shown_where_the_numbers_fit():
    labels = np.arange(32) % 4
    batches = sampler(labels, batch_size=16, images_per_identity=4)
    assert sorted(np.concatenate(batches)) == list(range(32))


def test_an_identity_with_few_images_repeats_its_own():
    (positions,) = sampler([0, 0, 1], batch_size=96, images_per_identity=6)
    labels = np.array([0, 0, 1])[positions]
    assert (labels == 0).sum() == (labels == 1).sum() == 6
    assert set(positions) == {0, 1, 2}


def test_epochs_and_seeds_have_their_own_order():
    labels = np.arange(64) % 8
    first = sampler(labels, batch_size=16, images_per_identity=4)
    np.testing.assert_equal(sampler(labels, batch_size=16, images_per_identity=4), first)
    for other in ({"seed": 1}, {"epoch": 1}):
        again = sampler(labels, batch_size=16, images_per_identity=4, **other)
        assert any((a != b).any() for a, b in zip(first, again, strict=True))


def published_batches(labels, size, count, seed):
    """An epoch as re-identification samples it in public code, one image after the other."""
    draw = random.Random(seed)
    by_identity, waiting = {}, {}
    for position, label in enumerate(labels):
        by_identity.setdefault(label, []).append(position)
    for identity, members in by_identity.items():
        images = members if len(members) >= size else draw.choices(members, k=size)
        draw.shuffle(images)
        waiting[identity] = [images[i : i + size] for i in range(0, len(images) - size + 1, size)]
    while len(waiting) >= count:
        batch = []
        for identity in draw.sample(sorted(waiting), count):
            batch += waiting[identity].pop(0)
            if not waiting[identity]:
                del waiting[identity]
        yield batch


#: Of 576 identities, as many as the training set of VeRi-776 has: of some fewer images than of a group.
IDENTITIES = np.repeat(np.arange(576), np.random.default_rng(0).integers(1, 55, 576))


def test_distinct_identities_come_in_as_many_batches_as_published():
    published = [len(list(published_batches(IDENTITIES.tolist(), 6, 16, seed))) for seed in range(3)]
    ours = [len(sampler(IDENTITIES, epoch=epoch, sampler="distinct")) for epoch in range(3)]
    filled = len(sampler(IDENTITIES))
    # Which identities are left for the last batches is drawn.
    assert np.mean(ours) == pytest.approx(np.mean(published), abs=1)
    assert min(published) - 2 <= min(ours) <= max(ours) <= max(published) + 2
    assert filled - max(ours) > 25


@pytest.mark.parametrize("how", ["ours", "published"])
def test_an_identity_is_never_twice_in_a_batch(how):
    labels = IDENTITIES[:4000]
    batches = (
        sampler(labels, sampler="distinct")
        if how == "ours"
        else list(map(np.array, published_batches(labels.tolist(), 6, 16, 0)))
    )
    sizes = np.bincount(labels)
    shown = np.bincount(np.concatenate(batches), minlength=len(labels))
    for positions in batches:
        identities, counts = np.unique(labels[positions], return_counts=True)
        assert (len(identities), set(counts.tolist())) == (16, {6})
    # Images come once an epoch at most, but for identities that have fewer than a group.
    assert shown[sizes[labels] >= 6].max() == 1
    few = np.flatnonzero((sizes > 0) & (sizes < 6))
    for identity in few:
        assert shown[labels == identity].sum() in {0, 6}
    assert shown[np.isin(labels, few)].max() > 1
    # Filled groups bring an identity into most batches again.
    twice = [len(np.unique(labels[positions])) < 16 for positions in sampler(labels)]
    assert np.mean(twice) > 0.5


def test_distinct_identities_must_be_enough_for_a_batch():
    labels = np.repeat(np.arange(15), 12)
    assert sampler(labels, sampler="distinct") == []
    assert len(sampler(labels, sampler="distinct", batch_size=90)) == 2


# -- The method ----------------------------------------------------------------------------------


def make(**params):
    labels = torch.eye(4)[torch.arange(24) % 4]
    settings = {"embedding": 5, "images_per_identity": 2, "batch_size": 8, **params}
    return Retrieval(Retrieval.Params(**settings), task(width=6, labels=labels))


def test_triplets_are_of_the_trunks_feature_and_identities_of_the_embedding():
    torch.manual_seed(0)
    net = RetrievalNetwork(nn.Linear(6, 6), 6, 5, 4).train()
    outputs = net(torch.randn(7, 6))
    assert (outputs.feature.shape, outputs.embedding.shape, outputs.logits.shape) == ((7, 6), (7, 5), (7, 4))
    torch.testing.assert_close(outputs.logits, outputs.embedding @ net.classifier.weight.T)
    labels = SINGLE.float()
    terms = make(margin=0.5, label_smoothing=0.2, triplet_weight=3.0).terms(outputs, batch(labels=labels))
    assert terms["triplet"].item() == pytest.approx(3 * batch_hard(outputs.feature, labels, 0.5), rel=1e-4)
    torch.testing.assert_close(terms["identity"], identity_loss(outputs.logits, labels, 0.2))


def test_layers_behind_the_trunk_learn_faster():
    method = make(head_lr_scale=3.0)
    trunk, head = method.parameter_groups(method.network())
    assert "lr_scale" not in trunk
    assert head["lr_scale"] == 3
    assert [id(one) for one in trunk["params"]] == [id(one) for one in method.task.trunk.parameters()]


def test_the_student_keeps_the_embedding_and_not_the_classifier():
    method = make()
    net = method.network().eval()
    student, architecture = method.student()
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(student.eval()(inputs), net(inputs).embedding)
    assert architecture == {"embedding": {"kind": "neck", "width": 5}}
    torch.testing.assert_close(method.tensors()["classifier"], net.classifier.weight)
