"""The gate: red for what got worse, green for chance, and silent about nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bench.comparison import check_text
from bench.comparison.check import check
from bench.comparison.verdicts import Limits
from tests.comparison.gated import MAP, cell, failed, results, runs


def test_the_same_numbers_are_fine(baseline):
    same = check(baseline, results(baseline.records))
    assert same.exit_code == 0
    assert {finding.verdict for finding in same.findings} == {"equal"}
    assert check_text.answer(same) == "Fine: all 12 numbers of new against base are as they were."


def test_unchanged_code_that_rounds_differently_stays_green(baseline):
    rng = np.random.default_rng(1)
    red = [check(baseline, results(runs(rng, 3))).exit_code == 3 for _ in range(100)]
    assert sum(red) <= 1


def test_a_fall_of_two_points_is_caught_and_named(baseline):
    fallen = [record for record in baseline.records if record.cell.seed < 3]
    worse = [
        cell(
            record.metrics[MAP].value - 0.02 * (record.cell.loss == "dch"), record.cell.seed, record.cell.loss
        )
        for record in fallen
    ]
    found = check(baseline, results(worse))
    assert found.exit_code == 3
    (red,) = found.of("regression")
    assert (red.metric, red.configuration) == (MAP, "cukd_v1 · cukd · dch · 32 bit")
    assert 0.012 < red.allowed < 0.02
    assert check_text.answer(found).startswith(f"Worse: cukd_v1 · cukd · dch · 32 bit: {MAP} fell from 0.9")


def test_a_true_fall_of_two_points_is_mostly_found_whatever_the_noise(baseline):
    rng = np.random.default_rng(2)
    found = [check(baseline, results(runs(rng, 3, shift=-0.02))).exit_code == 3 for _ in range(60)]
    assert np.mean(found) > 0.7


def test_a_rise_is_no_fault_but_is_told(baseline):
    better = results(runs(np.random.default_rng(3), 3, shift=0.025))
    found = check(baseline, better)
    assert found.exit_code == 0
    assert ", 1 better than chance explains; a fall of 0.0" in check_text.answer(found)


# -- Timings -------------------------------------------------------------------------------------


# -- What is not there ---------------------------------------------------------------------------


def test_a_cell_that_fails_now_is_red(baseline):
    new = [record for record in baseline.records if record.cell.loss != "dch"] + [
        failed("dch", s) for s in range(3)
    ]
    found = check(baseline, results(new), Limits(allow_missing=True))
    assert found.exit_code == 3
    assert "failed in finetune" in found.of("missing")[0].reason


def test_an_absent_configuration_is_red_unless_allowed(baseline):
    new = results([record for record in baseline.records if record.cell.loss != "dch"])
    assert check(baseline, new).exit_code == 3
    assert check(baseline, new, Limits(allow_missing=True)).exit_code == 0


def test_fewer_seeds_than_the_baseline_are_enough(baseline):
    new = results([record for record in baseline.records if record.cell.seed < 3])
    assert check(baseline, new).exit_code == 0


@pytest.mark.parametrize(
    "other",
    [
        [cell(0.9, dataset="another")],
        [cell(0.9, protocol={"k": 1000})],
        [cell(0.9, protocol={"limit": 50})],
        [],
    ],
)
def test_nothing_in_common_is_neither_green_nor_red(baseline, other):
    found = check(baseline, results(other))
    assert found.exit_code == 4
    assert check_text.answer(found).startswith("Nothing to compare")


def test_a_changed_default_is_judged_and_told(baseline):
    new = [
        cell(record.metrics[MAP].value, record.cell.seed, record.cell.loss, params={"loss": {"epochs": 31}})
        for record in baseline.records
    ]
    found = check(baseline, results(new))
    assert found.exit_code == 0
    text = check_text.text(found)
    assert "parameters differ: loss.epochs 30 -> 31" in text
    assert "parameters differ, see below" in check_text.answer(found)
    assert "as they were" not in text


# -- For people, pull requests and servers -------------------------------------------------------
