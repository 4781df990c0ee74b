"""The training loop on a problem with a known answer."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
import timm
import torch

from bench.errors import CellError
from bench.training import loop
from bench.training.loop import fit, seeded, shuffled
from bench.training.micro_batches import Batch, Passes
from bench.types import TrainingParameters

TARGET = torch.tensor([1.0, -2.0, 3.0])


def quadratic(settings: TrainingParameters, images=64, seed=0, seen=None):
    weight = torch.nn.Parameter(torch.zeros(3))

    def step(epoch, positions):
        if seen is not None:
            seen.append((epoch, positions))
        return {"fit": (weight - TARGET).square().mean(), "other": 0 * weight.sum()}

    fitted = train(weight, settings, shuffled(images, settings.batch_size, seed), step)
    return weight.detach(), fitted.history


def train(weight, settings, order, step, **more):
    """Train one weight on terms that look at positions alone; ``more`` about its group."""

    def show(asked):
        for epoch, positions in asked:
            yield Batch(torch.empty(len(positions), 0), lambda _, at=(epoch, positions): step(*at))

    passes = Passes(torch.nn.Identity(), contextlib.nullcontext)
    return fit(passes, [{"params": [weight], **more}], settings, order, show)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_finds_the_minimum(optimizer):
    settings = TrainingParameters(epochs=60, batch_size=16, optimizer=optimizer, lr=0.05, schedule="cosine")
    weight, history = quadratic(settings)
    torch.testing.assert_close(weight, TARGET, atol=0.05, rtol=0)
    assert history[-1]["fit"] < history[0]["fit"]
    assert set(history[0]) == {"fit", "other", "lr"}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_group_that_warms_up_rises_in_a_line_and_then_follows_the_schedule(schedule):
    settings = TrainingParameters(epochs=10, batch_size=16, lr=0.5, schedule=schedule)

    def rates(**more):
        weight = torch.nn.Parameter(torch.zeros(1))
        order = shuffled(16, settings.batch_size, 0)  # one step an epoch
        fitted = train(
            weight, settings, order, lambda epoch, positions: {"fit": weight.square().sum()}, **more
        )
        return np.array([entry["lr"] for entry in fitted.history])

    plain, slow = rates(), rates(warmup=0.4, lr_scale=0.5)
    # What is told at the end of an epoch is the rate of the next step.
    np.testing.assert_allclose(slow[:3] / plain[:3], [0.25, 0.375, 0.5], rtol=1e-6)
    np.testing.assert_allclose(slow[3:], 0.5 * plain[3:])
    np.testing.assert_array_equal(rates(warmup=0.0), plain)


def test_cosine_warms_up_and_ends_near_zero():
    settings = TrainingParameters(epochs=20, batch_size=16, lr=1.0, schedule="cosine")
    rates = [entry["lr"] for entry in quadratic(settings)[1]]
    assert max(rates) <= 1.0
    assert rates[-1] < 0.01
    assert rates[2:] == sorted(rates[2:], reverse=True)
    constant = quadratic(settings.model_copy(update={"schedule": "constant"}))[1]
    assert {entry["lr"] for entry in constant} == {1.0}


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own():
    seen: list = []
    quadratic(TrainingParameters(epochs=2, batch_size=16), images=70, seen=seen)
    # 70 images make four full batches; the six left over change from epoch to epoch.
    orders = [np.concatenate([p for epoch, p in seen if epoch == wanted]) for wanted in (0, 1)]
    assert all(len(np.unique(order)) == len(order) == 64 for order in orders)
    assert (orders[0] != orders[1]).any()
    again: list = []
    quadratic(TrainingParameters(epochs=2, batch_size=16), images=70, seen=again)
    np.testing.assert_array_equal(np.concatenate([p for _, p in seen]), np.concatenate([p for _, p in again]))


def test_fewer_images_than_a_batch_are_one_batch():
    seen: list = []
    quadratic(TrainingParameters(epochs=1, batch_size=64), images=10, seen=seen)
    assert [len(positions) for _, positions in seen] == [10]


def test_epochs_may_have_different_numbers_of_batches():
    counts, seen = [3, 1, 4], []
    weight = torch.nn.Parameter(torch.zeros(1))

    def order(epoch):
        return [np.array([number]) for number in range(counts[epoch])]

    def step(epoch, positions):
        seen.append((epoch, int(positions[0])))
        return {"fit": weight.sum() * 0 + float(positions[0])}

    settings = TrainingParameters(epochs=3, batch_size=2, lr=1.0, schedule="cosine")
    history = train(weight, settings, order, step).history
    assert seen == [(epoch, number) for epoch in range(3) for number in range(counts[epoch])]
    assert [entry["fit"] for entry in history] == [1.0, 0.0, 1.5]
    # One step of warm-up, seven of a cosine that ends behind the last.
    rates = [0.5 * (1 + math.cos(math.pi * (step - 1) / 7)) for step in (3, 4, 8)]
    assert [entry["lr"] for entry in history] == pytest.approx(rates)


def test_an_epoch_that_is_another_when_it_is_asked_for_again_is_an_error():
    calls = []

    def order(epoch):
        calls.append(epoch)
        return [np.array([0])] * (2 if len(calls) > 2 else 1)

    weight = torch.nn.Parameter(torch.zeros(1))
    settings = TrainingParameters(epochs=2, batch_size=2)
    with pytest.raises(CellError, match="epoch 1 has 2 batches, and had 1 when they were counted"):
        train(weight, settings, order, lambda epoch, positions: {"fit": weight.sum()})


def test_without_any_batch_there_is_nothing_to_train_on():
    weight = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(CellError, match="no batch can be formed; lower batch_size"):
        train(weight, TrainingParameters(epochs=2), lambda epoch: [], lambda epoch, positions: {})


def test_an_incomplete_batch_is_shown_where_published_code_shows_it():
    def sizes(images, batch_size, incomplete):
        batches = list(shuffled(images, batch_size, 0, incomplete)(0))
        assert len(np.unique(np.concatenate(batches))) == sum(map(len, batches))
        return [len(positions) for positions in batches]

    # DCH on CIFAR-10-1: 5,000 images in batches of 128.
    assert sizes(5000, 128, "keep") == [128] * 39 + [8]
    assert sizes(5000, 128, "drop") == [128] * 39
    for images in range(2, 40):
        # What a loader of batches does that neither drops nor knows of single images.
        published = [min(8, images - start) for start in range(0, images, 8)]
        kept = published if published[-1] > 1 else published[:-1]
        assert sizes(images, 8, "keep") == kept
        assert sizes(images, 8, "drop") == (published if images < 8 else [8] * (images // 8))


def test_a_single_image_left_over_reaches_no_batch_normalisation():
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    settings = TrainingParameters(epochs=2, batch_size=16, incomplete="keep")

    def show(asked):
        for _, positions in asked:
            yield Batch(torch.randn(len(positions), 4), lambda outputs: {"size": outputs.square().mean()})

    order = shuffled(33, settings.batch_size, 0, settings.incomplete)
    fitted = fit(
        Passes(net, contextlib.nullcontext), [{"params": [*net.parameters()]}], settings, order, show
    )
    assert fitted.images == 2 * 32


def test_a_loss_that_is_not_finite_says_what_to_change():
    weight = torch.nn.Parameter(torch.zeros(1))
    settings = TrainingParameters(epochs=3, batch_size=8, lr=0.5)

    def step(epoch, positions):
        return {"good": weight.sum(), "bad": (weight * (float("nan") if epoch == 1 else 1.0)).sum()}

    with pytest.raises(CellError, match=r"term 'bad' is nan in epoch 2 of 3; lower lr \(now 0.5\)"):
        train(weight, settings, shuffled(8, 8, 0), step)


def test_seeding_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(7, torch.device("cpu")):
        inside = torch.rand(2)
    torch.testing.assert_close(torch.rand(2), expected)
    with seeded(7, torch.device("cpu")):
        torch.testing.assert_close(torch.rand(2), inside)


def test_what_a_gpu_is_asked_for_is_taken_back():
    def asked():
        deterministic = torch.utils.deterministic.fill_uninitialized_memory
        return torch.are_deterministic_algorithms_enabled(), deterministic

    before = asked()
    with contextlib.suppress(KeyError), loop._repeatable(torch.device("cuda")):
        assert asked() == (True, False)
        raise KeyError
    assert asked() == before
    with loop._repeatable(torch.device("cpu")):  # sums in one order as it is, in another one if asked for it
        assert asked() == before


@pytest.mark.gpu
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
def test_the_seed_decides_on_a_gpu_too(half):
    device, found = torch.device("cuda"), []
    settings = TrainingParameters(epochs=2, batch_size=64, optimizer="adamw", lr=1e-3)
    for _ in range(2):
        with seeded(1, device):
            net = timm.create_model("test_resnet", num_classes=32).to(device).train()

            def show(asked):
                for _ in asked:
                    images = torch.rand(64, 3, 32, 32, device=device)
                    yield Batch(images, lambda outputs: {"norm": (outputs.square() - 1).square().mean()})

            passes = Passes(net, lambda: torch.autocast("cuda", torch.bfloat16, enabled=half))
            fit(passes, [{"params": list(net.parameters())}], settings, shuffled(640, 64, 0), show)
        found.append([tensor.clone() for tensor in net.state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
