"""What distillation adds along a curve, in the numbers of ``compare``."""

import logging

import pytest

from bench.comparison.compare import compare
from bench.comparison.gains import gains
from bench.comparison.statistics import holm
from bench.report.tables.curves import gain_columns, gain_notes
from bench.results.curves import curves_of
from tests.curved import LABELS, PATH, labelled, write_curved


@pytest.fixture
def curve(tmp_path):
    def make(cells, curves=(("map", PATH),), **kwargs):
        results = write_curved(tmp_path / "labels", cells, curves, **{"scored": True, **kwargs})
        (one,), _ = curves_of(results)
        return one, results

    return make


def test_gains_are_those_of_compare_corrected_for_all_that_is_asked(curve):
    one, results = curve(labelled(methods=("none", "cukd", "ranking")))
    found = gains(one, results)
    distilled = [i for i, line in enumerate(one.lines) if line.role == "distilled"]
    assert [one.lines[i].configuration.method for i in distilled] == ["cukd", "ranking"]
    assert list(found) == [(i, value) for i in distilled for value in LABELS]
    p_values = []
    for position, value in found:
        method = one.lines[position].configuration.method
        only = {"dataset": f"fashion_mnist[[]train_per_class={value:g}[]]"}
        (pair,) = compare(
            results,
            results,
            base_only={**only, "method": "none", "student": "cukd_v1"},
            new_only={**only, "method": method},
        ).pairs
        gain = found[position, value]
        assert (gain.difference, gain.interval) == (pair.difference, pair.interval)
        assert gain.over == "3 seeds and 300 queries"
        p_values.append(pair.p)
    assert [gain.p for gain in found.values()] == pytest.approx(holm(p_values))
    assert len(p_values) == 12


def test_a_gain_is_shown_where_it_is_large_and_not_where_there_is_none(curve):
    one, results = curve(labelled())
    found = {value: gain for (_, value), gain in gains(one, results).items()}
    assert found[5].shown
    assert found[5].interval[0] > 0
    assert found[5].difference > 0.1 > abs(found[500].difference)
    assert all(gain.shown == (gain.p < 0.05 and not gain.interval[0] <= 0 <= gain.interval[1])
               for gain in found.values())  # fmt: skip


def test_without_undistilled_students_there_is_nothing_to_add_to(curve):
    one, results = curve(labelled(methods=("cukd",), teacher=False))
    assert gains(one, results) == {}


def test_one_seed_without_scores_has_a_difference_and_no_verdict(curve):
    one, results = curve(labelled((5, 10), seeds=1), scored=False)
    found = gains(one, results)
    assert len(found) == 2
    assert {(gain.p, gain.interval, gain.shown) for gain in found.values()} == {(None, None, False)}


def test_of_limited_runs_nothing_is_said(curve):
    one, results = curve(labelled((5, 10), protocol={"limit": 50}))
    assert one.limited
    assert gains(one, results) == {}


def test_damaged_scores_are_named_and_the_rest_told(curve, caplog):
    one, results = curve(labelled((5, 10)))
    record = one.lines[0].rows[5].records[0]
    (results.folder / "per_query" / f"{results.stems[record.key]}.safetensors").write_bytes(b"no tensors")
    with caplog.at_level(logging.WARNING):
        found = gains(one, results)
    assert [value for _, value in found] == [10]
    assert "no gain is told of fashion_mnist__" in caplog.text


def test_a_gain_beside_which_something_else_differs_is_marked_and_never_shown(curve):
    """Thirty epochs against three are no distillation."""
    cells = [
        (
            record.model_copy(
                update={"params": {**record.params, "loss": {"epochs": 30 if taught and labels == 5 else 3}}}
            ),
            manifest,
        )
        for record, manifest in labelled((5, 10))
        for taught, labels in [(record.cell.method == "cukd", record.params["dataset"]["train_per_class"])]
    ]
    one, results = curve(cells)
    found = {value: gain for (_, value), gain in gains(one, results).items()}
    assert (found[5].shown, found[5].p) == (False, None)
    assert found[5].beside == "parameters differ: loss.epochs 3 -> 30"
    assert (found[10].shown, found[10].beside) == (True, "")
    columns = gain_columns(one, gains(one, results))
    assert next(column for column in columns if column.head == "5").cells[0].endswith("]*")
    notes = gain_notes(one, gains(one, results))
    assert "*: not distillation alone, parameters differ: loss.epochs 3 -> 30." in notes
