import dataclasses

import numpy as np
import pytest

from bench.comparison.front_places import MOST_PAIRED, ONE_SEED, with_chances
from bench.results.folder import Results
from bench.results.fronts import front_of
from bench.results.records import StageInfo
from bench.results.summary import summarise
from bench.results.wording import TWO_SEEDS
from tests.recorded import make_record
from tests.report.charts import priced
from tests.scored import MAP, grid, scores_of, write_scored

PAIR = ("map", "macs")


def judged(results, pair=PAIR, within=0.02):
    (group,) = summarise(results).groups
    return with_chances([front_of(group, *pair, within)], results)[0]


def cells(qualities, seeds=3, queries=200, **kwargs):
    """A row per (multiply-adds, quality), scored query by query."""
    return [
        (
            priced(make_record(f"student_{i}", "cukd", seed=seed), macs),
            scores_of(quality, seed, queries, **kwargs),
        )
        for i, (macs, quality) in enumerate(qualities)
        for seed in range(seeds)
    ]


def seedless_cell(student, macs, quality, **kwargs):
    """A pretrained network as it is, which a grid has once whatever its seeds."""
    record = priced(make_record(student, "none", "none", params={"student": {"weights": "sha256:1"}}), macs)
    stages = {"encode": StageInfo(key="encode", seconds=1.0, cached=True)}
    return record.model_copy(update={"stages": stages}), scores_of(quality, 0, **kwargs)


def test_rows_that_no_seed_changes_are_judged_by_their_queries(tmp_path):
    own = cells([(1e6, 0.5), (2e6, 0.7)])
    alone = [seedless_cell("frozen", 1.5e6, 0.71, queries=200), seedless_cell("cheap", 1e5, 0.2, queries=200)]
    chances = judged(write_scored(tmp_path / "grid", [*own, *alone])).chances
    assert None not in chances.on_front
    assert chances.over == "3 seeds and 200 queries"
    assert chances.notes == ("2 rows are the same with every seed, so that queries alone stray",)
    frozen = judged(write_scored(tmp_path / "frozen", alone)).chances
    assert (frozen.on_front, frozen.over, frozen.what) == ([1.0, 1.0], "200 queries", "queries")


def by_name(front, values):
    return {row.configuration.student: value for row, value in zip(front.rows, values, strict=True)}


def test_places_that_nothing_disputes_are_certain_and_close_ones_are_not(tmp_path):
    qualities = [(1e6, 0.5), (2e6, 0.7), (3e6, 0.701), (4e6, 0.6)]
    front = judged(write_scored(tmp_path / "grid", cells(qualities, noise=0.2)))
    chances = front.chances
    on_front = by_name(front, chances.on_front)
    assert on_front["student_0"] == 1.0  # the cheapest one is always on the front
    assert on_front["student_1"] == 1.0
    assert 0.05 < on_front["student_2"] < 0.95
    assert on_front["student_3"] < 0.01
    assert sum(chances.recommended) == pytest.approx(1.0, abs=0.002)
    assert (chances.seeds, chances.queries, chances.missing, chances.notes) == ((3, 3), 200, "", ())
    assert chances.over == "3 seeds and 200 queries"


def test_pairs_say_who_dominates_whom(tmp_path):
    front = judged(write_scored(tmp_path / "grid", cells([(1e6, 0.5), (2e6, 0.7), (3e6, 0.4)])))
    names = [front.rows[i].configuration.student for i in front.chances.paired]
    found = {
        (one, other): share
        for one, line in zip(names, front.chances.dominates, strict=True)
        for other, share in zip(names, line, strict=True)
    }
    assert found["student_0", "student_2"] > 0.95
    assert found["student_1", "student_2"] > 0.95
    assert found["student_0", "student_1"] < 0.05
    assert found["student_2", "student_0"] == found["student_1", "student_0"] == 0  # they cost more
    # Dominated in some draws, and by nobody else, is off the front in those.
    off = 1 - by_name(front, front.chances.on_front)["student_2"]
    assert off >= max(found["student_0", "student_2"], found["student_1", "student_2"])


def test_what_budgets_attain_rises_and_holds_the_front(tmp_path):
    qualities = [(1e6, 0.5), (2e6, 0.7), (3e6, 0.8)]
    front = judged(write_scored(tmp_path / "grid", cells(qualities)))
    band = front.chances.attained
    assert band.budgets == [1e6, 2e6, 3e6]
    for line in (band.low, band.middle, band.high):
        assert line == sorted(line)
    values = [row.estimates[MAP].value for row in reversed(front.rows)]
    for low, value, high in zip(band.low, values, band.high, strict=True):
        assert low < value < high
    np.testing.assert_allclose(band.middle, values, atol=0.01)


def test_the_same_records_have_the_same_chances(tmp_path):
    results = write_scored(tmp_path / "grid", grid())
    assert judged(results).chances == judged(results).chances


def test_where_less_is_better_and_more_costs_less_nothing_else_changes(tmp_path):
    """An error in place of an accuracy, and a rate in place of a cost."""

    def turned(record):
        metrics = dict(record.metrics)
        one, price = metrics[MAP], metrics["macs"]
        metrics[MAP] = one.model_copy(update={"higher_is_better": False})
        metrics["macs"] = price.model_copy(update={"higher_is_better": True, "value": -price.value + 1e9})
        return record.model_copy(update={"metrics": metrics})

    qualities = [(1e6, 0.5), (2e6, 0.7), (3e6, 0.705)]
    straight = cells(qualities, noise=0.2)
    flipped = [(turned(record), 1 - scores) for record, scores in straight]
    one = judged(write_scored(tmp_path / "one", straight))
    other = judged(write_scored(tmp_path / "other", flipped))
    for part in ("on_front", "recommended"):
        expected, found = (by_name(front, getattr(front.chances, part)) for front in (one, other))
        assert found == pytest.approx(expected, abs=0.05)
    np.testing.assert_allclose(
        other.chances.attained.middle, 1 - np.array(one.chances.attained.middle), atol=0.005
    )


# -- What cannot be said ---------------------------------------------------------------------------


def test_one_seed_gives_no_number(tmp_path):
    front = judged(write_scored(tmp_path / "grid", grid(seeds=1)))
    assert front.chances.missing == ONE_SEED
    assert set(front.chances.on_front) == set(front.chances.recommended) == {None}
    assert front.chances.attained is None


def test_rows_of_one_seed_are_left_out_and_counted(tmp_path):
    single = (priced(make_record("lonely", "cukd", seed=0), 5e5), scores_of(0.9, 0, 200))
    front = judged(write_scored(tmp_path / "grid", [*cells([(1e6, 0.5), (2e6, 0.7)]), single]))
    assert by_name(front, front.chances.on_front)["lonely"] is None
    assert by_name(front, front.chances.on_front)["student_0"] == 1.0
    assert front.chances.notes[0].startswith("1 row of one seed is left out")
    assert len(front.chances.paired) == 2


def test_two_seeds_say_how_little_they_tell(tmp_path):
    assert TWO_SEEDS in judged(write_scored(tmp_path / "grid", grid(seeds=2))).chances.notes


def test_without_scores_by_query_seeds_are_drawn_alone(tmp_path):
    results = write_scored(tmp_path / "grid", [(record, None) for record, _ in grid()])
    chances = judged(results).chances
    assert chances.queries is None
    assert chances.over == "3 seeds"
    assert any("seeds alone" in note for note in chances.notes)


def test_timings_without_samples_are_said_to_count_as_exact(tmp_path):
    front = judged(write_scored(tmp_path / "grid", grid()), ("map", "latency_ms"))
    assert front.chances.notes == ("timings that kept no samples count as exact",)


def test_nothing_is_said_of_limited_runs_and_of_what_is_no_accuracy(tmp_path):
    results = write_scored(tmp_path / "grid", grid())
    limited = [
        record.model_copy(
            update={"cell": record.cell.model_copy(update={"protocol": {**record.cell.protocol, "limit": 9}})}
        )
        for record in results.records
    ]
    assert judged(dataclasses.replace(results, records=limited)).chances is None
    sizes = judged(results, ("macs", "params")).chances
    assert sizes.missing == "MACs is the same with any seed"


def test_pairs_are_bounded():
    records = [
        priced(make_record(f"s{i}", "cukd", seed=seed), 1e6 + i, 0.5 + i / 1000 + seed / 2000)
        for i in range(MOST_PAIRED + 5)
        for seed in range(2)
    ]

    class Unscored(Results):
        def per_query(self, record):
            return {}

    front = judged(Unscored(None, "many", [], records, []))
    assert len(front.chances.paired) == len(front.chances.dominates) == MOST_PAIRED
    assert None not in front.chances.on_front
