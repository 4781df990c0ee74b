"""Curves of tunings: expected bests as they are in the records, means over studies, at powers of two."""

from __future__ import annotations

import math

import pytest

from bench.results.folder import load_results
from bench.results.summary import summarise
from bench.results.tuning import expected_best
from bench.results.tuning_curves import ACCURACY, tuning_curves
from tests.recorded import make_record
from tests.results.test_tuning import tuned

SCORES = ((0.1, 0.4, 0.2, 0.3, 0.6, 0.5), (0.2, 0.3, 0.1, 0.2, 0.7, 0.1), (0.3, 0.3, 0.3, 0.3, 0.3, 0.3))


def curves_of(write_results, some):
    return tuning_curves(summarise(load_results(write_results(some))))


def test_points_are_means_over_studies(write_results):
    some = [tuned(loss, SCORES, seed) for loss in ("csq", "dch") for seed in range(3)]
    (curve,) = curves_of(write_results, some)
    assert [line.configuration.loss for line in curve.lines] == ["csq", "dch"]
    assert curve.values == [1, 2, 4, 6]
    point = curve.lines[0].estimates(ACCURACY)[4]
    assert point.n == 3
    assert point.value == pytest.approx(math.fsum(expected_best(one)[3] for one in SCORES) / 3)
    assert point.interval[0] < point.value < point.interval[1]
    assert "over studies (Student's t, n = 3)" in curve.spread
    assert curve.notes[1] == "A trial took 2 s (csq), 2 s (dch) of training, median."


def test_where_nothing_was_tuned_there_is_none(write_results):
    assert curves_of(write_results, [make_record()]) == []
    assert len(curves_of(write_results, [make_record(), tuned(scores=SCORES)])[0].lines) == 1


def test_notes_say_what_points_are_by_who_drew_the_trials(write_results):
    plain, drawn = tuned(scores=SCORES), tuned("dch", SCORES, sampler="optuna")
    for some, notes in (([plain], (True, False)), ([drawn], (False, True)), ([plain, drawn], (True, True))):
        said = " ".join(curves_of(write_results, some)[0].notes)
        assert ("drawn with replacement" in said, "optuna draws each trial" in said) == notes
        assert ("do not compare" in said) == all(notes)
