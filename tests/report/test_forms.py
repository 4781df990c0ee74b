"""Which form a chart takes, and what its panels hold."""

import itertools
from dataclasses import replace
from operator import eq

from hypothesis import given
from hypothesis import strategies as st

from bench.report.charts.forms import MOST_PANELS, form_of, nearest, panels_of, split, values_of
from bench.report.charts.points import LISTED, Points
from bench.results.folder import load_results
from bench.results.names import Configuration
from bench.results.summary import Row
from tests.report.charts import (
    PUBLISHED,
    all_methods,
    draw,
    fronts_of,
    grid,
    many,
    one_loss,
    tradeoff,
    two_students,
    words,
)


def form(records):
    _, (front,) = fronts_of(records)
    return form_of(Points.of(front))


def test_few_rows_are_a_scatter():
    assert form(two_students()).kind == "scatter"
    for folder in ("quick", "methods"):
        assert form(load_results(PUBLISHED / folder).records).kind == "scatter"


def test_networks_that_share_nothing_are_a_scatter():
    assert form(many()).kind == "scatter"


def test_networks_and_methods_that_are_crossed_are_lines():
    assert (form(tradeoff()).kind, form(tradeoff()).facets) == ("lines", ("loss", "bits"))
    assert (form(one_loss()).kind, form(one_loss()).facets) == ("lines", ())
    published = form(load_results(PUBLISHED / "tradeoff").records)
    assert (published.kind, published.facets) == ("lines", ("loss", "bits"))


def test_more_losses_than_fillings_have_lines_of_their_own():
    losses = ("csq", "dch", "dhd", "dpn", "dpsh", "dtsh", "hashnet")
    methods = {"none": [None], "cukd": ["efficientnet_lite0"]}
    (drawn,) = draw(grid(("cukd_v1",), methods, losses, (16, 32), ["efficientnet_lite0"], seeds=2))
    said = {text.partition(" · 3")[0] for text in words(drawn["svg"])}
    assert {f"{method} · {loss}" for method in ("no distillation", "cukd") for loss in losses} <= said
    assert {"loss csq", "teachers"}.isdisjoint(said)
    assert set(losses) < said  # below the name of the teacher
    (few,) = draw(grid(("cukd_v1",), methods, losses[:6], (16, 32, 64), (), seeds=2))
    assert "loss csq" in words(few["svg"])


def test_many_methods_of_one_or_two_networks_are_dots():
    assert form(all_methods()).kind == "dots"
    assert form(all_methods(("cukd_v1", "timm:test_resnet"))).kind == "dots"


def rows_of(networks, methods, losses, lengths, teachers=()):
    def row(student, role, method, loss, bits):
        return Row(Configuration("a", student, bits, loss, method), role, [], {}, {})

    students = [
        row(f"s{network}", "undistilled" if method == 0 else "distilled", f"m{method}", loss, bits)
        for network, method, loss, bits in itertools.product(range(networks), range(methods), losses, lengths)
    ]
    return [*students, *(row("t (teacher)", "teacher", "none", *one) for one in teachers)]


def some_of(networks, methods, pairs, teachers, others):
    """Rows of students for some pairs of loss and length alone, and of what is no student's for others."""
    found = [row for loss, bits in pairs for row in rows_of(networks, methods, [loss], [bits])]
    found += rows_of(0, 0, [], [], teachers)
    return [*found, *(replace(row, role="external") for row in rows_of(0, 0, [], [], others))]


losses = st.lists(st.sampled_from(["csq", "dch", "dpsh", "dpn", "dtsh"]), min_size=1, unique=True)
lengths = st.lists(st.sampled_from([0, 16, 32, 64]), min_size=1, unique=True)
grids = st.builds(
    rows_of,
    st.integers(1, 8),
    st.integers(1, 4),
    losses,
    lengths,
    st.lists(st.tuples(st.sampled_from(["csq", "other"]), st.sampled_from([32, 128])), max_size=3),
)


pairs = st.lists(
    st.tuples(st.sampled_from(["csq", "dch", "dpn"]), st.sampled_from([16, 32, 64])), max_size=6, unique=True
)
partial = st.builds(some_of, st.integers(1, 8), st.integers(1, 4), pairs.filter(len), pairs, pairs)


@given(grids | partial)
def test_panels_are_few_and_hold_every_row(rows):
    facets = split(rows)
    panels = panels_of(rows, facets)
    assert 1 <= len(panels) <= MOST_PANELS
    assert {i for some in panels.values() for i in some} == set(range(len(rows)))
    students = [i for some in panels.values() for i in some if rows[i].role in {"undistilled", "distilled"}]
    assert len(students) == len(set(students)), "a student stands in one panel"


@given(partial, st.sampled_from([("loss",), ("bits",), ("loss", "bits")]))
def test_every_row_stands_in_its_own_panel_or_in_all_of_the_nearest(rows, facets):
    panels = panels_of(rows, facets)
    for i, row in enumerate(rows):
        own = values_of(row, facets)
        mine = [values for values, some in panels.items() if i in some]
        if own in panels:
            assert mine == [own]
        else:
            likeness = {values: sum(map(eq, values, own)) for values in panels}
            assert mine == [values for values in panels if likeness[values] == max(likeness.values())]


@given(grids)
def test_no_fewer_panels_would_be_readable(rows):
    """The choice is the smallest number of panels none of which holds too many rows, where there is one."""
    chosen = panels_of(rows, split(rows))
    ways = [panels_of(rows, facets) for facets in (("loss",), ("bits",), ("loss", "bits"))]
    readable = [
        len(one) for one in ways if 1 < len(one) <= MOST_PANELS and max(map(len, one.values())) <= LISTED
    ]
    if readable:
        assert len(chosen) == min(readable)
        assert max(map(len, chosen.values())) <= LISTED


def test_two_values_go_across():
    rows = rows_of(7, 3, ["csq", "dch"], [16, 32, 64])
    assert [*panels_of(rows, ("loss", "bits"))] == [
        ("csq", 16),
        ("dch", 16),
        ("csq", 32),
        ("dch", 32),
        ("csq", 64),
        ("dch", 64),
    ]
    rows = rows_of(7, 3, ["csq", "dch"], [16, 64])
    assert [*panels_of(rows, ("loss", "bits"))] == [("csq", 16), ("csq", 64), ("dch", 16), ("dch", 64)]


def test_a_teacher_of_another_length_stands_in_all_panels():
    rows = rows_of(2, 2, ["csq", "dch"], [16, 64], teachers=[("csq", 32), ("csq", 64)])
    other, own = len(rows) - 2, len(rows) - 1
    panels = panels_of(rows, ("bits",))
    assert [(other in some, own in some) for some in panels.values()] == [(True, False), (True, True)]


def test_parameters_of_its_own_leave_a_teacher_in_the_panel_of_its_loss():
    panels = [("csq", 16), ("csq", 32), ("dch", 16)]
    assert nearest(("csq[train=head]", 16), panels) == [("csq", 16)]
    assert nearest(("csq[train=head]", 64), panels) == [("csq", 16), ("csq", 32)]
    assert nearest(("itq", 64), panels) == panels
    assert nearest(("csq", 32), panels) == [("csq", 32)]


def test_a_teacher_of_a_combination_that_no_student_has_stands_in_the_panels_that_are_nearest():
    pairs = [("csq", 16), ("csq", 32), ("dch", 32), ("dch", 64)]
    rows = some_of(8, 3, pairs, [("dch", 16)], [])
    panels = panels_of(rows, ("loss", "bits"))
    assert [pair for pair, some in panels.items() if len(rows) - 1 in some] == [
        ("csq", 16),
        ("dch", 32),
        ("dch", 64),
    ]
