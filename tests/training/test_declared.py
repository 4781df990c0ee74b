"""What plug-ins declare as their state, and how those are found out that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.interfaces import Loss, Stateful
from bench.training.declared import Declared
from bench.types import HashingTask, Parameters


class Quiet(Loss):
    """Keeps a lot and changes nothing of it."""

    def __init__(self):
        super().__init__(Parameters(), HashingTask(16, 4, 10, seed=0))
        self.centers = torch.ones(4, 16)
        self.scale, self.name, self.nothing = 1.5, "quiet", None
        self.banks = {"a": [torch.zeros(3)], "b": torch.zeros(2)}
        self.average = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.places = np.arange(5)
        self.trained = nn.Parameter(torch.ones(2))


def rebinds(loss):
    loss.centers = loss.centers + 1


def writes(loss):
    loss.centers[0] = 7


def counts(loss):
    loss.scale *= 2


def fills(loss):
    loss.banks["a"][0].add_(1)


def adds(loss):
    loss.banks["c"] = torch.zeros(1)


def averages(loss):
    loss.average[0].weight.data.mul_(0.9)  # which torch's own count of writes does not see


def places(loss):
    loss.places[2] = 5


def notes(loss):
    loss.average(torch.randn(4, 2))


def remembers(loss):
    loss.memory = 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (rebinds, "centers"),
        (writes, "centers"),
        (counts, "scale"),
        (fills, r"banks.a.0"),
        (adds, r"banks.c"),
        (averages, r"average.0.weight"),
        (places, "places"),
        (notes, r"average.1.(running_mean|num_batches_tracked)"),
        (remembers, "memory"),
    ],
)
def test_a_change_that_is_not_declared_is_named(change, what):
    loss = Quiet()
    declared = Declared(loss, [loss.trained])
    assert declared.state_dict() == {}
    change(loss)
    with pytest.raises(ValueError, match=f"Quiet changes '{what}' as it trains and has no state_dict"):
        declared.state_dict()


def test_what_is_kept_anyway_may_change():
    loss = Quiet()
    declared = Declared(loss, [loss.trained, *loss.average.parameters(), *loss.average.buffers()])
    with torch.no_grad():
        loss.trained.mul_(2)
    loss.average(torch.randn(4, 2))
    loss.scale, loss.name, loss.centers = 3 / 2, "".join(["qui", "et"]), torch.ones(4, 16)  # the same again
    assert declared.state_dict() == {}


def test_who_declares_is_believed():
    class Open(Quiet):
        def state_dict(self):
            return {"scale": self.scale}

        def load_state_dict(self, state):
            self.scale = state["scale"]

    loss, other = Open(), Open()
    declared = Declared(loss, [])
    writes(loss)
    loss.scale = 9.0
    Declared(other, []).load_state_dict(declared.state_dict())
    assert other.scale == 9.0


def test_plugins_need_not_inherit_from_an_interface():
    class Plain:
        def __init__(self):
            self.beta = 1.0

    plain = Plain()
    declared = Declared(plain, [])
    assert declared.state_dict() == {}
    declared.load_state_dict({})
    plain.beta = 2.0
    with pytest.raises(ValueError, match="Plain changes 'beta'"):
        declared.state_dict()


def test_an_interface_declares_nothing_by_itself():
    class Bare(Stateful):
        pass

    assert Bare().state_dict() == {}
    Bare().load_state_dict({})
