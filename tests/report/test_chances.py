"""How sure places are, in words, tables, charts and files."""

import csv
import io
import json
from dataclasses import replace

import pytest

from bench.comparison.front_places import ONE_SEED, with_chances
from bench.report.charts import plots
from bench.report.charts.key import marker
from bench.report.charts.points import Points
from bench.report.charts.styles import Styles
from bench.report.tables import columns
from bench.results.chances import percent
from bench.results.fronts import front_of
from bench.results.summary import summarise
from tests.recorded import make_record
from tests.report import charts
from tests.report.charts import priced
from tests.scored import scores_of, write_scored


def scored(seeds=3, count=4, noise=0.2):
    """Rows that cost more and more, and of which the last three are about as good."""
    return [
        (
            priced(make_record(f"student_{i}", "cukd", seed=seed), (i + 1) * 1e6),
            scores_of(0.6 + 0.1 * (i > 0), seed, noise=noise + i / 1000),
        )
        for i in range(count)
        for seed in range(seeds)
    ]


@pytest.fixture
def results(tmp_path):
    return write_scored(tmp_path / "grid", scored())


def front_in(results, **changes):
    (group,) = summarise(results).groups
    front = front_of(group, "map", "macs", 0.02)
    return replace(with_chances([front], results)[0], **changes)


def told(front, **changes):
    return replace(front, chances=replace(front.chances, **changes))


@pytest.mark.parametrize(
    ("share", "words"), [(0, "< 1 %"), (0.004, "< 1 %"), (0.006, "1 %"), (0.93, "93 %"), (1, "> 99 %")]
)
def test_shares_are_never_told_as_certain(share, words):
    assert percent(share) == words


# -- Words and tables ------------------------------------------------------------------------------


def test_the_recommendation_is_a_probability(results):
    front = front_in(results)
    position = next(i for i, row in enumerate(front.rows) if row is front.recommended)
    shares = [0.0] * 4
    shares[position] = 0.93
    plain = columns.recommendation(replace(front, chances=None))
    assert plain.endswith(" M MACs.")
    sure = columns.recommendation(told(front, recommended=shares))
    assert sure == f"{plain[:-1]}; it is this one in 93 % of 2,000 draws of seeds and queries."


def test_another_student_that_is_often_the_one_is_named(results):
    front = front_in(results)
    position = next(i for i, row in enumerate(front.rows) if row is front.recommended)
    shares = [0.3 if i == (position + 1) % 4 else 0.05 for i in range(4)]
    shares[position] = 0.6
    said = columns.recommendation(told(front, recommended=shares))
    other = front.rows[(position + 1) % 4].configuration
    assert said.endswith(
        f"; it is this one in 60 % of 2,000 draws of seeds and queries, and {other} in 30 %."
    )


def test_one_seed_gets_a_word_and_no_number(tmp_path):
    front = front_in(write_scored(tmp_path / "grid", scored(seeds=1)))
    said = columns.recommendation(front)
    assert said.endswith("; how sure that is takes more seeds than one.")
    assert "draws" not in said
    assert "P(front)" not in [column.head for column in columns.front_columns(front)]
    assert f"No P(front): {ONE_SEED}." in columns.front_notes(front)
    assert "P(front)" not in " ".join(columns.front_rules([front]))


def test_the_table_of_a_front_has_the_share_of_every_row(results):
    front = front_in(results)
    heads = {column.head: column.cells for column in columns.front_columns(front)}
    shares = {
        str(row.configuration): share for row, share in zip(front.rows, front.chances.on_front, strict=True)
    }
    shown = [row for row in front.rows if row in front.standing("front", "close")]
    assert sorted(heads["P(front)"]) == sorted(percent(shares[str(row.configuration)]) for row in shown)
    assert "P(front): 2,000 draws of 3 seeds and 300 queries." in columns.front_notes(front)
    rules = columns.front_rules([front])
    assert "P(front)" in " ".join(rules)
    assert any(rule.startswith("Standing and P(front) are two criteria:") for rule in rules)


# -- Files -----------------------------------------------------------------------------------------


def test_a_report_holds_them_for_people_and_programs(tmp_path, bench):
    results = write_scored(tmp_path / "grid", scored())
    done = bench("report", results.folder, "--format", "svg")
    assert done.code == 0
    assert "it is this one in" in done.out
    report = results.folder / "report"
    (front,) = json.loads((report / "fronts.json").read_text())["fronts"]
    assert [row["recommended"] for row in front["rows"]].count(True) == 1
    shares = {row["configuration"]: row["p_front"] for row in front["rows"]}
    expected = front_in(results)
    assert list(shares.values()) == expected.chances.on_front
    assert front["dominates"] == {"rows": expected.chances.paired, "p": expected.chances.dominates}
    assert [one["cost"] for one in front["attained"]] == expected.chances.attained.budgets
    band = expected.chances.attained
    for line, *reached in zip(front["attained"], band.low, band.middle, band.high, strict=True):
        assert [line[f"reached_by_{share}"] for share in (95, 50, 5)] == reached
    assert front["seeds"] == {"fewest": 3, "most": 3}
    standings = {"front": "on the front", "close": "not distinguishable", "behind": "behind the front"}
    assert [row["standing"] for row in front["rows"]] == [standings[one] for one in expected.standings]
    lines = [*csv.DictReader(io.StringIO((report / "table.csv").read_text()))]
    column = "P(front) map@all:expected:relevant macs"
    assert {line["configuration"]: float(line[column]) for line in lines} == shares
    for name in ("table.md", "table.tex"):
        assert "P(front)" in (report / name).read_text()
    page = (report / "index.html").read_text()
    assert "fronts.json" in page
    assert "Standing and P(front) are two criteria:" in page
    assert '"chances":{"map@all:expected:relevant macs":[' in page
    assert '"attained":{"map@all:expected:relevant macs":[[' in page
    sure = next(part for part in page.split('"sure":')[1:])
    assert sure.startswith('{"map@all:expected:relevant macs":[0.02,')
    assert "it is this one in" in sure.partition("}")[0]


def test_one_seed_makes_no_column(tmp_path, bench):
    results = write_scored(tmp_path / "grid", scored(seeds=1))
    assert bench("report", results.folder, "--format", "svg").code == 0
    report = results.folder / "report"
    assert "P(front) map" not in (report / "table.csv").read_text()
    (front,) = json.loads((report / "fronts.json").read_text())["fronts"]
    assert front["missing"] == ONE_SEED
    assert {row["p_front"] for row in front["rows"]} == {None}


# -- Charts ----------------------------------------------------------------------------------------


def styles_of(results):
    return Styles(summarise(results).groups)


def test_markers_fade_with_their_share(results):
    front, styles = front_in(results), styles_of(results)
    points = Points.of(told(front, on_front=[1.0, 0.5, 0.0, None]))
    plain = Points.of(replace(front, chances=None))
    own = [marker(plain, i, styles)["markeredgecolor"] for i in range(4)]
    reds = [int(marker(points, i, styles)["markeredgecolor"][1:3], 16) for i in range(4)]
    assert reds[0] == reds[3] == int(own[0][1:3], 16)
    assert reds[0] < reds[1] < reds[2] < 255


@pytest.mark.parametrize("records", [charts.two_students, charts.tradeoff, charts.all_methods])
def test_charts_of_all_forms_say_what_fades_and_where_the_front_may_be(records):
    styles, fronts = charts.fronts_of(records())

    class Unscored:
        def noted(self, read, record, otherwise):
            return otherwise

        def per_query(self, record):
            return {}

    (front,) = with_chances(fronts, Unscored())
    drawn = charts.words(plots.pareto_chart("fashion", front, styles, ["svg"])["svg"])
    assert "faint: seldom on it" in drawn
    banded = records is not charts.all_methods  # methods below each other have no axis of cost
    assert ("front with other seeds: 90 %" in drawn) == banded


def test_the_band_is_behind_all_points_and_inside_the_frame(results):
    front, styles = front_in(results), styles_of(results)
    with plots.look():
        figure = plots.draw("fashion", front, styles)
    (axes,) = figure.axes
    (band,) = (one for one in axes.collections if one.get_zorder() == 0.6)
    assert band.get_zorder() < min(line.get_zorder() for line in axes.lines)
    corners = band.get_paths()[0].vertices
    assert corners[:, 0].max() <= axes.get_xlim()[1]
    assert corners[:, 0].min() >= axes.get_xlim()[0]
    best = max(row.estimates[front.accuracy].value for row in front.rows)
    assert corners[:, 1].min() < best < corners[:, 1].max()


def test_a_chart_of_one_seed_says_what_is_missing():
    (front,) = charts.fronts_of([make_record()])[1]
    front = with_chances([front], None)[0]
    styles, _ = charts.fronts_of([make_record()])
    drawn = " ".join(charts.words(plots.pareto_chart("fashion", front, styles, ["svg"])["svg"]))
    assert f"No band: {ONE_SEED}." in drawn
    assert "other seeds" not in drawn
