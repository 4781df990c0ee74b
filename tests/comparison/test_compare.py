"""The answer of ``compare``: differences that are there are found, others are not claimed, all is told."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import time

import numpy as np
import pytest
from scipy import stats

from bench.comparison import compare_text
from bench.comparison.compare import compare
from bench.comparison.statistics import holm
from bench.errors import NothingToCompareError, UsageError
from bench.results.records import Failure
from tests.recorded import make_external, make_record
from tests.scored import MAP, QUERIES, anew, grid, paired_difference, scores_of


def test_what_differs_is_found_and_what_does_not_is_not(write):
    gains = {("csq", 16): 0.05, ("dch", 32): -0.05, ("dch", 16): 0.0001}
    found = compare(write("old", grid()), write("new", anew(grid(gains))))
    verdicts = {(one.name.loss, one.name.bits): one.verdict for one in found.pairs}
    assert verdicts == {
        ("csq", 16): "better",
        ("csq", 32): "no difference shown",
        ("dch", 16): "no difference shown",
        ("dch", 32): "worse",
    }
    for one in found.pairs:
        assert (one.seeds, one.queries, one.metric) == (3, QUERIES, MAP)
        assert one.difference == pytest.approx(one.new - one.base)
        assert one.interval[0] <= one.difference <= one.interval[1]


def test_numbers_are_those_of_the_scores(write):
    rows = grid({("csq", 16): 0.01, ("dch", 32): 0.02})
    both = write("old", grid({("csq", 32): 0.003, ("dch", 16): 0.004})), write("new", rows)
    found = compare(*both)
    p_values = []
    for one in found.pairs:
        sides = []
        for results in both:
            mine = [
                r for r in results.records if (r.cell.loss, r.cell.bits) == (one.name.loss, one.name.bits)
            ]
            sides.append(np.stack([results.per_query(r)[MAP].astype(float) for r in mine]))
        expected = paired_difference(sides[1] - sides[0])
        assert (one.p, one.interval) == (pytest.approx(expected.p), pytest.approx(expected.interval))
        assert one.base == pytest.approx(sides[0].mean(), abs=1e-6)
        p_values.append(one.p)
    assert [one.p_adjusted for one in found.pairs] == pytest.approx(holm(p_values).tolist())


def test_one_seed_is_the_paired_t_test(write):
    base, new = scores_of(0.6, 0), scores_of(0.61, 0)
    sides = [write(str(i), [(make_record(), one)]) for i, one in enumerate((base, new))]
    (one,) = compare(*sides).pairs
    assert one.p == pytest.approx(stats.ttest_rel(new, base).pvalue, rel=1e-3)
    assert "One seed: this says something about these trained networks" in compare_text.text(compare(*sides))


def test_without_scores_by_query_seeds_are_compared(write):
    cells = [[(make_record(seed=seed), None) for seed in range(3)] for _ in range(2)]
    cells[1] = [(raised(record, 0.02 + record.cell.seed / 1000), None) for record, _ in cells[1]]
    (one,) = compare(write("old", cells[0]), write("new", cells[1])).pairs
    assert one.queries is None
    assert one.p == pytest.approx(stats.ttest_1samp([0.02, 0.021, 0.022], 0).pvalue, rel=1e-6)
    assert "without scores by query" in compare_text.answer(
        compare(write("old", cells[0]), write("new", cells[1]))
    )


def raised(record, by):
    metric = record.metrics[MAP]
    metric = metric.model_copy(update={"value": metric.value + by})
    return record.model_copy(update={"metrics": {**record.metrics, MAP: metric}})


def test_one_seed_without_scores_by_query_is_not_tested(write):
    sides = write("old", [(make_record(), None)]), write("new", [(raised(make_record(), 0.1), None)])
    (one,) = compare(*sides).pairs
    assert (one.p, one.interval, one.detectable, one.verdict) == (None, None, None, "not tested")
    assert compare_text.answer(compare(*sides)).startswith("Whether B is better than A cannot be told")


@pytest.mark.parametrize("harm", ["fewer", "unscored", "one seed lacks them"])
def test_scores_of_other_queries_are_not_paired(write, harm):
    cells = grid()
    spoilt = [list(cell) for cell in anew(cells)]
    for cell in spoilt[:1] if harm == "one seed lacks them" else spoilt[:3]:
        if harm == "fewer":
            cell[1] = cell[1][:-1]
        elif harm == "unscored":
            cell[1] = np.where(np.arange(QUERIES) == 7, np.nan, cell[1])
        else:
            cell[1] = None
    found = compare(write("old", cells), write("new", spoilt))
    queries = [one.queries for one in found.pairs]
    if harm == "unscored":
        assert queries.count(QUERIES - 1) == 1
        assert "1 queries have no score on one side or both and are left out" in compare_text.text(found)
    else:
        assert queries.count(None) == 1
        assert "1 of them without scores by query" in compare_text.answer(found)


def test_queries_without_an_answer_do_not_count(write):
    blank = np.arange(QUERIES) % 3 == 0
    sides = [
        write(name, [(make_record(seed=s), np.where(blank, np.nan, scores_of(q, s))) for s in range(2)])
        for name, q in (("old", 0.6), ("new", 0.65))
    ]
    (one,) = compare(*sides).pairs
    assert one.queries == 200
    assert json.loads(compare_text.as_json(compare(*sides)))["pairs"][0]["queries"] == 200


def test_a_detectable_difference_shrinks_with_fewer_configurations_to_go(write):
    few = compare(write("old", grid()[:3]), write("new", grid({("csq", 16): 0.001})[:3]))
    many = compare(write("old", grid()), write("new", anew(grid({("csq", 16): 0.001}))))
    assert few.pairs[0].p == many.pairs[0].p
    assert few.pairs[0].detectable < many.pairs[0].detectable


# -- Costs and fronts ------------------------------------------------------------------------------


# -- What is refused -------------------------------------------------------------------------------


def test_nothing_to_compare_has_an_exit_code_of_its_own(write):
    sides = write("old", grid()), write("new", grid(protocol={"k": 1000}))
    with pytest.raises(
        NothingToCompareError, match=r"protocol differs: k all -> 1000 \(and 3 more\)"
    ) as caught:
        compare(*sides)
    assert caught.value.exit_code == 4
    failed = make_record(status="failed", error=Failure(type="E", stage="distill", message="no"))
    with pytest.raises(NothingToCompareError, match="failed in distill: E: no"):
        compare(
            write("old", grid()[3:6]),
            write("new", [(failed.model_copy(update={"cell": c.cell}), None) for c, _ in grid()[3:4]]),
        )


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("mpa", "no record has the metric 'mpa'; did you mean 'map'? there are: map"),
        ("macs", "macs depends on neither seeds nor queries; give an accuracy such as map"),
        ("latency_ms", "latency_ms@1 depends on neither"),
    ],
)
def test_only_accuracies_are_compared(write, metric, message):
    sides = write("old", grid()), write("new", grid())
    with pytest.raises(UsageError) as caught:
        compare(*sides, metric=metric)
    assert message in str(caught.value)


def test_a_metric_of_one_side_is_told(write):
    new = [
        (record.model_copy(update={"metrics": {} if record.cell.bits == 16 else record.metrics}), None)
        for record, _ in grid()
    ]
    found = compare(write("old", grid()), write("new", new))
    assert len(found.pairs) == 2
    assert {reason for _, reason in found.refused} == {"map was not measured on both sides in the same way"}


def test_folders_that_differ_in_one_thing_are_compared_by_it(write):
    base, new = write("old", grid()), write("new", grid({("csq", 16): 0.05}, student="cukd_v2"))
    found = compare(base, new)
    asked = compare(base, new, base_only={"student": "cukd_v1"}, new_only={"student": "cukd_v2"})
    assert dataclasses.replace(found, asked="") == asked
    text = compare_text.text(found)
    options = "--a student=cukd_v1 --b student=cukd_v2"
    assert f"A has student cukd_v1, B has cukd_v2: compared with each other, as {options} would." in text
    assert re.search(r"^cukd_v1 -> cukd_v2 · cukd · csq · 16 bit ", text, re.MULTILINE)


def test_folders_that_differ_in_more_say_in_what_and_how_to_ask(write):
    two = [*grid(student="cukd_v2"), *grid(student="timm:resnet18")]
    with pytest.raises(NothingToCompareError) as caught:
        compare(write("old", grid()), write("new", two))
    assert str(caught.value) == (
        "nothing to compare: A has student cukd_v1, B has cukd_v2, timm:resnet18; say what to compare with "
        "what, for example --a student=cukd_v1 --b student=cukd_v2"
    )
    with pytest.raises(NothingToCompareError, match=r"A has student .*; A has method .* --b method=none$"):
        compare(write("old", grid()), write("both", grid(student="cukd_v2", method="none")))
    with pytest.raises(NothingToCompareError, match="different data sets are never compared"):
        compare(write("old", grid()), write("other", grid(dataset="digits")))


@pytest.mark.parametrize(
    ("before", "after"), [([0.25, 0.75], [0.75, 0.25]), ([0.0, 1.0, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5])]
)
def test_other_scores_of_the_same_mean_are_not_the_same_scores(write, before, after):
    sides = [write(name, [(make_record(), np.array(one))]) for name, one in (("old", before), ("new", after))]
    assert "the same scores" not in compare_text.text(compare(*sides))
    again = write("again", anew([(make_record(), np.array(before))]))
    assert "the same scores" in compare_text.text(compare(sides[0], again))


def test_two_equal_differences_are_no_proof(write):
    """Metrics that count, such as distinct codes, differ by the same number now and then."""
    cells = [(make_record(seed=seed), None) for seed in (0, 1)]
    sides = write("old", cells), write("new", [(raised(record, 0.01), None) for record, _ in cells])
    (one,) = compare(*sides).pairs
    assert (one.verdict, one.p, one.interval) == ("not tested", None, None)


def test_scores_that_one_side_lacks_are_not_the_same_scores(write):
    scores = scores_of(0.6, 0)
    lacking = np.where(np.arange(QUERIES) == 7, np.nan, scores)
    sides = [write(name, [(make_record(), one)]) for name, one in (("old", scores), ("new", lacking))]
    assert "the same scores" not in compare_text.answer(compare(*sides))
    again = write("again", anew([(make_record(), lacking)]))
    assert "the same scores" in compare_text.answer(compare(sides[1], again))


def test_two_seeds_cannot_tell_and_their_interval_stays_within_what_map_can_differ_by(write):
    """Seeds alone, far apart: the t interval would reach from -2 to 2, and B out of its bounds."""
    sides = []
    for name, (first, second) in (("old", (0.63, 0.99)), ("new", (0.85, 0.80))):
        cells = [(make_record(seed=seed), None) for seed in (0, 1)]
        sides.append(
            write(
                name,
                [
                    (raised(r, v - r.metrics[MAP].value), None)
                    for (r, _), v in zip(cells, (first, second), strict=True)
                ],
            )
        )
    found = compare(*sides)
    (one,) = found.pairs
    assert one.interval == (pytest.approx(-0.81), pytest.approx(0.19))
    assert (one.verdict, one.detectable, one.over) == ("cannot tell", None, "seeds")
    text = compare_text.text(found)
    assert "No difference of any size would have been found. Two seeds cannot tell: " in text
    assert "B - A [95 % interval over seeds]" in text


# -- Words -----------------------------------------------------------------------------------------


def test_parts_of_one_run_against_each_other(write):
    cells = [*grid(), *grid({("csq", 16): -0.05}, method="none")]
    cells.append((make_record(loss="csq", bits=64, method="none"), scores_of(0.7, 0)))
    both = write("all", cells)
    found = compare(both, both, base_only={"method": "none"}, new_only={"method": "cukd"})
    assert {(one.base_name.method, one.name.method) for one in found.pairs} == {("none", "cukd")}
    text = compare_text.text(found)
    assert re.search(r"^cukd_v1 · none -> cukd · csq · 16 bit  ", text, re.MULTILINE)
    assert text.startswith("B is better than A in 1 of 4 configurations and worse in none (mAP@all, paired")
    assert re.search(r"^A: .*all \(grid all; method=none\)$", text, re.MULTILINE)
    assert (
        "- only in A (seed 0), no counterpart among the chosen cells: cukd_v1 · none · csq · 64 bit" in text
    )


@pytest.mark.slow
def test_a_thousand_records_on_each_side(write):
    params = [{"loss": {"epochs": i}} for i in range(84)]
    cells = [cell for i, one in enumerate(params) for cell in grid({("csq", 16): i / 1e3}, params=one)]
    sides = (
        write("old", cells),
        write("new", cells[:600] + grid({("dch", 16): 0.01}, params=params[50]) + cells[612:]),
    )
    start = time.perf_counter()
    found = compare(*sides)
    assert len(found.pairs) == 336
    assert compare_text.text(found)
    assert time.perf_counter() - start < 10


def test_many_small_gains_add_up(write):
    """No configuration alone shows what all of them show together."""
    rng = np.random.default_rng(0)
    sides = []
    for gain in (0.0, 0.006):
        cells = []
        for loss, bits, seed in itertools.product(("csq", "dch", "dpn"), (16, 32), range(3)):
            quality = 0.7 + gain + rng.normal(0, 0.005)
            cells.append((make_record(loss=loss, bits=bits, seed=seed), scores_of(quality, seed)))
        sides.append(write(f"gain {gain}", cells))
    found = compare(*sides)
    assert {one.verdict for one in found.pairs} == {"no difference shown"}
    assert found.overall.p < 0.05
    assert found.overall.difference == pytest.approx(np.mean([one.difference for one in found.pairs]))
    assert "On average over these 6 configurations, B - A is +0.0" in compare_text.text(found)


def test_an_average_that_shows_nothing_says_what_would_have_been_seen(write):
    cells = [grid({("csq", 16): gain, ("dch", 32): -gain}) for gain in (0, 0.001)]
    sides = write("old", cells[0]), write("new", cells[1])
    whole = compare(*sides).overall
    assert whole.p >= 0.05
    assert f"p = {whole.p:.2g}; {compare_text.found_from(whole.detectable)}." in compare_text.text(
        compare(*sides)
    )
    found, strict = (compare(*sides, level=level) for level in (0.05, 0.01))
    assert strict.overall.detectable > whole.detectable
    varying = [pair for pair in zip(found.pairs, strict.pairs, strict=True) if not pair[0].alike]
    assert [after.detectable > before.detectable for before, after in varying] == [True, True]


def test_a_verdict_is_that_of_the_level(write):
    sides = write("old", grid()), write("new", anew(grid({("csq", 16): 0.05})))
    (p,) = (one.p_adjusted for one in compare(*sides).pairs if one.verdict == "better")
    assert {one.verdict for one in compare(*sides, level=p / 2).pairs} == {"no difference shown"}


def test_what_records_warn_of_is_told(write):
    some = [
        (record.model_copy(update={"warnings": ["codes\nhave collapsed"] * (record.cell.bits == 16)}), scores)
        for record, scores in grid()
    ]
    found = compare(write("old", grid()), write("new", some))
    assert [one.warnings for one in found.pairs if one.name.bits == 32] == [[], []]
    text = compare_text.text(found)
    assert re.search("^- a record warns: codes have collapsed: .*csq.*, .*dch.*$", text, re.MULTILINE)


def test_configurations_with_other_seeds_have_no_average(write):
    cells = grid()
    assert compare(write("all", cells), write("same", anew(cells))).overall is not None
    assert compare(write("old", cells), write("fewer", anew(cells[1:]))).overall is None


@pytest.mark.parametrize("change", [{"unit": "%"}, {"higher_is_better": False}])
def test_an_accuracy_that_means_something_else_now_is_not_compared(write, change):
    new = write("new", grid())
    records = [
        record.model_copy(
            update={"metrics": {**record.metrics, MAP: record.metrics[MAP].model_copy(update=change)}}
        )
        for record in new.records
    ]
    with pytest.raises(NothingToCompareError, match="is not what it was: (unit|higher is better): "):
        compare(write("old", grid()), dataclasses.replace(new, records=records))


def beside(write, gain, bits=32, **kwargs):
    """A grid of cells, and somebody else's method on the same queries, in folders of their own."""
    mine = [
        (make_external(bits=bits, seed=seed, **kwargs), scores_of(0.632 + gain, seed)) for seed in range(3)
    ]
    return write("run", grid()), write("mine", mine)


def test_what_was_measured_elsewhere_is_set_against_every_cell_of_its_length(write):
    run, mine = beside(write, 0.05)
    for base, new, verdict in ((run, mine, "better"), (mine, run, "worse")):
        found = compare(base, new)
        assert found.elsewhere
        assert {one.verdict for one in found.pairs} == {verdict}
        assert {(one.seeds, one.queries) for one in found.pairs} == {(3, QUERIES)}
        assert len(found.pairs) == 2  # csq and dch of 32 bits
        assert not found.gone
        assert not found.fronts
        assert not any(one.notes for one in found.pairs)
    (only,) = compare(run, mine, base_only={"loss": "csq"}, new_only={"student": "My method"}).pairs
    assert str(only.names) == "cukd_v1 · cukd · csq · 32 bit -> My method · measured elsewhere · 32 bit"


def test_codes_of_another_length_are_compared_if_somebody_says_so(write):
    run, mine = beside(write, 0.0, bits=48)
    message = "A has 16 bits, 32 bits and B 48 bits; .* --a bits=16 --b bits=48$"
    with pytest.raises(NothingToCompareError, match=message):
        compare(run, mine)
    assert len(compare(run, mine, base_only={"bits": "16"}, new_only={"bits": "48"}).pairs) == 2


def test_what_was_measured_under_another_protocol_is_not_compared(write):
    run, mine = beside(write, 0.0, protocol={"k": 5000})
    with pytest.raises(NothingToCompareError, match="protocol differs: k all -> 5000"):
        compare(run, mine)


def test_two_methods_from_elsewhere_are_compared_like_any_others(write):
    sides = [
        write(name, [(make_external(name, seed=seed), scores_of(quality, seed)) for seed in range(3)])
        for name, quality in (("A", 0.6), ("B", 0.65))
    ]
    found = compare(*sides)
    assert not found.elsewhere
    assert found.asked == "A has student A, B has B"
    assert [one.verdict for one in found.pairs] == ["better"]
