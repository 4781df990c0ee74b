"""Trials and what they decide: by validation alone, the same again whatever happens, every end told."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.registry import LOSSES
from bench.results.tuning import studies_of
from bench.stages import finetune, labelled, trial
from bench.training.loop import DivergedError
from bench.training.micro_batches import Passes
from tests.left import artifacts, loaded

TUNE = ("measure:", "tune: {trials: 3, studies: 2}\nmeasure:")
ONE = ("--only", "method=none", "--only", "loss=csq")


@pytest.fixture
def tuned(tiny):
    """Run the tiny grid with a tuning, two seeds of it."""

    def run(*arguments, edit=TUNE):
        return tiny("run", *ONE, "--set", "axes.seed=[0, 1]", *arguments, edit=edit)

    return run


def scores(record):
    return [[one.val_map for one in study.trials] for study in studies_of(record)]


def test_the_best_trial_by_validation_is_trained_anew(tuned, folder):
    assert tuned().code == 0
    first, second = loaded(folder / "results/tiny")
    assert scores(first) == scores(second)
    assert [len(study) for study in scores(first)] == [3, 3]
    for record in (first, second):
        study = studies_of(record)[record.cell.seed]
        best = study.trials[study.winner]
        assert best.val_map == max(one.val_map for one in study.trials)
        assert study.expected_best[0] == pytest.approx(sum(one.val_map for one in study.trials) / 3)
        assert record.stages["finetune"].summary["tuned"] == best.values
        assert record.params["tuning"]["space"].keys() == best.values.keys()
        # Trials are told by the tuning, and not one by one.
        assert not [name for name in record.stages if "trial" in name]
    names = {path.name for one in artifacts(folder, "trial") for path in one.iterdir()}
    assert names == {"artifact.json"}


def test_winners_are_what_is_trained(tuned, folder, monkeypatch):
    seen = []
    original = LOSSES.get("csq").__init__

    def spy(self, params, task):
        seen.append(params)
        original(self, params, task)

    monkeypatch.setattr(LOSSES.get("csq"), "__init__", spy)
    assert tuned().code == 0
    for record in loaded(folder / "results/tiny"):
        values = record.stages["finetune"].summary["tuned"]
        # In its trial, and in the cell of its study.
        assert sum(all(getattr(one, name) == value for name, value in values.items()) for one in seen) == 2


def test_trials_see_no_query_and_are_not_trained_on_what_judges_them(tuned, folder, monkeypatch):
    asked, shown = [], []
    original, batches = finetune.outputs_of, labelled.LabelledImages.__init__

    def outputs(net, preprocessing, dataset, indices, spec, context):
        asked.append((set(indices.tolist()), dataset.splits))
        return original(net, preprocessing, dataset, indices, spec, context)

    def train(self, spec, context, images, train, *others):
        shown.append((spec["seed"], set(train.tolist())))
        batches(self, spec, context, images, train, *others)

    monkeypatch.setattr(finetune, "outputs_of", outputs)
    monkeypatch.setattr(labelled.LabelledImages, "__init__", train)
    assert tuned().code == 0
    splits = asked[0][1]
    assert len(asked) == 2 * 6
    assert all(indices in (set(splits.val), set(splits.train)) for indices, _ in asked)
    trained = dict(shown)
    assert all(images == set(splits.train) for seed, images in trained.items() if seed > 1)
    assert {frozenset(trained[0]), frozenset(trained[1])} == {frozenset(splits.train) | frozenset(splits.val)}


def test_the_same_grid_finds_the_same_winner_again(tuned, folder):
    assert tuned("--out", "one").code == 0
    shutil.rmtree(folder / "cache")
    assert tuned("--out", "two").code == 0
    for one, two in zip(loaded(folder / "one"), loaded(folder / "two"), strict=True):
        assert scores(one) == scores(two)
        assert one.stages["finetune"].summary == two.stages["finetune"].summary
        assert one.metrics["map@all:expected:relevant"] == two.metrics["map@all:expected:relevant"]


@pytest.mark.parametrize("last", [3, 14, 26])
def test_a_broken_off_tuning_goes_on(tuned, folder, monkeypatch, last):
    assert tuned("--out", "whole").code == 0
    shutil.rmtree(folder / "cache")
    right, steps = Passes.__call__, []

    def counted(passes, *arguments):
        steps.append(passes)
        if len(steps) == last:
            raise KeyboardInterrupt
        return right(passes, *arguments)

    monkeypatch.setattr(Passes, "__call__", counted)
    assert tuned("--out", "broken").code == 130
    done = {path.name for path in artifacts(folder, "trial")} if (folder / "cache/trial").exists() else set()
    assert len(done) == (last - 1) // 4  # trials have two epochs of two steps each
    times = {name: (folder / "cache/trial" / name / "artifact.json").stat().st_mtime_ns for name in done}
    assert tuned("--out", "broken").code == 0
    assert all((folder / "cache/trial" / name / "artifact.json").stat().st_mtime_ns == at
               for name, at in times.items())  # fmt: skip
    for one, two in zip(loaded(folder / "whole"), loaded(folder / "broken"), strict=True):
        assert scores(one) == scores(two)
        assert one.metrics["map@all:expected:relevant"] == two.metrics["map@all:expected:relevant"]


def test_a_trial_that_diverges_is_the_worst_and_ends_nothing(tuned, folder, monkeypatch):
    original, calls = finetune.train, []

    def diverging(stage, context, chosen, *, judged=False):
        calls.append(stage.kind)
        if len(calls) == 1:
            raise DivergedError("loss term 'center' is nan")
        return original(stage, context, chosen, judged=judged)

    monkeypatch.setattr(trial.finetune, "train", diverging)
    assert tuned().code == 0
    study = studies_of(loaded(folder / "results/tiny")[0])[0]
    assert (study.trials[0].val_map, study.trials[0].diverged) == (0.0, True)
    assert study.winner > 0


def test_a_study_without_an_end_fails_its_cells_with_the_cure(tuned, folder, monkeypatch):
    def diverging(*_, **__):
        raise DivergedError("loss term 'center' is nan")

    monkeypatch.setattr(trial.finetune, "train", diverging)
    assert tuned().code == 1
    failed, skipped = sorted(loaded(folder / "results/tiny"), key=lambda record: record.status)
    assert (failed.status, skipped.status) == ("failed", "skipped")
    assert failed.error.message == "all trials of study00 diverged; lower the bounds of lr in tune.space"


def test_outputs_that_are_not_finite_are_a_training_that_diverged(tiny, monkeypatch):
    from torch import Tensor

    def broken(*_, **__) -> Tensor:
        return Tensor([[float("nan")] * 16])

    monkeypatch.setattr(finetune, "outputs_of", broken)
    edit = ("[csq, dch]", "[{name: csq, params: {select: val, eval_every: 1}}]")
    result = tiny("run", "--only", "method=none", edit=edit)
    assert result.code == 1
    assert "training diverged; lower lr" in result.err


@pytest.mark.parametrize("loss", ["csq", "classifier"])
def test_a_last_step_that_ends_badly_is_a_training_that_diverged(tiny, monkeypatch, loss):
    """Also where codes are code words, which are finite whatever the network says."""
    original = finetune.fit

    def broken(passes, groups, *others, **more):
        fitted = original(passes, groups, *others, **more)
        groups[0]["params"][0].data[0] = float("nan")
        return fitted

    monkeypatch.setattr(finetune, "fit", broken)
    result = tiny("run", "--only", "method=none", edit=("[csq, dch]", f"[{loss}]"))
    assert result.code == 1
    assert "training diverged; lower lr" in result.err


def test_heads_of_frozen_trunks_are_tuned_on_features_of_a_trunk_of_their_own(tuned, folder):
    assert tuned("--set", "axes.loss=[{name: csq, params: {train: head}}]").code == 0
    one, two = loaded(folder / "results/tiny")
    assert one.stages["trunk"].key != two.stages["trunk"].key  # random weights of each seed
    assert len(artifacts(folder, "trunk")) == 2 + 2  # and of each study
    study = studies_of(one)[0]
    assert one.stages["finetune"].summary["tuned"] == study.trials[study.winner].values
    assert min(score for study in scores(one) for score in study) > 0


def test_heads_are_tuned_behind_a_step_1_that_all_studies_share(tiny, folder):
    heads = ("--set", "axes.loss=[{name: csq, params: {train: head}}]", "--only", "method=cukd")
    assert tiny("run", *heads, "--set", "axes.seed=[0, 1]", edit=TUNE).code == 0
    one, two = loaded(folder / "results/tiny")
    assert (one.status, two.status) == ("ok", "ok")
    assert len(artifacts(folder, "trunk")) == 2 + 1


def test_trials_of_few_values_are_one_where_they_are_the_same(tuned, folder):
    """One value is the default, which specs do not spell out: it joined the loss later."""
    space = "tune: {trials: 6, studies: 1, space: {loss: {csq: {targets: [majority, first]}}}}"
    assert tuned(edit=("measure:", f"{space}\nmeasure:")).code == 0
    record = loaded(folder / "results/tiny")[0]
    (study,) = studies_of(record)
    assert [one.values["targets"] for one in study.trials].count("majority") == 3
    assert len(artifacts(folder, "trial")) == 2
    assert record.stages["finetune"].summary["tuned"] == study.trials[study.winner].values


def test_trials_are_shorter_by_the_rule_that_the_grid_states(tuned, folder):
    edit = ("measure:", "tune: {trials: 2, studies: 1, epochs_share: 0.5}\nmeasure:")
    assert tuned(edit=edit).code == 0
    indices = [json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "trial")]
    assert [len(index["summary"]["history"]) for index in indices] == [1, 1]
    record = loaded(folder / "results/tiny")[0]
    assert len(record.stages["finetune"].history) == 2


#: A small network from random weights, for which the rate decides.
DIGITS = """
schema: 1
name: digits
defaults:
  image_size: 16
  finetune: {epochs: 30, batch_size: 64, optimizer: adamw, schedule: cosine, trunk_warmup: 0}
axes:
  dataset: [{name: digits, params: {train_per_class: 20}}]
  student: [{name: timm:test_resnet, params: {weights: none}}]
  method: [none]
  loss: [LOSS]
  bits: [16]
  seed: [0, 1, 2]
measure: {latency: false, search: false, peak_memory: false}
"""


@pytest.mark.slow
def test_a_rate_that_is_badly_chosen_costs_trials_and_not_the_result(bench, folder):
    def accuracy(name, loss, more=""):
        (folder / "grid.yaml").write_text(DIGITS.replace("LOSS", loss) + more)
        assert bench("run", "--grid", "grid.yaml", "--out", name).code == 0
        return [one.metrics["map@all:expected:relevant"].value for one in loaded(folder / name)]

    well = accuracy("well", "{name: csq, params: {lr: 3.0e-3}}")
    badly = accuracy("badly", "{name: csq, params: {lr: 0.3}}")
    found = accuracy("tuned", "csq", "tune: {trials: 16, studies: 1}\n")
    assert max(badly) < 0.5
    assert abs(sum(found) - sum(well)) / 3 < 0.05
