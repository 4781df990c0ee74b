"""Interrupted trainings go on bit for bit: every method of step 1 with every loss of step 2."""

from __future__ import annotations

import json
import random

import pytest

from bench.registry import LOSSES, METHODS
from bench.stages import kept_epoch
from bench.types import SharedViewsParameters
from tests.trainings import Trainings, made

#: Parameters that make a training hold as much as it can, or work at all on so small a set.
ESPECIALLY = {
    "cdd": "free_epochs: 1, teacher_epochs: 2, bank: 50, lr: 0.1, lasso_weight: 0.2, threshold: 0.05, "
    "images_per_identity: 4, embedding: 8",
    "retrieval": "images_per_identity: 4, embedding: 8, sampler: distinct, batch_size: 12",
    "whiten_mtd": "fusion: rand, embedding: 8",
    "ranking": "mixing: beta",
    "csq": "select: val, eval_every: 1",
    "dch": "optimizer: adam, schedule: cosine",
    "dpsh": "optimizer: adamw",
    "hashnet": "period: 1",
}
HASHING = [name for name in LOSSES.names() if LOSSES.get(name).trains]
#: Losses that can learn from features of images as they are searched.
ONE_VIEW = [name for name in HASHING if LOSSES.get(name).views_per_step == 1]
ONLINE = [name for name in METHODS.names() if issubclass(METHODS.get(name).Params, SharedViewsParameters)]


def entry(name, more=""):
    params = ", ".join(filter(None, [ESPECIALLY.get(name), more]))
    return f"{{name: {name}, params: {{{params}}}}}"


def trainings(folder, monkeypatch, method, more="", losses=(), device="cpu"):
    plugin = METHODS.get(method)
    alike, several = getattr(plugin, "same_network", False), plugin.teachers[1] > 1
    teacher = "tiny_residual" if alike else "[tiny_teacher, tiny_residual]" if several else "tiny_teacher"
    return Trainings(
        folder,
        monkeypatch,
        device=device,
        TEACHER=teacher,
        STUDENT="tiny_residual" if alike else "tiny_dropping",
        METHOD=entry(method, more),
        LOSSES=", ".join(map(entry, losses)) or "none",
    )


def goes_on_as_if_nothing_had_happened(every):
    chosen, seen = random.Random(5), []
    for stage in every:
        whole, steps = made(every.make(stage, resumable=False)), every.steps
        seen.append(stage.kind)
        every.forget(stage)
        done = 0
        for last in sorted(chosen.sample(range(2, steps + 1), 2)):
            with pytest.raises(KeyboardInterrupt):
                every.make(stage, last - done)
            assert every.steps == last - done
            done = last - 1  # the step in the middle of which it was interrupted is lost
        assert made(every.make(stage)) == whole, stage.slug
        assert every.steps == steps - done
        assert not every.checkpoint(stage).exists()
    return seen


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_with_every_loss(tmp_path, monkeypatch, method):
    every = trainings(tmp_path, monkeypatch, method, losses=HASHING)
    seen = goes_on_as_if_nothing_had_happened(every)
    assert seen.count("finetune") == len(HASHING)
    taught = METHODS.get(method).teacher_trained_by is not None if METHODS.get(method).trains else 0
    assert seen.count("distill") == METHODS.get(method).trains + taught


@pytest.mark.parametrize("method", ONLINE)
def test_teachers_that_are_asked_in_every_epoch(tmp_path, monkeypatch, method):
    every = trainings(tmp_path, monkeypatch, method, "views: online")
    assert goes_on_as_if_nothing_had_happened(every) == ["distill"]


def test_heads_of_a_frozen_trunk_with_every_loss(tmp_path, monkeypatch):
    every = Trainings(
        tmp_path,
        monkeypatch,
        TEACHER="tiny_teacher",
        STUDENT="tiny_dropping",
        METHOD="none",
        LOSSES=", ".join(entry(name, "train: head") for name in ONE_VIEW),
    )
    assert goes_on_as_if_nothing_had_happened(every) == ["finetune"] * len(ONE_VIEW)


def test_what_is_pruned(tmp_path, monkeypatch):
    """Of the other trainings, none is long enough for channels to go."""
    every = trainings(tmp_path, monkeypatch, "cdd", "epochs: 20")
    assert goes_on_as_if_nothing_had_happened(every) == ["distill", "distill"]
    *_, pruned = every
    channels = json.loads((every.folder(pruned) / "artifact.json").read_text())["summary"]
    assert channels["channels"] != channels["channels_before"]


def test_weights_of_an_epoch_that_was_better_are_kept(tmp_path, monkeypatch):
    right = kept_epoch.average_precision
    monkeypatch.setattr(kept_epoch, "average_precision", lambda *args, **more: -right(*args, **more))
    every = trainings(tmp_path, monkeypatch, "none", losses=["csq"])
    (stage,) = every
    whole, steps = every.make(stage), every.steps
    assert whole["summary"]["kept_epoch"] == 1
    every.forget(stage)
    with pytest.raises(KeyboardInterrupt):
        every.make(stage, steps)
    assert made(every.make(stage)) == made(whole)
    assert every.steps == 1


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS.names())
def test_on_a_gpu(tmp_path, monkeypatch, method):
    """Dropout draws from another generator there, and momenta live there."""
    every = trainings(tmp_path, monkeypatch, method, losses=HASHING, device="cuda")
    assert goes_on_as_if_nothing_had_happened(every)
