from bench.comparison.ranks import ranks
from bench.report.charts.ranks import rank_chart
from bench.report.render import render
from bench.results.ranks import Ranks
from tests.recorded import make_record
from tests.report import charts

FOUND = Ranks(["dch", "csq", "dpn"], [1.2, 1.9, 2.9], ["a", "b", "c", "d", "e"], 0.012, 1.48, "cukd_v1")


def test_the_diagram_names_all_with_their_ranks_and_says_what_it_tests():
    drawn = charts.words(rank_chart("reality", FOUND, ["svg"])["svg"])
    assert drawn[:2] == ["Mean rank by mAP over 5 data sets", "Grid reality · cukd_v1 · a, b, c, d, e"]
    for words in ("dch 1.20", "csq 1.90", "dpn 2.90", "critical difference 1.48"):
        assert words in drawn
    assert "p = 0.012" in " ".join(drawn)


def test_long_names_stay_inside():
    long = Ranks(["a name of many words " * 6] * 24, [*map(float, range(1, 25))], ["data"] * 9, 1e-5, 5.0)
    drawn = charts.words(rank_chart("reality", long, ["svg"])["svg"])
    assert len([words for words in drawn if "…" in words]) == 24


def test_a_report_of_five_data_sets_draws_it(write_results):
    losses = ("csq", "dch", "dpn")
    records = [make_record(loss=loss, dataset=f"data{i}") for i in range(5) for loss in losses]
    folder = write_results(records, pareto=[])
    names = [path.name for path in render([folder], formats=["svg"], rank=ranks).paths]
    assert "ranks_map.svg" in names
    fewer = write_results(records[:12], pareto=[])
    assert "ranks_map.svg" not in [path.name for path in render([fewer], formats=["svg"], rank=ranks).paths]
