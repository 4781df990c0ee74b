"""Learning rates at single steps, against what published code does, stated naively."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from bench.losses.greedyhash import GreedyHash
from bench.methods.cdd import CapacityDynamic
from bench.methods.retrieval import Retrieval
from bench.methods.whiten_mtd import WhitenMtd
from bench.training.rates import factors
from bench.types import RateSchedule, TrainingParameters


def rates(settings, counts, **group):
    """Learning rate of every step, and of the one that would come after the last."""
    (factor,) = factors(settings, [group], counts)
    scale = settings.lr * group.get("lr_scale", 1.0)
    return [scale * factor(step) for step in range(sum(counts) + 1)]


def test_whitening_falls_from_the_first_step_to_the_published_end():
    settings, steps = WhitenMtd.Params(), 200 * 30
    found = rates(settings, [30] * 200)

    def published(step):  # no warm-up, cosine per iteration
        return 1e-6 + 0.5 * (1e-3 - 1e-6) * (1 + math.cos(math.pi * step / steps))

    for step in (0, 1, steps // 3, steps - 1):
        assert found[step] == pytest.approx(published(step))
    assert found[0] == 1e-3
    assert found[steps // 2] == pytest.approx((1e-3 + 1e-6) / 2)
    assert found[steps - 1] == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize("method", [CapacityDynamic, Retrieval])
def test_capacity_dynamic_distillation_changes_its_rate_with_the_epoch(method):
    settings = method.Params()
    counts = [340 + epoch % 3 for epoch in range(120)]  # its sampler has not the same number in every epoch
    found = rates(settings, counts)

    def published(epoch):
        if epoch < 10:
            return 0.01 * (0.1 + 0.9 * epoch / 10)
        if epoch < 40:
            return 0.01
        return 1e-7 + 0.5 * (0.01 - 1e-7) * (1 + math.cos(math.pi * (epoch - 40) / 80))

    step = 0
    for epoch, count in enumerate(counts):
        for place in (step, step + count // 2, step + count - 1):
            assert found[place] == pytest.approx(published(epoch)), epoch
        step += count
    by_epoch = [found[sum(counts[:epoch])] for epoch in range(120)]
    assert by_epoch[0] == pytest.approx(1e-3)
    assert by_epoch[10] == by_epoch[40] == 0.01
    assert by_epoch[80] == pytest.approx(5e-3, rel=1e-4)
    assert by_epoch[119] == pytest.approx(4e-6, rel=0.02)


def test_greedyhash_takes_a_tenth_every_thirty_epochs():
    found = rates(GreedyHash.Params(), [79] * 200)
    assert len(found) == 200 * 79 + 1
    for epoch in (0, 29, 30, 59, 60, 100, 199):
        for step in (epoch * 79, epoch * 79 + 78):
            assert found[step] == pytest.approx(1e-3 * 0.1 ** (epoch // 30))
    slower = GreedyHash.Params(schedule=RateSchedule(fall="steps", every_epochs=80, factor=0.1))
    assert rates(slower, [1] * 200)[79:81] == pytest.approx([1e-3, 1e-4])


def test_a_layer_that_learns_faster_ends_at_the_same_rate():
    settings = TrainingParameters(
        epochs=10, lr=0.1, schedule=RateSchedule(fall="cosine", warmup=0.2, level=0.5, final_lr=0.01)
    )
    plain, fast = (rates(settings, [4] * 10, lr_scale=scale) for scale in (1.0, 3.0))
    assert plain[0] == pytest.approx(0.01)  # a tenth, from where it rises by step
    assert plain[4] == pytest.approx(0.1 * 0.55)
    assert plain[8] == plain[20] == pytest.approx(0.1)
    assert (fast[0], fast[8]) == pytest.approx((0.03, 0.3))
    assert (plain[40], fast[40]) == pytest.approx((0.01, 0.01))
    assert rates(settings, [4] * 10, lr_scale=0.05)[40] == pytest.approx(0.005)  # falls no higher


@pytest.mark.parametrize("steps", [1, 7])
def test_names_mean_what_they_meant(steps):
    counts = [steps] * 24
    total = 24 * steps
    flat = rates(TrainingParameters(lr=1.0, schedule="flat_cosine"), counts)
    cosine = rates(TrainingParameters(lr=1.0, schedule="cosine"), counts)
    for step in range(total):
        up, level = total // 12, total // 3
        expected = min(1, (step + 1) / up)
        if step >= level:
            expected = 0.5 * (1 + math.cos(math.pi * (step - level) / (total - level)))
        assert flat[step] == pytest.approx(expected)
        up = min(steps, total // 10)
        expected = min(1, (step + 1) / up)
        if step >= up:
            expected = 0.5 * (1 + math.cos(math.pi * (step - up) / (total - up)))
        assert cosine[step] == pytest.approx(expected)
    assert set(rates(TrainingParameters(lr=1.0), counts)) == {1.0}


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"fall": "cosine", "warmup_from": 0.5}, "without warmup has no warmup_from"),
        ({"fall": "cosine", "warmup": 0.5, "level": 0.2}, "should begin to fall .level. after its warmup"),
    ],
)
def test_nothing_of_a_schedule_is_ignored(schedule, reason):
    with pytest.raises(ValidationError, match=reason):
        RateSchedule(**schedule)
