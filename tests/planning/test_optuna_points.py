"""Points that Optuna draws: those of its own loop, whoever asks and when, and inside the space."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from bench.planning.optuna_points import distributions, next_point, sampler, values_of
from bench.types import HashingParameters

optuna = pytest.importorskip("optuna")


class Params(HashingParameters):
    number: int = 3
    weight: float = 1.0
    kind: str = "a"
    several: list[int] = Field([1])


SPACE = {
    "lr": [1e-5, 1e-2, "log"],
    "weight": [-1.0, 1.0, "linear"],
    "number": [1, 64, "log"],
    "kind": ["a", "b", "c", "d"],
    "several": [[1], [1, 2]],
}


def score(point):
    return round(1 / (1 + abs(point["weight"] - 0.5)) + (point["kind"] == 1) - point["lr"], 4)


def study_of(space, trials, study=0, told=score):
    """A study in which nothing is remembered from one trial to the next but what a file would hold."""
    earlier = []
    for _ in range(trials):
        point = next_point(space, Params, study, json.loads(json.dumps(earlier)))
        earlier.append({"point": point, "score": told(point)})
    return earlier


def test_a_study_that_is_told_anew_for_each_trial_is_one_loop_of_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    axes, loop = distributions(SPACE, Params), optuna.create_study(direction="maximize")
    for number in range(14):  # random ones, and some that are not
        loop.sampler = sampler(3, number)
        trial = loop.ask(axes)
        loop.tell(trial, score(trial.params))
    assert [one["point"] for one in study_of(SPACE, 14, 3)] == [trial.params for trial in loop.trials]


def test_a_score_changes_what_is_drawn_after_the_random_trials():
    one, other = (study_of(SPACE, 12, told=told) for told in (score, lambda point: -score(point)))
    assert [told["point"] for told in one[:10]] == [told["point"] for told in other[:10]]
    assert one[11]["point"] != other[11]["point"]


def test_studies_and_trials_have_points_of_their_own():
    found = [repr(one["point"]) for study in range(3) for one in study_of(SPACE, 6, study)]
    assert len(set(found)) == len(found)


def test_the_order_in_which_a_grid_writes_its_space_changes_no_point():
    backwards = dict(reversed(SPACE.items()))
    assert study_of(backwards, 12) == study_of(SPACE, 12)


def test_trials_come_closer_to_what_is_best():
    space, best = {"lr": SPACE["lr"], "weight": SPACE["weight"]}, 0.5
    found = study_of(space, 30, told=lambda point: -abs(point["weight"] - best))
    away = [abs(one["point"]["weight"] - best) for one in found]
    assert sum(away[20:]) < sum(away[:10]) / 2


@settings(max_examples=20)
@given(st.integers(0, 31), st.lists(st.floats(0, 1), min_size=11, max_size=11))
def test_values_lie_in_the_space(study, scores):
    left = iter(scores)
    for one in study_of(SPACE, 11, study, told=lambda point: next(left)):
        values = values_of(one["point"], SPACE)
        assert values.keys() == SPACE.keys()
        params = Params.of(values)
        assert 1e-5 <= params.lr <= 1e-2
        assert -1 <= params.weight <= 1
        assert type(values["number"]) is int
        assert 1 <= params.number <= 64
        assert values["kind"] in SPACE["kind"]
        assert values["several"] in SPACE["several"]
        assert float(f"{values['lr']:.3g}") == values["lr"]


def test_few_values_that_all_score_the_same_can_be_drawn_again_and_again():
    found = study_of({"kind": ["a", "b"]}, 13, told=lambda point: 0.0)
    assert {one["point"]["kind"] for one in found} <= {0, 1}
