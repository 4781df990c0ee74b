"""Ranking distillation: Gram-matrix losses against loops, mixtures, neighbours and what rotations leave."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.methods._gram import compared_pairs, list_loss, mix, pair_loss, rank_loss
from bench.methods.ranking import Ranking, nearest
from tests.tasks import batch, noise, rotation, task

STUDENT, TEACHER = (F.normalize(noise(7, width, seed=width)) for width in (3, 5))
EVERYWHERE = 1 - torch.eye(7, dtype=torch.float64)
#: As with ``parents: false`` for five images, of which two pairs are mixed.
WITHOUT_PARENTS = EVERYWHERE.clone()
for _mixture, _parents in ((5, (0, 1)), (6, (2, 4))):
    for _parent in _parents:
        WITHOUT_PARENTS[_mixture, _parent] = WITHOUT_PARENTS[_parent, _mixture] = 0
masks = pytest.mark.parametrize("compared", [EVERYWHERE, WITHOUT_PARENTS], ids=["parents", "no parents"])


def gram(rows):
    rows = rows.tolist()
    return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]


def softmax(values):
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


@masks
def test_pair_loss_against_a_loop(compared):
    own, wanted = gram(STUDENT), gram(TEACHER)
    squares = [(own[i][j] - wanted[i][j]) ** 2 for i, j in np.ndindex(7, 7) if i != j and compared[i, j]]
    assert float(pair_loss(STUDENT, TEACHER, compared)) == pytest.approx(sum(squares) / len(squares))


@masks
def test_list_loss_against_a_loop(compared):
    own, wanted = gram(STUDENT), gram(TEACHER)
    expected = 0.0
    for i in range(7):
        others = [j for j in range(7) if compared[i, j]]
        p, q = (softmax([rows[i][j] / 0.1 for j in others]) for rows in (wanted, own))
        expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 7
    assert float(list_loss(STUDENT, TEACHER, compared, 0.1)) == pytest.approx(expected)


@masks
@pytest.mark.parametrize("margin", [0.0, 0.02, 0.5])
def test_rank_loss_against_a_loop_over_triples(compared, margin):
    own, wanted = gram(STUDENT), gram(TEACHER)
    costs = [
        math.log1p(math.exp((own[i][k] - own[i][j]) / 0.05))
        for i, j, k in np.ndindex(7, 7, 7)
        if compared[i, j] and compared[i, k] and wanted[i][j] > wanted[i][k] + margin
    ]
    found = float(rank_loss(STUDENT, TEACHER, compared, margin, 0.05))
    assert found == pytest.approx(sum(costs) / len(costs))


def test_a_teacher_without_order_costs_nothing():
    assert float(rank_loss(STUDENT, torch.ones(7, 1, dtype=torch.float64), EVERYWHERE, 0.02, 0.05)) == 0


LOSSES = {
    "pair": lambda s, t: pair_loss(s, t, WITHOUT_PARENTS),
    "list": lambda s, t: list_loss(s, t, WITHOUT_PARENTS, 0.1),
    "rank": lambda s, t: rank_loss(s, t, WITHOUT_PARENTS, 0.02, 0.05),
}
losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))


@losses
def test_gradient_agrees_with_finite_differences(loss):
    student = STUDENT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, TEACHER), student)


@losses
def test_turning_either_space_changes_nothing(loss):
    expected = float(loss(STUDENT, TEACHER))
    assert float(loss(STUDENT @ rotation(3), TEACHER)) == pytest.approx(expected, abs=1e-9)
    assert float(loss(STUDENT, TEACHER @ rotation(5))) == pytest.approx(expected, abs=1e-9)


def test_mixtures_against_a_loop():
    features, first, second = 5 * noise(4, 3), [0, 2, 1], [1, 3, 0]
    weights = torch.tensor([0.3, 0.5, 1.0], dtype=torch.float64)
    expected = [row / row.norm() for row in features]
    for a, b, weight in zip(first, second, weights, strict=True):
        mixed = weight * expected[a] + (1 - weight) * expected[b]
        expected.append(mixed / mixed.norm())
    found = mix(features, torch.tensor(first), torch.tensor(second), weights)
    torch.testing.assert_close(found, torch.stack(expected))


def test_opposite_images_mix_to_nothing_and_stay_finite():
    features = torch.tensor([[1.0, 2.0], [-2.0, -4.0]], requires_grad=True)
    mixed = mix(features, torch.tensor([0]), torch.tensor([1]), torch.tensor([0.5]))
    mixed.sum().backward()
    assert mixed[2].norm() < 0.5
    assert torch.isfinite(features.grad).all()


# -- The method ----------------------------------------------------------------------------------


def make(teacher=None, width=6, **params):
    return Ranking(
        Ranking.Params(**params), task([noise(40, 9).half() if teacher is None else teacher], width)
    )


def with_all(**more):
    return {"pair_weight": 1.0, "list_weight": 0.5, "rank_weight": 2.0, **more}


def test_what_is_mixed_is_drawn_with_the_training():
    """Set back the generator of the training, as after a batch that did not fit, and all is drawn again."""
    method, student, teacher = make(mixtures=0.5, mixing="uniform"), noise(8, 6), batch(noise(8, 9))
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(float(method.terms(student, teacher)["pair"]))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("parents", [True, False])
@pytest.mark.parametrize("mixtures", [0.0, 0.5, 4.0])
def test_student_and_teacher_are_turned_at_will(parents, mixtures):
    student, teacher = noise(8, 6, seed=1), noise(8, 9, seed=2)
    values = []
    for s, t in itertools.product((student, student @ rotation(6)), (teacher, teacher @ rotation(9))):
        torch.manual_seed(0)
        values.append(make(**with_all(parents=parents, mixtures=mixtures)).terms(s, batch(t)))
    assert set(values[0]) == {"pair", "list", "rank"}
    for other in values[1:]:
        assert {k: float(v) for k, v in other.items()} == pytest.approx(
            {k: float(v) for k, v in values[0].items()}, abs=1e-9
        )


def test_a_turned_teacher_of_any_length_costs_nothing():
    teacher = noise(8, 9, seed=2)
    student = 7 * torch.cat([teacher, torch.zeros(8, 3, dtype=torch.float64)], dim=1) @ rotation(12)
    terms = make().terms(student, batch(teacher))
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {"pair": 0, "list": 0}, abs=1e-9
    )
    assert float(make().terms(noise(8, 12, seed=5), batch(teacher))["pair"]) > 0.01


def test_a_mixture_is_compared_with_its_parents_unless_told_otherwise():
    # Two images, one mixture: without parents only the images remain, whatever the mixture is.
    student, teacher = noise(2, 3, seed=1), noise(2, 4, seed=2)
    (own, wanted) = (F.normalize(rows) for rows in (student, teacher))
    only = float((own[0] @ own[1] - wanted[0] @ wanted[1]) ** 2)
    lone = make(mixtures=0.5, parents=False, list_weight=0.0).terms(student, batch(teacher))
    assert set(lone) == {"pair"}
    assert float(lone["pair"]) == pytest.approx(only)
    both = make(mixtures=0.5, mixing="half", list_weight=0.0).terms(student, batch(teacher))
    halves = [(own[0] + own[1]), (wanted[0] + wanted[1])]
    halves = [half / half.norm() for half in halves]
    edges = [(float(own[i] @ halves[0]) - float(wanted[i] @ halves[1])) ** 2 for i in (0, 1)]
    assert float(both["pair"]) == pytest.approx((only + sum(edges)) / 3)


@pytest.mark.parametrize("parents", [True, False])
@pytest.mark.parametrize("copies", [True, False])
def test_which_pairs_count_against_a_loop(parents, copies):
    index, first, second = [7, 3, 7, 5], [0, 0, 1, 2], [1, 2, 3, 3]
    made = [{row} for row in range(4)] + [{a, b} for a, b in zip(first, second, strict=True)]
    images = [{index[row] for row in rows} for rows in made]
    expected = torch.zeros(8, 8)
    for i, j in np.ndindex(8, 8):
        mixture, image = (i, j) if i > j else (j, i)
        known = made if copies else images
        of_its_own = image < 4 <= mixture and known[image] < known[mixture]
        of_one = not copies and images[i] == images[j] and len(images[i]) == 1
        expected[i, j] = i != j and not of_one and (parents or not of_its_own)
    found = compared_pairs(*map(torch.tensor, (index, first, second)), parents=parents, copies=copies)
    assert torch.equal(found, expected)
    assert copies == (found[0, 2] == 1)


def test_an_image_is_not_compared_with_itself_if_so_asked():
    student, teacher = noise(2, 6, seed=1)[[0, 1, 0]], noise(2, 9, seed=2)[[0, 1, 0]]
    shown = dataclasses.replace(batch(teacher), index=torch.tensor([4, 8, 4]))
    only = float(
        (
            F.normalize(student)[0] @ F.normalize(student)[1]
            - F.normalize(teacher)[0] @ F.normalize(teacher)[1]
        )
        ** 2
    )
    params = {"mixtures": 0.0, "list_weight": 0.0}
    assert float(make(copies=False, **params).terms(student, shown)["pair"]) == pytest.approx(only)
    assert float(make(**params).terms(student, shown)["pair"]) == pytest.approx(only * 2 / 3)


@pytest.mark.parametrize(
    ("mixing", "low", "high"), [("uniform", 0.2, 0.8), ("half", 0.5, 0.5), ("beta", 0, 1)]
)
def test_mixing_weights(monkeypatch, mixing, low, high):
    seen = []

    def spy(features, first, second, weights):
        seen.append((first, second, weights))
        return mix(features, first, second, weights)

    monkeypatch.setattr("bench.methods._gram.mix", spy)
    method = make(mixing=mixing, mixtures=40.0, alpha=4.0)
    method.terms(noise(10, 6), batch(noise(10, 9)))
    (first, second, weights), other = seen
    assert len(weights) == 400
    assert low <= float(weights.min()) <= float(weights.max()) <= high
    if mixing == "uniform":
        assert float(weights.max() - weights.min()) > 0.5
    if mixing == "beta":  # Beta(4, 4) has variance 1 / 36
        assert float(weights.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(weights.std()) == pytest.approx(1 / 6, abs=0.03)
    assert (first != second).all()
    # Half of the pairs mix an image with the neighbour that its batch brings along.
    assert (second[:200] == first[:200] + 5).all()
    assert len(torch.unique((second[200:] - first[200:]) % 10)) == 9
    # Both sides are mixed alike.
    assert all(torch.equal(*pair) for pair in zip((first, second, weights), other, strict=True))


def test_nearest_against_brute_force():
    features = noise(30, 5, dtype=torch.float32).numpy()
    features[7] = 2 * features[3]  # the same direction: each is the other's nearest
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = nearest(features, 4)
    for i, row in enumerate(unit @ unit.T):
        assert i not in found[i]
        np.testing.assert_allclose(row[found[i]], np.sort(np.delete(row, i))[:-5:-1], atol=1e-6)
    assert found[7, 0] == 3
    assert found[3, 0] == 7


def test_nearest_among_copies_and_in_small_pools():
    same = nearest(np.ones((12, 3), np.float32), 5)
    assert same.shape == (12, 5)
    assert all(i not in row and len(set(row)) == 5 for i, row in enumerate(same))
    few = nearest(noise(3, 4, dtype=torch.float32).numpy(), 10)
    assert [sorted(row) for row in few] == [[1, 2], [0, 2], [0, 1]]


def test_batches_bring_neighbours_along():
    teacher = noise(40, 9).half()
    method = make(teacher, batch_size=16, neighbors=3)
    near = nearest(teacher.float().numpy(), 3)
    partners = set()
    for epoch in range(20):
        batches = list(method.batches(epoch))
        assert [len(positions) for positions in batches] == [16, 16]
        for images, others in (np.split(positions, 2) for positions in batches):
            assert all(b in near[a] for a, b in zip(images, others, strict=True))
            partners |= set(zip(images, others, strict=True))
        images = list(itertools.chain.from_iterable(positions[:8] for positions in batches))
        assert len(set(images)) == len(images)
    assert len(partners) > 100  # of 120


def test_one_image_has_no_neighbour_and_makes_no_batch():
    assert list(make(noise(1, 9).half()).batches(0)) == []


def test_weight_decay_spares_vectors():
    method = make()
    decayed, spared = method.parameter_groups(method.network())
    assert "weight_decay" not in decayed
    assert spared["weight_decay"] == 0
    assert [one.ndim for one in decayed["params"]] == [2]
    assert [one.ndim for one in spared["params"]] == [1]


def test_a_student_of_another_width_keeps_its_layer():
    plain, wide = make(), make(embedding=9)
    assert plain.student() == (plain.task.trunk, {})
    assert (Ranking.reshaped_by(plain.params), Ranking.reshaped_by(wide.params)) == (False, True)
    student, architecture = wide.student()
    assert architecture == {"embedding": {"kind": "whitened", "width": 9}}
    assert wide.network() is student
    assert student(torch.randn(3, 6)).shape == (3, 9)
    assert len(wide.parameter_groups(student)[0]["params"]) == 2
