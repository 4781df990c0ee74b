"""Names of metrics on one side of seen and unseen classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.results import catalogue, wording
from bench.results.sides import SIDES, apart, with_side
from bench.types import MetricEntry

MAIN = "map@all:expected:relevant"
PLAIN = (MAIN, "map@all:index:hits", "map@all:best:relevant", "precision_at_k@10", "map_hamming2:best")
NAMES = [with_side(name, side) for side in ("", *SIDES) for name in PLAIN]


@given(st.sampled_from(NAMES))
def test_names_round_trip(name):
    plain, side = apart(name)
    assert with_side(plain, side) == name
    assert "[" not in plain + catalogue.base_name(name)
    assert catalogue.entry(name) == catalogue.entry(plain)
    assert wording.ranking_rule(name) == wording.ranking_rule(plain)
    assert catalogue.full_name(name, reversed(NAMES)) == name


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("short", ["map", "map@all", "map@all:expected"])
def test_short_names_find_the_side_that_they_name(short, side):
    assert catalogue.full_name(f"{short}[{side}]", NAMES) == f"{MAIN}[{side}]"
    assert catalogue.full_name(short, NAMES) == MAIN
    assert catalogue.full_name(short, [name for name in NAMES if apart(name)[1]]) is None
    assert catalogue.full_name(f"{short}[unsene]", NAMES) is None


def test_titles_and_definitions_say_the_side():
    assert catalogue.title(f"{MAIN}[unseen]") == "mAP@all, unseen classes"
    assert catalogue.title("map_hamming2:best[seen]") == "mAP within radius 2 (best), seen classes"
    assert wording.title_beside(f"{MAIN}[unseen]", MAIN) == "mAP@all, unseen classes"
    assert "(best ties)" in wording.title_beside("map@all:best:relevant[unseen]", MAIN)
    for words in (wording.definition, wording.short_definition):
        assert "queries of classes kept from training in a database of these alone" in words(
            f"{MAIN}[unseen]"
        )
        assert "queries of" not in words(MAIN)
    assert wording.definition("precision_at_k@10[seen]").startswith("precision@10, seen classes: queries")


def test_no_metric_may_have_a_side_of_its_own():
    with pytest.raises(UsageError, match="write it without @, : and \\["):
        catalogue.learn([MetricEntry("mine[unseen]", "mine", "", "accuracy", "seeded")], "me")
