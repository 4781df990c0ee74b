"""Trials that are drawn from what those before them have found: the same again, whatever happens between."""

from __future__ import annotations

import json
import shutil
import signal

import pytest
import torch

from bench.planning import optuna_points
from bench.planning.stage import Stage
from bench.stages import finetune, trial
from bench.stages.context import Context
from bench.storage.store import Store
from bench.training.loop import DivergedError
from bench.training.micro_batches import Passes
from tests.left import artifacts, loaded
from tests.stages.test_tune import ONE, scores, studies_of

pytest.importorskip("optuna")

SPACE = "space: {loss: {csq: {lr: [1.0e-4, 1.0e-1, log], targets: [majority, first]}}}"
TUNE = ("measure:", f"tune: {{trials: 4, studies: 2, sampler: optuna, {SPACE}}}\nmeasure:")


@pytest.fixture
def tuned(tiny, monkeypatch):
    """Run the tiny grid with a tuning of which the last two trials of four are no longer random."""
    monkeypatch.setattr(optuna_points, "RANDOM", 2)

    def run(*arguments):
        return tiny("run", *ONE, "--set", "axes.seed=[0, 1]", *arguments, edit=TUNE)

    return run


class State:
    """Of a training that remembers nothing."""

    def state_dict(self):
        return {}


def values(record):
    return [[one.values for one in study.trials] for study in studies_of(record)]


def test_the_best_of_what_was_drawn_is_trained_anew(tuned, folder):
    assert tuned().code == 0
    for record in loaded(folder / "results/tiny"):
        assert [len(study) for study in scores(record)] == [4, 4]
        drawn = [one for study in values(record) for one in study]
        assert all(1e-4 <= one["lr"] <= 1e-1 and one["targets"] in ("majority", "first") for one in drawn)
        assert len({one["lr"] for one in drawn}) > 4
        study = studies_of(record)[record.cell.seed]
        found = [one.val_map for one in study.trials]
        assert study.expected_best == [max(found[: n + 1]) for n in range(4)]
        assert record.stages["finetune"].summary["tuned"] == study.trials[study.winner].values
        assert record.params["tuning"]["sampler"] == "optuna"


def test_studies_are_those_of_a_loop_of_optuna_with_these_scores(tuned, folder):
    import optuna

    from bench.registry import LOSSES

    assert tuned().code == 0
    record = loaded(folder / "results/tiny")[0]
    space = record.params["tuning"]["space"]
    axes = optuna_points.distributions(space, LOSSES.get("csq").Params)
    for number, study in enumerate(studies_of(record)):
        loop = optuna.create_study(direction="maximize")
        for i, one in enumerate(study.trials):
            loop.sampler = optuna_points.sampler(number, i)
            asked = loop.ask(axes)
            assert optuna_points.values_of(asked.params, space) == one.values
            loop.tell(asked, one.val_map)


def test_later_trials_that_are_lost_are_drawn_and_found_again(tuned, folder):
    assert tuned("--out", "one").code == 0
    kept = 0
    for artifact in artifacts(folder, "trial"):
        if json.loads((artifact / "artifact.json").read_text())["spec"]["search"]["trial"] in (1, 3):
            shutil.rmtree(artifact)
        else:
            kept += 1
    assert kept == 4
    for kind in ("tune", "finetune", "encode", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind)
    assert tuned("--out", "two").code == 0
    for one, two in zip(loaded(folder / "one"), loaded(folder / "two"), strict=True):
        assert (scores(one), values(one)) == (scores(two), values(two))
        assert one.stages["finetune"].summary == two.stages["finetune"].summary


def test_the_same_grid_draws_the_same_values_again(tuned, folder):
    assert tuned("--out", "one").code == 0
    shutil.rmtree(folder / "cache")
    assert tuned("--out", "two").code == 0
    for one, two in zip(loaded(folder / "one"), loaded(folder / "two"), strict=True):
        assert (scores(one), values(one)) == (scores(two), values(two))


@pytest.mark.slow
def test_several_workers_find_what_one_does(tiny, folder):
    """Workers have the module as it is: ten trials are random, and two are not."""
    edit = (TUNE[0], TUNE[1].replace("trials: 4", "trials: 12"))
    for name, jobs in (("one", "1"), ("two", "2")):
        assert (
            tiny("run", *ONE, "--set", "axes.seed=[0, 1]", "--jobs", jobs, "--out", name, edit=edit).code == 0
        )
        shutil.rmtree(folder / "cache")
    for one, two in zip(loaded(folder / "one"), loaded(folder / "two"), strict=True):
        assert (scores(one), values(one)) == (scores(two), values(two))


def test_a_broken_off_study_goes_on_as_if_nothing_had_been(tuned, folder, monkeypatch):
    assert tuned("--out", "whole").code == 0
    shutil.rmtree(folder / "cache")
    right, steps = Passes.__call__, []

    def counted(passes, *arguments):
        steps.append(passes)
        if len(steps) == 4 * 3 + 2:  # in the middle of the fourth trial
            raise KeyboardInterrupt
        return right(passes, *arguments)

    monkeypatch.setattr(Passes, "__call__", counted)
    assert tuned("--out", "broken").code == 130
    assert tuned("--out", "broken").code == 0
    for one, two in zip(loaded(folder / "whole"), loaded(folder / "broken"), strict=True):
        assert (scores(one), values(one)) == (scores(two), values(two))


def test_a_checkpoint_is_of_the_values_that_were_drawn(tmp_path, caplog):
    """Earlier trials may be made anew elsewhere meanwhile, and lead to others."""
    stage = Stage("trial", "one", {})
    context = Context(Store(tmp_path), tmp_path, torch.device("cpu"), {}, "here")
    with context.checkpoints(stage, {"lr": 0.1}).kept(State()) as step_done:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            step_done()
    assert context.checkpoints(stage, {"lr": 0.1}).found(context.device) == {}
    assert context.checkpoints(stage, {"lr": 0.2}).found(context.device) is None
    assert "another choice of what is searched" in caplog.text


def test_a_trial_that_diverges_is_told_as_the_worst(tuned, folder, monkeypatch):
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
    told = [json.loads((one / trial.STUDY).read_text()) for one in artifacts(folder, "trial")]
    assert min(one["score"] for study in told for one in study) == 0.0
    assert sorted(map(len, told)) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_heads_of_frozen_trunks_are_tuned_in_turn(tuned, folder):
    assert tuned("--set", "axes.loss=[{name: csq, params: {train: head}}]").code == 0
    for record in loaded(folder / "results/tiny"):
        study = studies_of(record)[record.cell.seed]
        assert record.stages["finetune"].summary["tuned"] == study.trials[study.winner].values
    assert len(artifacts(folder, "trunk")) == 2 + 2  # of each seed and of each study


def test_values_that_cannot_be_together_fail_with_the_cure(tuned, folder, monkeypatch):
    monkeypatch.setattr(optuna_points, "values_of", lambda point, space: {"lr": -1.0})
    assert tuned().code == 1
    messages = [record.error.message for record in loaded(folder / "results/tiny") if record.error]
    assert any("trial 0 of study 0 cannot be: " in one for one in messages)
    assert all(one.endswith("narrow tune.space.loss.csq") for one in messages if "cannot be" in one)
