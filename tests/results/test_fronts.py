import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results.folder import Results
from bench.results.fronts import differences, front_of
from bench.results.names import Configuration
from bench.results.records import Measured
from bench.results.summary import Estimate, Group, Row, summarise


def metric(value, higher_is_better, **detail):
    return Measured(value=value, unit="", higher_is_better=higher_is_better, noise="seeded", detail=detail)


def row(name, accuracy, cost, half=None, n=3, role="distilled", method="cukd", up=(False, True)):
    interval = None if half is None else (accuracy - half, accuracy + half)
    return Row(
        configuration=Configuration("digits", name, 16, "csq", method),
        role=role,
        records=[],
        estimates={"macs": Estimate(cost, None, n), "map@all": Estimate(accuracy, interval, n)},
        metrics={"macs": metric(cost, up[0]), "map@all": metric(accuracy, up[1])},
    )


def group_of(rows, **protocol):
    return Group("digits", protocol, "machine", "digits", rows)


def front(rows, within=0.02, **protocol):
    return front_of(group_of(rows, **protocol), "map", "macs", within)


def standings(rows, **protocol):
    one = front(rows, **protocol)
    return {
        row.configuration.student: standing for row, standing in zip(one.rows, one.standings, strict=True)
    }


eighths = st.integers(0, 8).map(lambda number: number / 8)
drawn = st.lists(
    st.tuples(
        eighths,
        eighths,
        st.sampled_from([None, 0.0, 0.1, 0.2]),
        st.sampled_from([1, 3]),
        st.sampled_from(["teacher", "undistilled", "distilled"]),
        st.sampled_from(["cukd", "rkd"]),
    ),
    min_size=1,
    max_size=8,
)
directions = st.tuples(st.booleans(), st.booleans())


def rows_of(points, up):
    return [row(f"s{i}", *point, up=up) for i, point in enumerate(points)]


def expected_standing(one, rows, up):
    """The definitions, one by one."""

    def gain(row, name, higher):
        return row.estimates[name].value * (1 if higher else -1)

    def at_least(a, b):
        return gain(a, "macs", up[0]) >= gain(b, "macs", up[0])

    def dominated(a):
        return any(
            at_least(b, a)
            and gain(b, "map@all", up[1]) >= gain(a, "map@all", up[1])
            and (gain(b, "macs", up[0]), gain(b, "map@all", up[1]))
            != (gain(a, "macs", up[0]), gain(a, "map@all", up[1]))
            for b in rows
        )

    def clear(a, b):
        high, low = a.estimates["map@all"], b.estimates["map@all"]
        if high.interval is None or low.interval is None or (high.n == 1) != (low.n == 1):
            return False
        return high.interval[0] > low.interval[1] if up[1] else high.interval[1] < low.interval[0]

    if not dominated(one):
        return "front"
    on_front = [other for other in rows if not dominated(other)]
    return "behind" if any(at_least(other, one) and clear(other, one) for other in on_front) else "close"


@given(drawn, directions)
def test_standings_are_as_defined(points, up):
    rows = rows_of(points, up)
    assert standings(rows) == {one.configuration.student: expected_standing(one, rows, up) for one in rows}


@given(drawn, directions, st.randoms())
def test_order_of_the_rows_changes_nothing(points, up, random):
    rows = rows_of(points, up)
    shuffled = random.sample(rows, len(rows))
    one, other = front(rows), front(shuffled)
    assert [id(row) for row in one.rows] == [id(row) for row in other.rows]
    assert one.standings == other.standings
    assert one.recommended is other.recommended
    assert one.by_method == pytest.approx(other.by_method)


@given(drawn, directions)
def test_a_row_that_is_worse_in_both_changes_no_other(points, up):
    rows = rows_of(points, up)
    worst = [
        (min if higher else max)(one.estimates[name].value for one in rows)
        for name, higher in zip(("macs", "map@all"), up, strict=True)
    ]
    added = row("added", worst[1], worst[0], up=up)
    before, after = standings(rows), standings([*rows, added])
    del after["added"]
    assert after == before
    assert front([*rows, added]).hypervolume == pytest.approx(front(rows).hypervolume)


@given(drawn, directions)
def test_no_method_covers_more_than_all(points, up):
    one = front(rows_of(points, up))
    if one.hypervolume is None:
        assert one.by_method == {}
    else:
        assert all(share <= one.hypervolume + 1e-12 for share in one.by_method.values())


@given(drawn, directions, st.sampled_from([0.0, 0.125, 0.25]))
def test_the_recommended_student_is_the_cheapest_that_is_accurate_enough(points, up, within):
    rows = rows_of(points, up)
    students = [one for one in rows if one.role != "teacher"]
    chosen = front(rows, within).recommended
    if not students:
        assert chosen is None
        return
    sign = (1 if up[0] else -1), (1 if up[1] else -1)
    best = max(sign[1] * one.estimates["map@all"].value for one in students)
    enough = [one for one in students if sign[1] * one.estimates["map@all"].value >= best - within]
    cheapest = max(sign[0] * one.estimates["macs"].value for one in enough)
    ties = [one for one in enough if sign[0] * one.estimates["macs"].value == cheapest]
    assert chosen in ties
    assert sign[1] * chosen.estimates["map@all"].value == max(
        sign[1] * one.estimates["map@all"].value for one in ties
    )


def test_binary_fractions_do_not_decide():
    chosen = front([row("big", 0.65, 2.0), row("small", 0.63, 1.0)], within=0.02).recommended
    assert chosen.configuration.student == "small"


def test_floats_are_recommended_where_there_are_no_codes():
    floats = replace(row("floats", 0.9, 0.5), binary=False)
    assert front([floats, row("codes", 0.6, 2.0)]).recommended.configuration.student == "codes"
    assert front([floats, row("codes", 0.6, 2.0)]).best_student.configuration.student == "codes"
    assert front([floats]).recommended.configuration.student == "floats"
    assert front([floats, row("t", 0.6, 2.0, role="teacher")]).recommended.configuration.student == "floats"
    warned = replace(row("codes", 0.6, 2.0), warned=True)
    assert front([floats, warned]).recommended.configuration.student == "floats"


def test_intervals_tell_close_from_behind():
    rows = [
        row("front", 0.80, 1.0, 0.01),
        row("close", 0.785, 2.0, 0.01),
        row("behind", 0.77, 2.0, 0.01),
        row("one seed", 0.50, 2.0, 0.01, n=1),
        row("no interval", 0.50, 2.0),
    ]
    assert standings(rows) == {
        "front": "front",
        "close": "close",
        "behind": "behind",
        "one seed": "close",
        "no interval": "close",
    }


def test_a_dearer_row_on_the_front_says_nothing_about_cheaper_ones():
    rows = [row("dear", 0.9, 3.0, 0.01), row("cheap", 0.8, 1.0, 0.05), row("middle", 0.75, 2.0, 0.01)]
    assert standings(rows) == {"dear": "front", "cheap": "front", "middle": "close"}


def test_methods_share_one_rectangle():
    one = front(
        [
            row("a", 0.5, 1.0, method="cukd"),
            row("b", 0.8, 2.0, method="none", role="undistilled"),
            row("t", 0.9, 4.0, method="none", role="teacher"),
        ]
    )
    # The rectangle ends at 1.1 times the largest cost, so that the dearest row covers something.
    shares = {"cukd": 3.4 * 0.5, "none": 2.4 * 0.8, "teacher": 0.4 * 0.9}
    assert one.by_method == pytest.approx({method: share / 4.4 for method, share in shares.items()})
    assert one.hypervolume == pytest.approx((1 * 0.5 + 2 * 0.8 + 0.4 * 0.9) / 4.4)


def test_costs_of_rows_without_the_accuracy_bound_the_rectangle():
    dear = row("dear", 0.5, 10.0)
    del dear.estimates["map@all"]
    one = front([row("a", 1.0, 5.0), dear])
    assert one.hypervolume == pytest.approx(6 / 11)
    assert len(one.rows) == 1


def test_limited_groups_are_not_ranked():
    one = front([row("a", 0.5, 1.0), row("b", 0.4, 2.0)], limit=10)
    assert one.standings == ["behind", "behind"]
    assert (one.hypervolume, one.by_method, one.recommended) == (None, {}, None)


def test_accuracies_outside_the_rectangle_have_a_front_but_no_hypervolume():
    one = front([row("a", 50.0, 1.0), row("b", 40.0, 2.0)])
    assert one.standings == ["front", "close"]
    assert (one.hypervolume, one.by_method) == (None, {})


def test_no_front_without_both_metrics():
    assert front_of(group_of([row("a", 0.5, 1.0)]), "map", "energy_j", 0.02) is None


# -- What is not ranked together -----------------------------------------------------------------


def differences_of(records):
    return differences(summarise(Results(None, "grid", [], records, [])).groups)


def test_one_group_needs_no_words(make_record):
    assert differences_of([make_record(bits=16), make_record(bits=32)]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"environment": {"threads": 2}}, "threads 2 against 8"),
        ({"environment": {"precision": "bf16"}}, "precision bf16 against fp32"),
        ({"environment": {"cpu": "Another CPU"}}, "cpu Another CPU against Example CPU 16-Core"),
        ({"environment": {"device": "cuda", "gpu": "G"}}, "gpu none against G; device cpu against cuda"),
        ({"protocol": {"k": 1000}}, "k 1000 against all"),
        ({"protocol": {"limit": 50}}, "limit none against 50"),
        ({"params": {"dataset": {"split_seed": 1}}}, "dataset.split_seed 0 against 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_fact_that_sets_groups_apart_is_named(make_record, change, words):
    (sentence,) = differences_of([make_record(), make_record(**change)])
    assert sentence.startswith("fashion_mnist: 2 groups, not ranked together: ")
    facts = sentence.removesuffix(".").partition("together: ")[2].split("; ")
    named = {fact.split()[0]: set(fact.partition(" ")[2].split(" against ")) for fact in facts}
    assert named == {
        fact.split()[0]: set(fact.partition(" ")[2].split(" against ")) for fact in words.split("; ")
    }


def test_several_data_sets(make_record):
    records = [make_record(dataset=name) for name in ("digits", "fashion_mnist")]
    more = [make_record(dataset="digits", environment={"threads": threads}) for threads in (2, 4)]
    assert differences_of(records) == ["Data sets are never ranked together: digits, fashion_mnist."]
    sentences = differences_of([*records, *more])
    assert len(sentences) == 2
    counts = ("2", "4", "8")
    assert any(
        f"threads {' against '.join(order)}" in sentences[1] for order in itertools.permutations(counts)
    )


def test_long_values_are_cut(make_record):
    names = ["a" * 100, "b" * 100]
    (sentence,) = differences_of([make_record(protocol={"split": name}) for name in names])
    assert "a" * 47 + "…" in sentence
    assert len(sentence) < 200
