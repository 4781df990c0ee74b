"""Costs that changed, and configurations that enter and leave the front."""

from __future__ import annotations

import re

import pytest

from bench.comparison import compare_text
from bench.comparison.compare import compare
from bench.errors import UsageError
from tests.recorded import make_record
from tests.scored import MAP, grid


def with_cost(cells, name, value):
    found = []
    for record, scores in cells:
        metric = record.metrics[name].model_copy(update={"value": value(record)})
        found.append((record.model_copy(update={"metrics": {**record.metrics, name: metric}}), scores))
    return found


def test_changed_exact_costs_are_listed(write):
    base = write("old", grid())
    new = write("new", with_cost(grid(), "params", lambda record: 3e6 + record.cell.bits))
    found = compare(base, new)
    assert {cost.metric for one in found.pairs for cost in one.costs} == {"params"}
    text = compare_text.text(found)
    assert "- parameters: 3,338,784 -> 3,000,016 parameters (-10.15%): " in text


def test_timings_that_differ_are_no_changed_costs(write):
    new = write("new", with_cost(grid(), "latency_ms@1", lambda _: 99.0))
    found = compare(write("old", grid()), new, cost="latency_ms")
    assert [one.costs for one in found.pairs] == [[]] * 4
    (front,) = found.fronts
    assert front.cost == "latency_ms@1"


def test_timings_of_two_machines_make_no_front(write):
    other = grid(environment={"fingerprint": "f" * 12})
    found = compare(write("old", grid()), write("new", other), cost="latency_ms")
    assert found.fronts == []
    assert "No front: latency_ms was not measured on both sides" in compare_text.text(found)
    assert compare(write("old", grid()), write("new", other)).fronts


def test_configurations_enter_and_leave_the_front(write):
    cheap = {16: 1e6, 32: 2e6}
    base = with_cost(grid({("csq", 16): 0.05, ("csq", 32): 0.1}), "macs", lambda r: cheap[r.cell.bits])
    new = with_cost(grid({("dch", 16): 0.1, ("csq", 32): 0.1}), "macs", lambda r: cheap[r.cell.bits])
    teacher = (make_record("efficientnet_lite0", "none", "csq", 64), None)
    found = compare(write("old", [*base, teacher]), write("new", new))
    (front,) = found.fronts
    assert [str(name) for name in front.base] == [
        "cukd_v1 · cukd · csq · 16 bit",
        "cukd_v1 · cukd · csq · 32 bit",
    ]
    assert [str(name) for name in front.entered] == ["cukd_v1 · cukd · dch · 16 bit"]
    assert [str(name) for name in front.left] == ["cukd_v1 · cukd · csq · 16 bit"]
    largest = teacher[0].metrics["macs"].value
    points = {one.name.loss + str(one.name.bits): one for one in found.pairs}
    last = 1.1 * largest
    expected = [
        ((2e6 - 1e6) * getattr(points[low], side) + (last - 2e6) * getattr(points["csq32"], side)) / last
        for low, side in (("csq16", "base"), ("dch16", "new"))
    ]
    assert front.hypervolume == pytest.approx(expected)
    text = compare_text.text(found)
    assert f"(share of the rectangle from accuracy 0 to 1 and up to {last / 1e6:.3g} M MACs)" in text
    assert "entered by cukd_v1 · cukd · dch · 16 bit; left by cukd_v1 · cukd · csq · 16 bit" in text


def test_a_front_of_the_same_configurations_is_not_called_as_before_where_it_covers_less(write):
    gains = {(loss, bits): -0.05 for loss in ("csq", "dch") for bits in (16, 32)}
    text = compare_text.text(compare(write("old", grid()), write("new", grid(gains))))
    assert re.search(
        r"by means: the same configurations on both sides; hypervolume 0\.\d+ -> 0\.\d+ \(", text
    )
    same = compare_text.text(compare(write("old", grid()), write("same", grid())))
    assert re.search(r"the same configurations on both sides; hypervolume 0\.\d+ on both sides \(", same)


def test_protocols_have_fronts_of_their_own(write):
    gains = {("csq", 16): 0.01, ("csq", 32): 0.01}
    both = [*grid(gains), *grid(gains, protocol={"k": 1000})]
    found = compare(write("old", both), write("new", both))
    assert len(found.pairs) == 8
    assert [len(front.base) for front in found.fronts] == [2, 2]


def test_who_left_the_front_is_named_by_both_sides(write):
    cells = with_cost(
        [*grid(), *grid({("csq", 16): -0.05}, method="none")], "macs", lambda r: 1e6 * r.cell.bits
    )
    both = write("all", cells)
    (front,) = compare(both, both, base_only={"method": "cukd"}, new_only={"method": "none"}).fronts
    assert {name.method for name in front.base} == {"cukd"}
    assert {name.method for name in front.new} == {"none"}
    (left,) = front.left
    assert str(left) == "cukd_v1 · cukd -> none · csq · 16 bit"


def test_the_dearest_configuration_covers_something(write):
    """With a reference at the largest cost, whatever is cheaper would look better, however bad it is."""
    cheap = with_cost(grid({("csq", 16): -0.4, ("csq", 32): -0.4}), "macs", lambda r: 1e6)
    found = compare(write("old", with_cost(grid(), "macs", lambda r: 2e6)), write("new", cheap))
    before, _ = found.fronts[0].hypervolume
    assert before == pytest.approx(max(one.base for one in found.pairs) * 0.1 / 1.1)


def test_without_macs_accuracies_are_compared_all_the_same(write):
    def without(cells):
        return [(r.model_copy(update={"metrics": {MAP: r.metrics[MAP]}}), scores) for r, scores in cells]

    sides = write("old", without(grid())), write("new", without(grid()))
    assert "No front: macs was not measured" in compare_text.text(compare(*sides))
    other = write("other", without(grid(student="cukd_v2")))
    assert compare(sides[0], other).asked, "as well where the question is asked for the user"
    with pytest.raises(UsageError, match="no record has the metric 'macs'"):
        compare(*sides, cost="macs")


@pytest.mark.parametrize("cost", ["nonsense", "MACs", "map"])
def test_a_cost_that_nothing_has_is_refused(write, cost):
    sides = write("old", grid()), write("new", grid())
    with pytest.raises(UsageError, match="there are: params, macs|give a cost such as macs"):
        compare(*sides, cost=cost)
