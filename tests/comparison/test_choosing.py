"""Parts of results set against each other."""

from __future__ import annotations

import pytest

from bench.comparison.choosing import filters, require_metric
from bench.comparison.pairing import pair
from bench.errors import UsageError
from tests.comparison.paired import names, results, seeds
from tests.recorded import make_record


def test_students_pair_with_their_plain_counterparts(run_records_everywhere):
    both = results(run_records_everywhere)
    found = pair(both, both, {"method": "none"}, {"method": "cukd"})
    assert names(one.name for one in found.pairs) == [
        "cukd_v1 · cukd · csq · 16 bit",
        "cukd_v1 · cukd · dch · 16 bit",
        "cukd_v1 · cukd · csq · 32 bit",
        "cukd_v1 · cukd · dch · 32 bit",
    ]
    assert {record.cell.method for one in found.pairs for record in one.base} == {"none"}
    assert all(one.seeds == [0, 1, 2] and one.notes == [] for one in found.pairs)
    assert [(str(gone.name), gone.reason) for gone in found.gone] == [
        ("efficientnet_lite0 · none · csq · 32 bit", "no counterpart among the chosen cells")
    ]


@pytest.mark.parametrize(
    ("base_only", "new_only", "count"),
    [
        ({"loss": "csq"}, {"loss": "dch"}, 4),
        ({"bits": "16"}, {"bits": "32"}, 4),
        ({"method": "cukd", "bits": "16"}, {"method": "cukd", "bits": "32"}, 2),
        ({"student": "efficientnet*", "method": "none"}, {"student": "cukd_v1", "method": "cukd"}, 1),
        ({"teacher": "efficientnet_lite0"}, {"teacher": "efficientnet_lite0"}, 4),
        ({"loss": "csq,dch", "method": "none"}, {"loss": "csq,dch", "method": "cukd"}, 4),
        ({"dataset": "fashion_mnist"}, {}, 9),
    ],
)
def test_any_part_can_be_set_against_another(run_records_everywhere, base_only, new_only, count):
    both = results(run_records_everywhere)
    assert len(pair(both, both, base_only, new_only).pairs) == count


def test_cells_that_differ_in_what_is_left_out_are_not_mixed_up(run_records_everywhere):
    both = results(run_records_everywhere)
    found = pair(both, both, {}, {"method": "cukd"})
    assert found.pairs == []
    why = "not clear which belong together: 2 against 1"
    assert {reason for _, reason in found.refused} == {why}
    assert len(found.refused) == 12


def test_variants_are_chosen_by_the_names_of_reports():
    both = results([make_record(params={"method": {"views": views}}) for views in (2, 4)])
    (one,) = pair(both, both, {"method": "cukd[views=2]"}, {"method": "cukd[views=4]"}).pairs
    assert one.base[0].params["method"] == {"views": 2}
    assert one.new[0].params["method"] == {"views": 4}
    assert one.notes == []


def _lengths():
    """Of both losses: two networks of one length each, and one of both lengths."""
    alone = [make_record(loss=loss, bits=bits) for loss in ("csq", "dch") for bits in (16, 32)]
    shared = {"nested": [16, 32]}
    return [*alone, *(make_record(loss=one.cell.loss, bits=one.cell.bits, params=shared) for one in alone)]


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_name_that_others_continue_is_itself_against_one_of_them(way):
    """``csq`` is the name of a row and of all rows of that loss, and no row is compared with itself."""
    both, sides = results(_lengths()), [{"loss": "csq"}, {"loss": "csq[nested=16+32]"}]
    found = pair(both, both, *(sides if way == "there" else reversed(sides)))
    assert len(found.pairs) == 2
    for one in found.pairs:
        plain, nested = (one.base, one.new) if way == "there" else (one.new, one.base)
        assert "nested" not in plain[0].params
        assert nested[0].params["nested"] == [16, 32]
        assert "nested.0" in one.notes[0]
    assert (found.gone, found.added, found.refused) == ([], [], [])


def test_names_of_which_neither_continues_the_other_mean_all_of_their_rows():
    both = results(_lengths())
    found = pair(both, both, {"loss": "csq"}, {"loss": "dch"})
    assert [("nested" in one.base[0].params, "nested" in one.new[0].params) for one in found.pairs] == [
        (False, False),
        (True, True),
    ] * 2
    # Part of each is in the other.
    assert pair(both, both, {"loss": "csq,dch?nested*"}, {"loss": "dch"}).refused


def test_one_seed_against_another():
    both = results(seeds(3))
    (one,) = pair(both, both, {"seed": "0"}, {"seed": "2"}).pairs
    assert one.notes == ["seed 0 against seed 2"]
    (one,) = pair(both, both, {"seed": "1"}).pairs
    assert one.seeds == [1]
    with pytest.raises(UsageError, match="one seed on each side"):
        pair(both, both, {"seed": "0,1"}, {"seed": "2"})


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"methd": "none"}, "cells have no 'methd'; did you mean 'method'? choose by one of: dataset, "),
        ({"x": "none"}, "cells have no 'x'; choose by one of: dataset, "),
        ({"method": "cukdd"}, "has method 'cukdd'; did you mean 'cukd'? there are: none, cukd"),
        ({"method": "none,bits=16"}, "asks for two things; give the option once more for bits=16"),
        ({"bits": "8"}, "has bits '8'; there are: 16, 32, 64"),
        ({"method": "none", "teacher": "efficientnet_lite0"}, "has method=none and teacher="),
    ],
)
def test_filters_that_match_nothing_are_refused(run_records_everywhere, only, message):
    both = results(run_records_everywhere)
    for one, other in ((only, {}), ({}, only)):
        with pytest.raises(UsageError) as caught:
            pair(both, both, one, other)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_filters_are_read_from_texts():
    assert filters(["method=cukd[views=2]", "bits=16"]) == {"method": "cukd[views=2]", "bits": "16"}
    for wrong in (["method"], ["method="], ["bits=16", "bits=32"]):
        with pytest.raises(UsageError):
            filters(wrong)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("map[unsen]", "map[unseen]"),
        ("map_rescored@10[unseen]", "map_rescored@100[unseen]"),
        ("map@all:expected:relevnt", "map@all:expected:relevant"),
        ("mpa", "map"),
    ],
)
def test_the_name_of_a_metric_is_corrected_before_short_names_are_listed(asked, meant):
    record = make_record()
    score = record.metrics["map@all:expected:relevant"]
    more = {name: score for name in record.metrics if name.startswith("map")} | {"map_rescored@100": score}
    sides = {f"{name}[{side}]": score for name in more for side in ("seen", "unseen")}
    record = record.model_copy(update={"metrics": record.metrics | more | sides})
    with pytest.raises(UsageError) as refused:
        require_metric(asked, [record], accuracy=True)
    names = "map@all, map_rescored@100" if "@" in asked else "map, map_rescored"
    assert str(refused.value) == (
        f"no record has the metric '{asked}'; did you mean '{meant}'? there are: {names}; many also with "
        "[seen], [unseen]"
    )
