"""What every method of step 1 must do, run for each one on arrival."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import random

import numpy as np
import pytest
import torch

from bench import registry
from bench.planning.search_space import points, range_fault
from bench.planning.tuned import tunable
from bench.registry import METHODS, STUDENTS, TEACHERS
from bench.results.tuning import is_range
from bench.training.loop import fit, shuffled
from bench.training.micro_batches import Batch, Passes
from bench.types import DistillationBatch, DistillationParameters, DistillationTask, SharedViewsParameters
from models.pruning.reshape import reshape
from tests.conftest import PLUGINS
from tests.spaces import within

IMAGES, CLASSES, TEACHER_WIDTH, BATCH = 40, 4, 24, 16
#: Sizes that suit a tiny task; each method takes those that it knows.
SMALL = {"epochs": 12, "batch_size": BATCH, "lr": 3e-3, "embedding": 8, "images_per_identity": 4}
TRAINED = [name for name in METHODS.names() if METHODS.get(name).trains]


@pytest.fixture(autouse=True)
def _plugins():
    registry.include(PLUGINS / "tiny.py")


@pytest.fixture(params=TRAINED)
def name(request):
    return request.param


def parameters(plugin, **more):
    known = plugin.Params.model_fields
    return plugin.Params.of({key: value for key, value in {**SMALL, **more}.items() if key in known})


def student_plugin(plugin):
    chosen = TEACHERS.get("tiny_residual") if plugin.same_network else STUDENTS.get("tiny_student")
    return chosen(chosen.Params())


def live_teacher(plugin, params, labels):
    """A teacher as an earlier step 1 leaves it: frozen, with what that kept beside it."""
    torch.manual_seed(0)
    trainer = METHODS.get(plugin.teacher_trained_by)
    network = student_plugin(plugin)
    counts = labels.shape[1], len(labels)
    task = DistillationTask(network.build(), network.feature_dim(16), [], [], [], labels, *counts, seed=0)
    method = trainer(trainer.Params.of(plugin.teacher_params(params)), task)
    net, _ = method.student()
    return net.eval().requires_grad_(False), {key: one.detach() for key, one in method.tensors().items()}


def make(name, *, seed=3, images=IMAGES, teachers=None, student=None, **more):
    """A method on images of noise whose teachers say noise of another width, and the images."""
    plugin = METHODS.get(name)
    params = parameters(plugin, **more)
    student = student or student_plugin(plugin)
    generator = torch.Generator().manual_seed(1)
    hot = np.eye(CLASSES, dtype=np.uint8)[np.arange(images) % CLASSES]
    labels = hot if plugin.uses_labels(params) else None
    least, most = plugin.teachers
    count = min(most, 2) if teachers is None else teachers
    targets, live = [], []
    if plugin.teacher_output == "network":
        live = [live_teacher(plugin, params, labels) for _ in range(max(least, 1))]
    elif most:
        views = params.views if plugin.shared_views else 1
        targets = [
            [torch.randn(images, TEACHER_WIDTH + i, generator=generator).half() for _ in range(views)]
            for i in range(count)
        ]
    torch.manual_seed(seed)
    task = DistillationTask(
        trunk=student.build(),
        width=student.feature_dim(16),
        targets=targets,
        networks=[net for net, _ in live],
        network_tensors=[tensors for _, tensors in live],
        labels=labels,
        classes=CLASSES,
        images=images,
        seed=seed,
        teacher_widths=[views[0].shape[1] for views in targets],
    )
    return plugin(params, task), torch.randn(images, 3, 16, 16, generator=generator)


def epoch_of(method, epoch=0):
    params = method.params
    default = shuffled(method.task.images, params.batch_size, method.task.seed, params.incomplete)
    return list(method.batches(epoch) or default(epoch))


def batch_of(method, images, positions, epoch=0):
    """What the stage would put together: part j of a batch shows view j."""
    index = torch.from_numpy(positions)
    parts = torch.tensor_split(index, method.views_per_step)
    teachers = [
        torch.cat([views[part][rows] for part, rows in enumerate(parts)]).float()
        for views in method.task.targets
    ]
    with torch.no_grad():
        teachers += [network(images[index]) for network in method.task.networks]
    labels = None
    if method.task.labels is not None:
        labels = torch.from_numpy(method.task.labels[positions]).float()
    return DistillationBatch(images[index], index, teachers, labels, epoch)


def terms_of(method, net, images, positions, epoch=0):
    batch = batch_of(method, images, positions, epoch)
    return method.terms(net(batch.inputs), batch)


def total(terms):
    return torch.stack(list(terms.values())).sum()


def train(method, images):
    """Train as the stage does; the sum of all terms by epoch."""
    net = method.network().train()

    def show(order):
        for epoch, positions in order:
            batch = batch_of(method, images, positions, epoch)
            yield Batch(batch.inputs, functools.partial(method.terms, batch=batch))

    fitted = fit(
        Passes(net, contextlib.nullcontext),
        method.parameter_groups(net),
        method.params,
        lambda epoch: epoch_of(method, epoch),
        show,
        adjust_gradients=method.adjust_gradients,
    )
    return [sum(value for term, value in entry.items() if term != "lr") for entry in fitted.history]


def test_parameters_extend_the_common_ones_and_refuse_unknown_keys(name):
    plugin = METHODS.get(name)
    assert isinstance(plugin.Params(), DistillationParameters)
    with pytest.raises(ValueError, match="extra"):
        plugin.Params.of({"no_such_key": 1})


def test_declarations_fit_together(name):
    plugin = METHODS.get(name)
    params = plugin.Params()
    least, most = plugin.teachers
    assert 0 <= least <= most
    assert isinstance(plugin.version, int)
    assert plugin.views_per_step >= 1
    assert plugin.teacher_output in {"features", "logits", "network"}
    if plugin.teacher_output == "network":
        # Live teachers are trained first, on settings that their own method takes.
        trainer = METHODS.get(plugin.teacher_trained_by)
        assert trainer.trains
        assert trainer.uses_labels(trainer.Params.of(plugin.teacher_params(params)))
    elif most:
        # Frozen teachers are asked about every view that the student is shown, or about one.
        assert params.teacher_image_size is None
        assert plugin.shared_views == (getattr(params, "views", 1) > 1)
    if plugin.uses_labels(params):
        assert params.pool == "train"


def test_terms_are_finite_and_their_gradient_reaches_every_weight(name):
    method, images = make(name)
    net = method.network().train()
    terms = terms_of(method, net, images, epoch_of(method)[0])
    assert terms
    total(terms).backward()
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())
    for key, parameter in method.task.trunk.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        # Biases before a normalisation change nothing.
        assert parameter.ndim == 1 or parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("tied", [False, True])
def test_the_optimizer_gets_every_parameter_once(name, tied):
    if tied and METHODS.get(name).same_network:
        pytest.skip("the student is the teacher's network")
    plugin = STUDENTS.get("tiny_tied")
    method, _ = make(name, student=plugin(plugin.Params()) if tied else None)
    net = method.network()
    given = [id(one) for group in method.parameter_groups(net) for one in group["params"]]
    assert sorted(given) == sorted(id(one) for one in net.parameters())


def test_training_lowers_the_loss_and_leaves_the_teachers_alone(name):
    method, images = make(name)
    teachers = [(net, {k: v.clone() for k, v in net.state_dict().items()}) for net in method.task.networks]
    cached = [[view.clone() for view in views] for views in method.task.targets]
    losses = train(method, images)
    assert losses[-1] < 0.95 * losses[0]
    for net, before in teachers:
        assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
        assert all(one.grad is None for one in net.parameters())
    for views, before in zip(method.task.targets, cached, strict=True):
        assert all(torch.equal(*pair) for pair in zip(views, before, strict=True))


def test_the_seed_decides_batches_and_terms(name):
    found = []
    for seed in (3, 3, 4):
        method, images = make(name, seed=seed)
        batches = [epoch_of(method, epoch) for epoch in range(2)]
        net = method.network().train()
        found.append((batches, terms_of(method, net, images, np.arange(BATCH))))
    (batches, terms), again, other = found
    np.testing.assert_equal(again[0], batches)
    assert again[1] == terms
    assert any((a != b).any() for a, b in zip(batches[0], batches[1], strict=True))
    assert any((a != b).any() for a, b in zip(batches[0], other[0][0], strict=True))


def test_global_generators_feed_new_layers_and_nothing_else(name):
    states = []
    for seed, images in ((3, IMAGES), (4, 2 * IMAGES)):
        method, _ = make(name, seed=seed, images=images)
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        again = type(method)(method.params, dataclasses.replace(method.task, trunk=new_trunk(method)))
        net = again.network()
        epoch_of(again)
        assert (np.random.random(), random.random()) == numbers(0)
        states.append((sum(one.numel() for one in net.parameters()), torch.get_rng_state()))
    # Neither the pool nor the seed changes what new layers take.
    assert states[0][0] == states[1][0]
    assert torch.equal(states[0][1], states[1][1])


def new_trunk(method):
    return student_plugin(type(method)).build()


def numbers(seed):
    np.random.seed(seed)
    random.seed(seed)
    return np.random.random(), random.random()


@pytest.mark.parametrize("images", [IMAGES, 37, 7])
def test_batches_lie_in_the_pool_and_have_the_size_asked_for(name, images):
    method, _ = make(name, images=images)
    epochs = [epoch_of(method, epoch) for epoch in range(3)]
    assert len({len(batches) for batches in epochs}) == 1
    assert epochs[0]
    for positions in (positions for batches in epochs for positions in batches):
        assert positions.dtype == np.int64
        assert positions.min() >= 0
        assert positions.max() < images
        assert len(positions) % method.views_per_step == 0
        if images >= IMAGES:
            assert len(positions) == BATCH
        assert 2 <= len(positions) <= BATCH


def test_an_incomplete_batch_is_shown_where_it_is_asked_for(name):
    # 46 images are 12 groups of four, some of them filled up; of four identities, two have a group more.
    ways = {20: {}, 16: {"sampler": "distinct"}}
    for size, more in ways.items():
        if more and "sampler" not in METHODS.get(name).Params.model_fields:
            continue
        made = {
            incomplete: make(name, images=46, epochs=2, batch_size=size, incomplete=incomplete, **more)
            for incomplete in ("drop", "keep")
        }
        dropped, kept = (list(map(len, epoch_of(method))) for method, _ in made.values())
        assert set(dropped) == {size}
        assert kept[: len(dropped)] == dropped
        assert [1 < left < size for left in kept[len(dropped) :]] == [True]
        assert np.isfinite(train(*made["keep"])).all()


def test_a_small_pool_trains_too(name):
    method, images = make(name, images=5)
    assert np.isfinite(train(method, images)).all()


def test_the_architecture_makes_the_student_again(name):
    method, images = make(name, epochs=3)
    train(method, images)
    student, architecture = method.student()
    assert type(method).reshaped_by(method.params) or architecture == {}
    fresh = new_trunk(method)
    again, width = reshape(fresh, method.task.width, json.loads(json.dumps(architecture)))
    again.load_state_dict(student.state_dict(), strict=True)
    with torch.no_grad():
        expected, found = student.eval()(images[:8]), again.eval()(images[:8])
    assert found.shape == (8, width)
    torch.testing.assert_close(found, expected)


def test_what_is_kept_beside_the_student_can_be_written(name):
    method, images = make(name, epochs=2)
    train(method, images)
    method.student()
    json.dumps(method.summary())
    assert all(isinstance(tensor, torch.Tensor) for tensor in method.tensors().values())


@pytest.mark.parametrize("name", [name for name in TRAINED if METHODS.get(name).teachers[1] > 1])
@pytest.mark.parametrize("teachers", [1, 3])
def test_methods_for_several_teachers_take_any_number(name, teachers):
    method, images = make(name, teachers=teachers)
    net = method.network().train()
    assert torch.isfinite(total(terms_of(method, net, images, epoch_of(method)[0])))


@pytest.mark.gpu
@pytest.mark.parametrize("epoch", [0, 25], ids=["early", "late"])  # some methods do something else then
def test_a_gpu_finds_the_same_terms_and_gradients(name, epoch):
    found = []
    for device in ("cpu", "cuda"):
        method, images = make(name)
        net = method.network().to(device).train()
        for teacher in method.task.networks:
            teacher.to(device)
        for tensors in method.task.network_tensors:
            tensors.update({key: one.to(device) for key, one in tensors.items()})
        batch = batch_of(method, images.to(device), epoch_of(method)[0], epoch)
        labels = None if batch.labels is None else batch.labels.to(device)
        teachers = [outputs.to(device) for outputs in batch.teachers]
        batch = dataclasses.replace(batch, teachers=teachers, labels=labels)
        torch.manual_seed(0)
        terms = method.terms(net(batch.inputs), batch)
        total(terms).backward()
        method.adjust_gradients(epoch)
        found.append([*terms.values(), *(one.grad for one in net.parameters())])
    for one, other in zip(*found, strict=True):
        assert other.device.type == "cuda"
        torch.testing.assert_close(other.cpu(), one, rtol=1e-3, atol=1e-4)


def test_what_a_tuning_searches_are_parameters_with_their_defaults_inside(name):
    plugin = METHODS.get(name)
    assert {"lr", "weight_decay"} <= set(plugin.space), "declare what a tuning searches: space"
    assert set(plugin.space) <= set(tunable(plugin))
    for parameter, searched in plugin.space.items():
        assert range_fault(searched) is None, parameter
        assert within(getattr(plugin.Params(), parameter), searched), f"{parameter}: its default is outside"
    for values in points(plugin.space, plugin.Params, 8, 0):
        plugin.Params.of(values)


def test_what_a_tuning_searches_changes_neither_questions_nor_networks_nor_costs(name):
    plugin = METHODS.get(name)
    shared = {*SharedViewsParameters.model_fields, "embedding"} - {"lr", "weight_decay"}
    assert not shared & plugin.space.keys()
    default = plugin.Params()
    for parameter, searched in plugin.space.items():
        for value in searched[:2] if is_range(searched) else searched:
            params = plugin.Params.of({parameter: value})
            assert plugin.check(params) is None
            for asked in (plugin.uses_labels, plugin.uses_videos, plugin.reshaped_by):
                assert asked(params) == asked(default), f"{parameter}: {value}"
