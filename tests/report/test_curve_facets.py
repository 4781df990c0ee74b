"""Small multiples of curves: every line is in a panel, and the key tells all of them apart."""

from hypothesis import given
from hypothesis import strategies as st

from bench.report.charts import curve_words
from bench.report.charts.curve_facets import facets_of, panels_of, told
from bench.report.charts.curve_looks import looks_of, row_of
from bench.report.charts.styles import Styles
from bench.results.curves import Curve, Line
from bench.results.names import Configuration
from bench.results.summary import Group
from bench.results.wording import ELSEWHERE, UNKNOWN
from tests.curved import PATH, labelled
from tests.report.curves import curve_of, figure_of


def test_a_teacher_that_no_student_shares_loss_and_length_with_is_drawn_and_told(tmp_path):
    students = ("cukd_v1", "cukd_v2", "resnet18")
    both = {"students": students, "methods": ("none", "cukd", "ranking"), "losses": ("csq", "dch")}
    cells = labelled((5, 50), **both, bits=(16, 32), seeds=1, teacher=False)
    cells += labelled((5, 50), students=(), losses=("dpn",), bits=(64,), seeds=1)
    one, styles = curve_of(tmp_path, cells)
    figure = figure_of(one, styles)
    assert "student" in facets_of(one)
    for axes in figure.axes:
        assert sum(line.get_marker() == "*" and len(line.get_xdata()) == 1 for line in axes.lines) == 2
    names = [text.get_text() for text in figure.texts if text.get_text().startswith("teacher")]
    assert names == ["teacher · efficientnet_lite0 · 64 bit · dpn"]


def test_a_teachers_head_stands_with_the_same_loss_and_is_told():
    students = [line_of("a", "none", loss, 32, "undistilled") for loss in ("csq", "dch")]
    heads = [line_of("t (teacher)", "none", f"{loss}[train=head]", 32, "teacher") for loss in ("csq", "dch")]
    curve = Curve(("map", PATH), "map", "digits", {}, "", [*students, *heads], 0)
    panels = panels_of(curve, ["loss"])
    assert panels == {("csq",): [0, 2], ("dch",): [1, 3]}
    assert told(curve, ["loss"], panels) == [{"loss"}, {"loss"}, set(), set()]


def line_of(student, method, loss, bits, role):
    return Line(Configuration("a", student, bits, loss, method), role, {})


def student_line(student, method, loss, bits):
    return student, method, loss, bits, "undistilled" if method == "none" else "distilled"


def other_line(name, loss, bits, role):
    if role == "teacher":
        return name, "none", loss, bits, role
    return name, ELSEWHERE, UNKNOWN, bits, role


crossed = st.sets(
    st.builds(
        student_line,
        st.sampled_from("abcdefgh"),
        st.sampled_from(["none", *(f"m{i}" for i in range(8))]),
        st.sampled_from(["csq", "dch", "dpn"]),
        st.sampled_from([16, 32, 64]),
    ),
    min_size=1,
    max_size=40,
)
others = st.sets(
    st.builds(
        other_line,
        st.sampled_from("tua"),
        st.sampled_from(["csq", "dpsh"]),
        st.sampled_from([16, 128]),
        st.sampled_from(["teacher", "external"]),
    ),
    max_size=6,
)


@given(crossed, others)
def test_every_line_is_in_a_panel_and_no_two_names_of_the_key_look_alike(students, others):
    lines = [line_of(*one) for one in [*sorted(students), *sorted(others)]]
    lines.sort(key=lambda line: line.role == "teacher")
    curve = Curve(("map", PATH), "map@all", "a", {}, "", lines, 0)
    facets = facets_of(curve)
    panels = panels_of(curve, facets)
    assert {i for some in panels.values() for i in some} == set(range(len(lines)))
    parts = curve_words.parts(curve, told(curve, facets, panels))
    names = [curve_words.name(*both) for both in zip(lines, parts, strict=True)]
    styles = Styles([Group("", {}, "", "", [row_of(line) for line in lines])])
    looks = looks_of(lines, parts, styles, facets)
    seen = {}
    for name, look in zip(names, looks, strict=True):
        seen.setdefault(str((look.dash, look.marker)), set()).add(name)
        seen.setdefault(name, set()).add(str(look))
    assert max(map(len, seen.values())) == 1, "one name has one look, and one look one name"
    for some in panels.values():
        assert len({names[i] for i in some}) == len(some), "no two lines of a panel have one name"


def test_the_key_of_small_multiples_shows_markers(tmp_path):
    students = ("cukd_v1", "cukd_v2", "resnet18", "resnet34")
    three = {"methods": ("cukd",), "losses": ("csq", "dch", "dpn"), "bits": (16, 32)}
    one, styles = curve_of(tmp_path, labelled((5, 50), students=students, **three, seeds=1, teacher=False))
    figure = figure_of(one, styles)
    samples = [(line.get_marker(), line.get_linestyle()) for line in figure.artists]
    assert sum(marker == "s" for marker, _ in samples) == len(students)
    assert sum(dash != "None" for _, dash in samples) == len(students)
