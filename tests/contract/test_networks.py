"""What every network plug-in must hold; a new file under models is covered at once."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from bench import registry
from bench.errors import UsageError
from bench.registry import STUDENTS, TEACHERS
from bench.types import Preprocessing
from models.weights import restore, stored_tensors, ties
from tests.conftest import PLUGINS

# Every teacher may be used as a student, so the names of the students are all names.
# One more has weights that it uses in several places.
NAMES = [*STUDENTS.names(), "timm:resnet10t", "torchvision:resnet18", "tiny_tied"]


@pytest.fixture(scope="module", autouse=True)
def plugins():
    registry.include(PLUGINS / "tiny.py")


def untrained(name):
    plugin = STUDENTS.get(name)
    return plugin(plugin.Params(weights="none"))


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def net(name):
    torch.manual_seed(0)
    return untrained(name).build()


def test_teachers_are_students_too():
    assert set(TEACHERS.names()) < set(STUDENTS.names())


@pytest.fixture(scope="module")
def shapes(net):
    """The network without values: everything but the numbers comes out, and in no time."""
    return copy.deepcopy(net).to("meta")


def test_feature_is_one_finite_vector(net):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        feature = net.eval()(images)
    assert (feature.ndim, len(feature), feature.dtype) == (2, 2, torch.float32)
    assert feature.isfinite().all()


@pytest.mark.parametrize("size", [64, 96])
def test_feature_has_the_declared_width(name, shapes, size):
    feature = shapes.eval()(torch.empty(1, 3, size, size, device="meta"))
    assert feature.shape == (1, untrained(name).feature_dim(size))


def test_gradients_reach_every_parameter(shapes):
    shapes.train()(torch.empty(2, 3, 64, 64, device="meta")).sum().backward()
    assert all(parameter.grad is not None for parameter in shapes.parameters())


def test_the_seed_determines_the_weights(name, net):
    torch.manual_seed(0)
    again = dict(untrained(name).build().named_parameters())
    assert all(torch.equal(value, again[key]) for key, value in net.named_parameters())


def test_weights_file_round_trip(name, net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pt")
    plugin = STUDENTS.get(name)
    network = plugin(plugin.Params(weights=str(tmp_path / "net.pt")))
    assert network.weights_id().startswith("sha256:")
    torch.manual_seed(1)
    loaded = network.build().state_dict()
    assert loaded.keys() == net.state_dict().keys()
    assert all(torch.equal(value, loaded[key]) for key, value in net.state_dict().items())


def test_a_state_dict_without_repetitions_is_enough(name, net):
    torch.manual_seed(1)
    again = untrained(name).build()
    restore(again, stored_tensors(net))
    assert ties(again) == ties(net)
    assert bool(ties(net)) == (name == "tiny_tied")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in net.state_dict().items())


def test_feature_dim_leaves_the_random_generator_alone(name):
    before = torch.get_rng_state()
    untrained(name).feature_dim(64)
    assert torch.equal(torch.get_rng_state(), before)


def test_declarations(name):
    plugin = STUDENTS.get(name)
    assert plugin.version >= 1
    assert untrained(name).weights_id() == "none"
    preprocessing = untrained(name).preprocessing
    assert isinstance(preprocessing, Preprocessing)
    assert len(preprocessing.mean) == len(preprocessing.std) == 3
    assert all(value > 0 for value in preprocessing.std)


def test_params_are_strict_and_frozen(name):
    params_type = STUDENTS.get(name).Params
    with pytest.raises(ValidationError):
        params_type(weight="none")
    params = params_type(weights="none")
    with pytest.raises(ValidationError):
        params.weights = "default"


def test_a_missing_weights_file_says_what_to_set(name, tmp_path):
    plugin = STUDENTS.get(name)
    network = plugin(plugin.Params(weights=str(tmp_path / "gone.pt")))
    for call in (network.weights_id, network.build):
        with pytest.raises(UsageError, match=r"no such weights file: .*gone\.pt; weights is 'none'"):
            call()


def test_planning_imports_no_torch():
    code = f"""
import sys
from pathlib import Path
from bench.registry import STUDENTS, include
include(Path({str(PLUGINS / "tiny.py")!r}))
for name in {NAMES}:
    plugin = STUDENTS.get(name)
    assert plugin(plugin.Params(weights="none")).weights_id() == "none"
STUDENTS.get("timm:resnet18")(STUDENTS.get("timm:resnet18").Params()).weights_id()
sys.exit(", ".join({{"torch", "torchvision", "timm", "safetensors"}} & set(sys.modules)) or 0)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
