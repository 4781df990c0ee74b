from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from models.pruning.gradient_reset import GradientReset, lasso, shared_minima
from models.pruning.indicators import Indicator


def rows(count, width, seed):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def brute_force(teacher, student, bank, neighbours, ratio, distance="cosine"):
    """Bottom channels of each match as a set, one sample and one neighbour at a time, then their meet."""
    width = teacher.shape[1]
    shared = set(range(width))
    if distance == "cosine":
        teacher, student, bank = normalize(teacher), normalize(student), normalize(bank)
    for t, m in zip(teacher, student, strict=True):
        by = {"cosine": lambda j, t=t: -float(bank[j] @ t), "l2": lambda j, t=t: math.dist(bank[j], t)}
        for j in sorted(range(len(bank)), key=by[distance])[:neighbours]:
            contribution = (bank[j] * m).abs()
            smallest = sorted(range(width), key=lambda c: float(contribution[c]))
            shared &= set(smallest[: math.floor(ratio * width)])
    return shared


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(1, 6),
    width=st.integers(1, 12),
    neighbours=st.integers(1, 4),
    ratio=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    bank_size=st.integers(6, 20),
    distance=st.sampled_from(["cosine", "l2"]),
    seed=st.integers(0, 10_000),
)
def test_masks_equal_brute_force(batch, width, neighbours, ratio, bank_size, distance, seed):
    reset = GradientReset(bank_size, neighbours, ratio, distance=distance)
    bank, gone = torch.empty(0, width, dtype=torch.float64), set()
    for step in range(5):
        # Scales that differ between channels, so that sets meet.
        teacher, student = (
            rows(batch, width, seed + offset + step).double() * torch.arange(1, width + 1)
            for offset in (0, 50)
        )
        copies = teacher.clone(), student.clone()
        reset.update({"a": teacher}, {"a": student})
        assert torch.equal(teacher, copies[0])
        assert torch.equal(student, copies[1])
        bank = torch.cat([bank, teacher])[-bank_size:]
        gone |= brute_force(teacher, student, bank, neighbours, ratio, distance)
        assert set((~reset.masks["a"]).nonzero()[:, 0].tolist()) == gone


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, []), (0.34, []), (0.5, [2]), (1.0, [0, 1, 2, 3])])
def test_shared_minima_by_hand(ratio, expected):
    products = torch.tensor([[[-9.0, 0.1, 0.2, 5.0]], [[0.1, 8.0, -0.2, 7.0]]])
    assert shared_minima(products, ratio).nonzero()[:, 0].tolist() == expected


def test_the_nearest_by_angle_need_not_be_the_nearest_by_distance():
    # Both neighbours of the sample count. Channel 1 is small in what is near by angle, channel 0 by distance.
    far_ahead, aside = torch.tensor([[90.0, 1.0]]), torch.tensor([[0.1, 1.2]])
    masks = {}
    for distance in ("cosine", "l2"):
        reset = GradientReset(neighbours=2, ratio=0.5, distance=distance)
        for rows_before in (far_ahead, aside):
            reset._push("a", reset._compared(rows_before))
        reset.update({"a": torch.tensor([[1.0, 0.2]])}, {"a": torch.ones(1, 2)})
        masks[distance] = reset.masks["a"].tolist()
    assert masks == {"cosine": [True, False], "l2": [True, True]}


def test_a_mask_never_opens_again():
    reset = GradientReset(bank_size=50)
    last = torch.ones(16, dtype=torch.bool)
    for step in range(30):
        reset.update({"a": rows(2, 16, step)}, {"a": rows(2, 16, 100 + step)})
        assert not (reset.masks["a"] & ~last).any()
        last = reset.masks["a"].clone()
    assert 0 < last.sum() < 16


@pytest.mark.parametrize("bank_size", [1, 2, 5, 7, 100])
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_banks_of_any_size_keep_the_newest(bank_size, batch):
    reset = GradientReset(bank_size, neighbours=1, ratio=0.5)
    pushed = torch.empty(0, 4)
    for step in range(6):
        new = rows(batch, 4, step)
        bank = reset._push("a", new)
        pushed = torch.cat([pushed, new])[-bank_size:]
        assert sorted(bank.tolist()) == sorted(pushed.tolist())


def test_one_sample_with_one_row_in_the_bank():
    reset = GradientReset(neighbours=2)
    reset.update({"a": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}, {"a": torch.ones(1, 4)})
    assert reset.masks["a"].tolist() == [False, False, True, True]
    reset.update({"a": torch.empty(0, 4)}, {"a": torch.empty(0, 4)})  # no sample, no verdict
    assert reset.masks["a"].tolist() == [False, False, True, True]


def test_features_with_gradient_are_left_alone():
    reset, student = GradientReset(), rows(3, 4, 0).requires_grad_()
    reset.update({"a": rows(3, 4, 1)}, {"a": student * 2})
    assert not reset.masks["a"].requires_grad
    assert student.grad is None


def indicator_with_zero_row():
    indicator = Indicator(4)
    with torch.no_grad():
        indicator.weight.add_(0.1 * rows(4, 4, 0))
        indicator.weight[3] = 0
    return indicator


def test_lasso():
    indicators = {"a": indicator_with_zero_row(), "b": Indicator(3)}
    value = lasso(indicators)
    expected = sum(indicator.weight.norm(dim=1).sum() for indicator in indicators.values())
    assert value.item() == pytest.approx(expected.item())
    value.backward()
    weight, gradient = indicators["a"].weight.detach(), indicators["a"].weight.grad
    assert torch.allclose(gradient[:3], weight[:3] / weight[:3].norm(dim=1, keepdim=True))
    assert torch.equal(gradient[3], torch.zeros(4))


def test_without_masks_the_gradient_is_that_of_loss_and_lasso():
    ours, theirs = indicator_with_zero_row(), indicator_with_zero_row()
    x = rows(2 * 4 * 9, 1, 3).view(2, 4, 3, 3)
    ours(x).square().mean().backward()
    GradientReset(lasso_weight=0.3).apply({"a": ours})
    (theirs(x).square().mean() + 0.3 * lasso({"a": theirs})).backward()
    assert torch.allclose(ours.weight.grad, theirs.weight.grad)


def test_masked_rows_follow_lasso_and_weight_decay_alone():
    indicator, reset = indicator_with_zero_row(), GradientReset(lasso_weight=0.2)
    reset.masks["a"] = torch.tensor([True, False, True, False])
    before = indicator.weight.detach().clone()
    sgd = torch.optim.SGD(indicator.parameters(), lr=0.1, weight_decay=0.05)
    indicator(rows(2 * 4 * 9, 1, 3).view(2, 4, 3, 3)).square().mean().backward()
    indicator.weight.grad[1, 0] = math.nan  # that of a masked row is dropped whatever it is
    main = indicator.weight.grad.clone()
    reset.apply({"a": indicator})
    sgd.step()
    pure = 0.2 * before / before.norm(dim=1, keepdim=True).clamp(min=1e-12) + 0.05 * before
    after = indicator.weight.detach()
    assert torch.allclose(after[[1, 3]], (before - 0.1 * pure)[[1, 3]])
    assert torch.equal(after[3], torch.zeros(4))
    assert torch.allclose(after[[0, 2]], (before - 0.1 * (main + pure))[[0, 2]])


def test_indicators_without_gradient_get_that_of_the_lasso():
    indicator = Indicator(3)
    GradientReset(lasso_weight=0.5).apply({"a": indicator})
    assert torch.equal(indicator.weight.grad, 0.5 * torch.eye(3))


def test_a_masked_unit_row_shrinks_to_a_thousandth_in_the_predicted_steps():
    indicator, reset = Indicator(1), GradientReset()
    reset.masks["a"] = torch.tensor([False])
    sgd = torch.optim.SGD(indicator.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    steps = 0
    while indicator.weight.item() > 1e-3:
        sgd.zero_grad()
        reset.apply({"a": indicator})
        sgd.step()
        steps += 1
    assert steps == pytest.approx(2360, abs=15)
