"""Numbers, units and rules in words."""

from __future__ import annotations

import pytest

from bench.results import wording
from bench.results.records import Measured


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("macs", [4.1e6, 88.7e6], (1e6, "M")),
        ("macs", [4.1e6, 2e9], (1e9, "G")),
        ("macs", [], (1e6, "M")),
        ("params", [3e9], (1e6, "M")),
        ("latency_ms@64", [3.0], (1.0, "ms")),
        ("macs_mine", [5e6], (1.0, "ms")),  # nobody has said what it is
    ],
)
def test_one_unit_for_a_whole_column(name, values, expected):
    assert wording.unit(name, "ms", values) == expected


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("map@all:expected:relevant", ("expected", "relevant")),
        ("map@5:index:hits", ("index", "hits")),
        ("map@all", None),
        ("map_revisited:medium", None),
    ],
)
def test_the_rule_is_in_the_name(name, rule):
    assert wording.ranking_rule(name) == rule


def test_a_definition_says_cut_ties_and_divisor():
    said = wording.definition("map@5:index:hits")
    assert said.startswith("mAP@5 (map@5:index:hits): mean average precision over the first 5 items, ")
    assert wording.TIES["index"] in said
    assert wording.NORMALIZERS["hits"] in said
    assert wording.definition("a_metric_that_nobody_knows") == ""


def test_doubts_are_told_once_with_a_cure():
    timed = Measured(value=1, unit="ms", higher_is_better=False, noise="timed", detail={"noisy": True})
    counted = timed.model_copy(update={"noise": "exact", "detail": {"fully_counted": False}})
    marks = [wording.doubt(one) for one in (timed, counted, timed)]
    assert marks == [wording.UNSTEADY, wording.PARTIAL, wording.UNSTEADY]
    assert [line[0] for line in wording.doubts(marks)] == [wording.UNSTEADY, wording.PARTIAL]
    assert "take them again on a quiet machine" in wording.doubts(marks)[0]
    assert "the front may change" in wording.doubts(marks, on_front=True)[0]


@pytest.mark.parametrize(("text", "line"), [("a\n b\tc", "a b c"), ("\x00x\u2028y", "x y"), (7, "7")])
def test_anything_fits_on_one_line(text, line):
    assert wording.one_line(text) == line
