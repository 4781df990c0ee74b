"""Multi-teacher distillation with whitening: golden values, fusion and KL against loops, pairs."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.methods._fusion import fuse, fuse_back, similarities, symmetric_kl
from bench.methods.whiten_mtd import WhitenMtd
from models.layers.whitening import Whitening
from tests.tasks import batch, noise, rotation, task

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/whitening.json").read_text())


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# -- Fusion and loss -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", GOLDEN["whiten_mtd_loss"], ids=lambda case: f"{case['fusion']}-{len(case['teachers_view1'])}"
)
def test_golden_loss_and_gradient(case):
    assert case["student_temperature"] == case["teacher_temperature"]
    first = double(case["student_view1"]).requires_grad_()
    student = similarities(torch.cat([first, double(case["student_view2"])]))
    views = zip(case["teachers_view1"], case["teachers_view2"], strict=True)
    teachers = [similarities(torch.cat([double(one), double(two)])) for one, two in views]
    loss = symmetric_kl(student, fuse(teachers, case["fusion"], generator()), case["student_temperature"])
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-9)
    np.testing.assert_allclose(first.grad, case["grad_view1"], atol=1e-9)


TWO = [double([[0.9, 0.1], [-0.2, 0.3]]), double([[0.7, 0.4], [-0.5, 0.6]])]


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("maxmin", [[0.9, 0.1], [-0.5, 0.6]]),
        ("mean", [[0.8, 0.25], [-0.35, 0.45]]),
        ("maxmean", [[0.9, 0.25], [-0.35, 0.6]]),
    ],
)
def test_fusion_of_two_teachers_by_hand(fusion, expected):
    np.testing.assert_allclose(fuse(TWO, fusion, generator()), expected)


@pytest.mark.parametrize("fusion", ["maxmin", "mean", "maxmean"])
def test_what_draws_nothing_is_the_same_both_ways(fusion):
    assert torch.equal(fuse_back(TWO, fusion, generator()), fuse(TWO, fusion, generator()).T)


@pytest.mark.parametrize("fusion", ["maxmin", "mean", "maxmean", "rand", "maxrand"])
def test_one_teacher_is_left_as_it_is(fusion):
    np.testing.assert_allclose(fuse(TWO[:1], fusion, generator()), TWO[0])


def test_random_fusion_takes_every_entry_from_some_teacher():
    teachers = [torch.full((30, 30), float(number)) for number in range(3)]
    fused = fuse(teachers, "rand", generator())
    counts = torch.bincount(fused.flatten().long(), minlength=3)
    assert counts.sum() == 900
    assert counts.min() > 230
    assert not torch.equal(fused, fuse(teachers, "rand", generator(1)))
    assert torch.equal(fused, fuse(teachers, "rand", generator()))


def test_random_fusion_with_the_largest_positives():
    teachers = [torch.full((30, 30), float(number)) for number in range(3)]
    fused = fuse(teachers, "maxrand", generator())
    positive = torch.eye(30, dtype=torch.bool)
    assert fused[positive].tolist() == [2.0] * 30
    assert torch.bincount(fused[~positive].long(), minlength=3).min() > 230


@pytest.mark.parametrize("fusion", ["rand", "maxrand"])
def test_each_direction_of_a_random_fusion_draws(fusion):
    """As published: rows of the first, then of the other direction, from one generator."""
    teachers = [noise(40, width, seed=width) for width in (9, 5)]
    shown, student = [one[:8] for one in teachers], noise(8, 6)
    whitened = [
        similarities(Whitening.learn(one, one.shape[1])(part))
        for one, part in zip(teachers, shown, strict=True)
    ]
    found = {}
    for draws in ("each", "once"):
        method = make(*teachers, fusion=fusion, draws=draws)
        torch.manual_seed(3)
        found[draws] = float(method.terms(student, batch(*shown))["kl"])
    drawing = generator(3)
    first, second = fuse(whitened, fusion, drawing), fuse([one.T for one in whitened], fusion, drawing)
    assert not torch.equal(first, second.T)
    own = similarities(student)
    rows = [(first[i].tolist(), own[i].tolist()) for i in range(4)]
    once = [(first[:, i].tolist(), own[:, i].tolist()) for i in range(4)]
    each = [(second[i].tolist(), own[:, i].tolist()) for i in range(4)]
    for draws, columns in (("each", each), ("once", once)):
        expected = sum(divergence(wanted, its, 0.05) for wanted, its in [*rows, *columns]) / 4
        assert found[draws] == pytest.approx(expected)


def test_only_random_fusions_are_known_by_their_draws():
    settings = WhitenMtd.Params.of
    assert settings({"fusion": "maxrand"}).draws == settings({"fusion": "rand"}).draws == "each"
    assert "draws" not in settings({}).model_dump()
    assert "draws" not in settings({"fusion": "rand", "draws": "once"}).model_dump()
    assert settings(settings({"fusion": "rand"}).model_dump(mode="json")).draws == "each"
    with pytest.raises(ValidationError):
        settings({"fusion": "random"})
    with pytest.raises(ValidationError, match="draws is of the fusions rand and maxrand, and mean draws"):
        settings({"fusion": "mean", "draws": "each"})


def test_similarities_are_cosines_of_two_views():
    features = noise(6, 4)
    for i in range(3):
        for j in range(3):
            a, b = features[i].numpy(), features[3 + j].numpy()
            cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
            assert float(similarities(features)[i, j]) == pytest.approx(cosine)


def divergence(wanted, own, temperature):
    p, q = ([math.exp(value / temperature) for value in row] for row in (wanted, own))
    return sum(a / sum(p) * math.log(a / sum(p) * sum(q) / b) for a, b in zip(p, q, strict=True))


def test_symmetric_kl_against_a_loop_over_rows_and_columns():
    student, teacher = noise(4, 4, seed=1), noise(4, 4, seed=2)
    pairs = [(teacher[i].tolist(), student[i].tolist()) for i in range(4)]
    pairs += [(teacher[:, i].tolist(), student[:, i].tolist()) for i in range(4)]
    expected = sum(divergence(wanted, own, 0.3) for wanted, own in pairs) / 4
    assert float(symmetric_kl(student, teacher, 0.3)) == pytest.approx(expected)


def test_gradient_agrees_with_finite_differences():
    teacher = fuse([similarities(noise(6, 5, seed=seed)) for seed in (1, 2)], "maxmin", generator())
    features = noise(6, 3, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: symmetric_kl(similarities(x), teacher, 0.2), features)


def test_no_loss_at_the_fused_teacher():
    for fusion in ("maxmin", "mean", "maxmean", "rand", "maxrand"):
        fused = fuse(TWO, fusion, generator())
        assert float(symmetric_kl(fused.clone(), fused, 0.05)) == pytest.approx(0, abs=1e-12)
        assert float(symmetric_kl(TWO[0].flip(0), fused, 0.05)) > 0.1


# -- The method ----------------------------------------------------------------------------------


def make(*teachers, labels=None, videos=None, width=6, seed=0, **params):
    settings = {"batch_size": 8, "embedding": None, **params}
    seen = task(teachers, width, labels=labels, videos=videos, seed=seed)
    return WhitenMtd(WhitenMtd.Params.of(settings), seen)


def test_teachers_are_whitened_before_they_are_fused():
    teachers = [noise(40, width, seed=width) for width in (9, 5)]
    method = make(*teachers, temperature=0.1)
    shown = [one[:8] for one in teachers]
    student = noise(8, 6)
    whitened = [
        similarities(Whitening.learn(one, one.shape[1])(part))
        for one, part in zip(teachers, shown, strict=True)
    ]
    expected = symmetric_kl(similarities(student), fuse(whitened, "maxmin", generator()), 0.1)
    assert float(method.terms(student, batch(*shown))["kl"]) == pytest.approx(float(expected))


def test_a_student_with_the_whitened_similarities_of_its_teacher_costs_nothing():
    teacher = noise(40, 9)
    white = Whitening.learn(teacher, 9)(teacher[:8])
    method = make(teacher, width=12)
    # Whatever turn, length and width its space has.
    student = 3 * torch.cat([white, torch.zeros(8, 3, dtype=torch.float64)], dim=1) @ rotation(12)
    assert float(method.terms(student, batch(teacher[:8]))["kl"]) == pytest.approx(0, abs=1e-9)
    assert float(method.terms(noise(8, 12), batch(teacher[:8]))["kl"]) > 0.1


@pytest.mark.parametrize(("asked", "kept"), [(4, 4), (512, 9)])
def test_whitening_keeps_so_many_dimensions_at_most(monkeypatch, asked, kept):
    learnt = []
    learn = Whitening.learn.__func__

    def spy(cls, features, width):
        learnt.append((features.shape, width))
        return learn(cls, features, width)

    monkeypatch.setattr(Whitening, "learn", classmethod(spy))
    make(noise(40, 9), whitened_width=asked)
    assert learnt == [((40, 9), kept)]


def test_pairs_are_two_views_of_one_image():
    method = make(noise(20, 9))
    batches = list(method.batches(0))
    assert [len(positions) for positions in batches] == [8] * 5
    for positions in batches:
        first, second = np.split(positions, 2)
        np.testing.assert_array_equal(first, second)
    assert len(set(np.concatenate(batches))) == 20


def test_pairs_are_two_images_of_one_label():
    classes = np.array([0] * 9 + [1] * 6 + [2] * 5 + [3])  # nobody goes with the last
    method = make(noise(21, 9), labels=torch.eye(4)[classes], pairs="labels")
    partners = set()
    for epoch in range(30):
        for positions in method.batches(epoch):
            first, second = np.split(positions, 2)
            assert (first != second).all()
            assert (classes[first] == classes[second]).all()
            assert len(set(classes[first])) == len(first)  # the others of the batch are of other labels
            assert 20 not in positions
            partners |= set(zip(first, second, strict=True))
    assert len(partners) > 9 * 8 / 2


def test_videos_show_one_random_frame_each_in_every_epoch():
    frames = [20, 1, 7, 2, 3, 12, 4, 5]  # 54 frames of 8 videos
    videos = np.random.default_rng(0).permutation(np.repeat(np.arange(8), frames))
    method = make(noise(54, 9), videos=videos, pairs="videos")
    shown = np.zeros(54)
    places = []
    for epoch in range(300):
        batches = list(method.batches(epoch))
        assert [len(positions) for positions in batches] == [8, 8]  # two of four videos, not seven of frames
        for positions in batches:
            first, second = np.split(positions, 2)
            np.testing.assert_array_equal(first, second)
        epoch_frames = np.concatenate([np.split(positions, 2)[0] for positions in batches])
        assert dict(Counter(videos[epoch_frames].tolist())) == dict.fromkeys(range(8), 1)
        shown[epoch_frames] += 1
        places.append(videos[epoch_frames].tolist().index(0))
    # Every frame of a video as often as the others of it, and long videos no earlier than short ones.
    for video, count in enumerate(frames):
        expected = 300 / count
        assert np.abs(shown[videos == video] - expected).max() < 4.5 * np.sqrt(expected)
    assert np.mean(places) == pytest.approx(3.5, abs=0.5)


def test_without_any_pair_there_is_no_batch():
    assert list(make(noise(4, 9), labels=torch.eye(4), pairs="labels").batches(0)) == []


def test_labels_are_used_for_pairs_only():
    assert not WhitenMtd.uses_labels(WhitenMtd.Params())
    assert WhitenMtd.uses_labels(WhitenMtd.Params(pairs="labels"))
    assert not WhitenMtd.uses_labels(WhitenMtd.Params(pairs="videos"))
    assert WhitenMtd.uses_videos(WhitenMtd.Params(pairs="videos"))
    assert not WhitenMtd.uses_videos(WhitenMtd.Params())


@pytest.mark.parametrize("embedding", [None, 5])
def test_the_embedding_stays_with_the_student(embedding):
    method = make(noise(20, 9), embedding=embedding)
    student, architecture = method.student()
    assert student is method.network()
    assert student(torch.randn(3, 6)).shape == (3, embedding or 6)
    assert architecture == ({"embedding": {"kind": "whitened", "width": 5}} if embedding else {})
    if embedding:
        # The feature has length 1 before the layer: its scale changes nothing.
        features = torch.randn(3, 6)
        torch.testing.assert_close(student.embedding(features), student.embedding(7 * features))
