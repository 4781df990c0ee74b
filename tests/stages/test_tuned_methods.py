"""Trials of both steps: what wins is what both are trained with, and a step 1 may be how a trial ends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.results.tuning import part, studies_of
from bench.stages import distill, finetune
from bench.training.loop import DivergedError
from tests.left import artifacts, loaded

TUNE = ("measure:", "tune: {of: [method, loss], trials: 2, studies: 2}\nmeasure:")
ONE = ("--only", "method=cukd", "--only", "loss=csq")
MAP = "map@all:expected:relevant"


@pytest.fixture
def tuned(tiny):
    """Run the tiny grid with a tuning of both steps."""

    def run(*arguments, edit=TUNE):
        return tiny("run", *ONE, *arguments, edit=edit)

    return run


def values_of(record):
    study = studies_of(record)[record.cell.seed]
    return study.trials[study.winner].values


def student(folder, record):
    (found,) = (
        one for one in artifacts(folder, "distill") if one.name.endswith(record.stages["distill"].key[:12])
    )
    return (found / "student.safetensors").read_bytes()


def test_the_winner_is_what_both_steps_are_trained_with_bit_for_bit(tuned, tiny, folder):
    assert tuned("--out", "tuned").code == 0
    (found,) = loaded(folder / "tuned")
    values = values_of(found)
    assert {"lr", "weight_decay"} == part(values, "method").keys()
    assert found.stages["distill"].summary["tuned"] == part(values, "method")
    assert found.stages["finetune"].summary["tuned"] == part(values, "loss")
    assert not found.params["method"].keys() & part(values, "method").keys()

    def by_hand(name, method, loss):
        params = {"views": 2, "teacher_image_size": 16, **method}
        axes = [{"name": "cukd", "params": params}], [{"name": "csq", "params": loss}]
        named = [f"axes.{axis}={json.dumps(one)}" for axis, one in zip(("method", "loss"), axes, strict=True)]
        assert tiny("run", *ONE, "--out", name, *(word for one in named for word in ("--set", one))).code == 0
        (record,) = loaded(folder / name)
        return record

    same = by_hand("same", part(values, "method"), part(values, "loss"))
    other = by_hand("other", {}, part(values, "loss"))
    assert student(folder, same) == student(folder, found) != student(folder, other)
    assert same.metrics[MAP] == found.metrics[MAP] != other.metrics[MAP]
    assert same.stages["finetune"].history == found.stages["finetune"].history


def test_seeds_take_the_step_1_of_their_study(tuned, folder):
    assert tuned("--set", "axes.seed=[0, 1]").code == 0
    first, second = loaded(folder / "results/tiny")
    assert first.stages["tune"].key == second.stages["tune"].key
    for record in (first, second):
        assert record.stages["distill"].summary["tuned"] == part(values_of(record), "method")
    assert first.stages["distill"].summary["tuned"] != second.stages["distill"].summary["tuned"]
    assert not [name for name in first.stages if "trial" in name]


def test_no_step_of_a_trial_is_trained_on_what_judges_it(tuned, folder, monkeypatch):
    shown, splits = [], []
    original, outputs = distill._Batches.__init__, finetune.outputs_of

    def pool(self, stage, context, images, pool, *others):
        shown.append(("trial" in stage.spec, pool))
        original(self, stage, context, images, pool, *others)

    def judged(net, preprocessing, dataset, indices, **more):
        splits.append(dataset.splits)
        return outputs(net, preprocessing, dataset, indices, **more)

    monkeypatch.setattr(distill._Batches, "__init__", pool)
    monkeypatch.setattr(finetune, "outputs_of", judged)
    hold_out = "axes.method=[{name: cukd, params: {views: 2, teacher_image_size: 16, hold_out: if_chosen}}]"
    assert tuned("--set", hold_out).code == 0
    val = splits[0].val
    assert [trial for trial, _ in shown].count(True) == 4
    for trial, images in shown:
        assert np.isin(val, images).any() != trial


def test_what_a_trial_took_has_its_step_1_in_it(tuned, folder):
    assert tuned().code == 0
    (record,) = loaded(folder / "results/tiny")
    indices = [json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "trial")]
    took = sorted(one["seconds"] + one["summary"]["step_1_seconds"] for one in indices)
    assert all(one["summary"]["step_1_seconds"] > 0 for one in indices)
    seconds = sorted(trial.seconds for study in studies_of(record) for trial in study.trials)
    assert seconds == pytest.approx(took)


def test_a_step_1_that_diverges_is_the_worst_trial_and_ends_nothing(tuned, folder, monkeypatch):
    original, calls = distill._train, []

    def diverging(stage, context, chosen):
        calls.append(stage)
        if len(calls) == 1:
            raise DivergedError("loss term 'mse' is nan")
        return original(stage, context, chosen)

    monkeypatch.setattr(distill, "_train", diverging)
    assert tuned().code == 0
    assert "trial" in calls[0].spec
    trials = [one for study in studies_of(loaded(folder / "results/tiny")[0]) for one in study.trials]
    assert [one.val_map for one in trials if one.diverged] == [0.0]
    assert len(trials) == 4


def test_a_step_1_of_a_cell_that_diverges_fails_it(tuned, folder, monkeypatch):
    original = distill._train

    def diverging(stage, context, chosen):
        if "trial" not in stage.spec:
            raise DivergedError("loss term 'mse' is nan; lower lr")
        return original(stage, context, chosen)

    monkeypatch.setattr(distill, "_train", diverging)
    assert tuned().code == 1
    (record,) = loaded(folder / "results/tiny")
    assert (record.status, record.error.stage) == ("failed", "distill")


@pytest.mark.parametrize("train", ["head", "all"])
def test_a_step_1_whose_features_are_not_finite_costs_its_trial_alone(tuned, folder, monkeypatch, train):
    original, calls = distill._train, []

    def exploding(stage, context, chosen):
        trained, *others = original(stage, context, chosen)
        calls.append(stage)
        if len(calls) == 1:
            for parameter in trained.parameters():
                parameter.data *= 1e30  # finite still
        return trained, *others

    monkeypatch.setattr(distill, "_train", exploding)
    assert tuned("--set", f"axes.loss=[{{name: csq, params: {{train: {train}}}}}]").code == 0
    assert "trial" in calls[0].spec
    trials = [one for study in studies_of(loaded(folder / "results/tiny")[0]) for one in study.trials]
    assert [one.val_map for one in trials if one.diverged] == [0.0]
    assert len(trials) == 4


def test_methods_alone_are_tuned_with_the_loss_as_it_is(tuned, folder):
    assert tuned(edit=(TUNE[0], TUNE[1].replace("[method, loss]", "method"))).code == 0
    (record,) = loaded(folder / "results/tiny")
    assert "tuned" not in record.stages["finetune"].summary
    assert record.stages["distill"].summary["tuned"] == part(values_of(record), "method")
    assert record.params["loss"]["lr"] == 1e-3


def test_heads_of_frozen_trunks_are_judged_on_features_of_the_step_1_of_each_trial(tuned, folder):
    assert tuned("--set", "axes.loss=[{name: csq, params: {train: head}}]").code == 0
    assert len(artifacts(folder, "trunk")) == 4 + 1
    (record,) = loaded(folder / "results/tiny")
    assert len({trial.val_map for study in studies_of(record) for trial in study.trials}) == 4


@pytest.mark.parametrize("method", ["retrieval", "supcon", "cdd"])
def test_methods_with_labels_and_with_live_teachers_are_tuned_too(bench, tiny, folder, method):
    more = {"cdd": "epochs: 3, free_epochs: 1, teacher_epochs: 2, images_per_identity: 4"}.get(
        method, "epochs: 2"
    )
    axes = f"axes.method=[{{name: {method}, params: {{{more}}}}}]"
    network = [word for axis in ("teacher", "student") for word in ("--set", f"axes.{axis}=[tiny_residual]")]
    arguments = ("--set", axes, "--only", "loss=csq", *(network if method == "cdd" else ()))
    assert tiny("run", *arguments, edit=TUNE).code == 0
    (record,) = loaded(folder / "results/tiny")
    assert record.stages["distill"].summary["tuned"] == part(values_of(record), "method")


def test_values_that_stand_in_no_spec_are_told_all_the_same(tiny, folder):
    space = "tune: {trials: 2, studies: 1, space: {loss: {csq: {targets: [majority, first]}}}}\nmeasure:"
    assert tiny("run", "--only", "method=none", "--only", "loss=csq", edit=("measure:", space)).code == 0
    (study,) = studies_of(loaded(folder / "results/tiny")[0])
    assert {trial.values["targets"] for trial in study.trials} == {"majority", "first"}


#: A small network from random weights, whose step 1 learns the same few labels first.
DIGITS = """
schema: 1
name: digits
defaults:
  image_size: 16
  distill: {epochs: 30, batch_size: 64, optimizer: adamw, schedule: cosine, lr: RATE}
  finetune: {epochs: 15, batch_size: 64, optimizer: adamw, schedule: cosine, lr: 1.0e-3}
axes:
  dataset: [{name: digits, params: {train_per_class: 15}}]
  student: [{name: timm:test_resnet, params: {weights: none}}]
  method: [supcon]
  loss: [csq]
  bits: [16]
  seed: [0, 1, 2]
measure: {latency: false, search: false, peak_memory: false}
"""


@pytest.mark.slow
def test_a_rate_of_step_1_that_is_badly_chosen_costs_trials_and_not_the_result(bench, folder):
    def accuracy(name, rate, more=""):
        (folder / "grid.yaml").write_text(DIGITS.replace("RATE", rate) + more)
        assert bench("run", "--grid", "grid.yaml", "--out", name).code == 0
        return float(np.mean([one.metrics[MAP].value for one in loaded(folder / name)]))

    well, badly = accuracy("well", "3.0e-3"), accuracy("badly", "0.3")
    found = accuracy("tuned", "0.3", "tune: {of: method, trials: 8, studies: 1}\n")
    assert badly < well - 0.08
    assert abs(found - well) < 0.05
