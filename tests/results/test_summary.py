import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.tables.columns import group_columns, group_notes
from bench.results.folder import Results
from bench.results.records import Measured
from bench.results.summary import estimate, interval_words, summarise
from bench.results.wording import TWO_SEEDS


def summary_of(records, **kwargs):
    return summarise(Results(None, "grid", [], records, kwargs.get("missing", [])))


def rows_of(records):
    return [row for group in summary_of(records).groups for row in group.rows]


def seeded(value, interval=None):
    return Measured(value=value, unit="", higher_is_better=True, noise="seeded", interval=interval)


def test_interval_over_seeds_is_students_t():
    one = estimate("map@all", [seeded(0.80, (0.7, 0.9)), seeded(0.82), seeded(0.84)])
    assert one.value == pytest.approx(0.82)
    assert one.n == 3
    assert one.by_seed == (0.80, 0.82, 0.84)
    assert one.over(2).by_seed == (0.40, 0.41, 0.42)
    assert one.half_width == pytest.approx(4.302653 * 0.02 / math.sqrt(3), rel=1e-6)


def test_one_seed_keeps_the_interval_over_queries():
    one = estimate("map@all", [seeded(0.8, (0.79, 0.82))])
    assert one.interval == (0.79, 0.82)
    assert interval_words([one]) == "95 % interval over queries (one seed)"


@pytest.mark.parametrize("noise", ["exact", "timed"])
def test_seeds_say_nothing_about_costs(noise):
    costs = [Measured(value=v, unit="ms", higher_is_better=False, noise=noise) for v in (2.0, 2.0)]
    assert estimate("latency_ms@1", costs).interval is None


def test_intervals_over_different_things_never_decide():
    over_seeds = estimate("map@all", [seeded(0.9)] * 3)
    over_queries = estimate("map@all", [seeded(0.1, (0.05, 0.15))])
    assert not over_seeds.above(over_queries)
    assert over_seeds.above(estimate("map@all", [seeded(0.1)] * 3))


def test_what_no_seed_changes_is_judged_by_its_queries():
    over_seeds = estimate("map@all", [seeded(0.9)] * 3)
    low, near = (
        replace(estimate("map@all", [seeded(0.1, interval)]), settled=True)
        for interval in ((0.05, 0.15), (0.05, 0.95))
    )
    assert over_seeds.above(low)
    assert not over_seeds.above(near)
    assert not low.above(over_seeds)
    assert low.over(1e3).settled


def test_two_seeds_tell_nothing_even_where_they_agree():
    two, three = (estimate("map@all", [seeded(0.9)] * n) for n in (2, 3))
    low = estimate("map@all", [seeded(0.1)] * 3)
    assert three.above(low)
    assert not two.above(low)
    assert interval_words([two, low]).endswith("(Student's t, n = 2 to 3); " + TWO_SEEDS)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_an_interval_stays_within_what_the_metric_can_be(values):
    one = estimate("map@all", [seeded(value) for value in values])
    assert 0 <= one.interval[0] <= one.value <= one.interval[1] <= 1
    change = estimate("onnx_map_change:int8", [seeded(value - 0.5) for value in values])
    assert -1 <= change.interval[0] <= change.interval[1] <= 1
    losses = [Measured(value=v, unit="nats", higher_is_better=False, noise="seeded") for v in values]
    free = estimate("my_loss", losses)
    assert free.interval[1] - free.value == pytest.approx(free.value - free.interval[0])


def test_a_cut_interval_is_written_by_its_ends():
    assert estimate("map@all", [seeded(0.63), seeded(0.99)]).spread() == " [0.000, 1.000]"
    assert estimate("map@all", [seeded(0.5), seeded(0.52), seeded(0.51)]).spread() == " ± 0.025"
    assert estimate("map@all", [seeded(0.5, (0.4, 0.52))]).spread() == " ± 0.060"


def test_seeds_are_averaged_and_roles_found(run_records):
    rows = rows_of(run_records)
    assert len(rows) == 9
    assert {row.seeds for row in rows} == {3}
    assert [row.role for row in rows].count("undistilled") == 4
    assert rows[-1].role == "teacher"
    assert str(rows[-1].configuration) == "efficientnet_lite0 (teacher) · none · csq · 32 bit"


def test_failed_cells_are_listed_with_the_reason(run_records):
    failed, skipped = summary_of(run_records).unfinished
    assert (failed.status, failed.seed) == ("failed", 0)
    assert failed.reason == "finetune: RuntimeError: loss is not finite at step 12"
    assert skipped.status == "skipped"


def test_cells_that_differ_in_params_alone_are_told_apart(make_record):
    records = [make_record(params={"method": {"epochs": 20, "views": views, "lr": 1e-4}}) for views in (2, 4)]
    assert [row.configuration.method for row in rows_of(records)] == ["cukd[views=2]", "cukd[views=4]"]


def test_settings_that_never_differ_are_not_shown(make_record):
    assert {row.configuration.method for row in rows_of([make_record(bits=b) for b in (16, 32)])} == {"cukd"}


def test_students_of_different_teachers_are_told_apart(make_record):
    first = make_record()
    other = first.cell.model_copy(update={"teachers": ["efficientnet_lite1"]})
    second = first.model_copy(update={"cell": other})
    undistilled = make_record(method="none")
    assert [row.configuration.method for row in rows_of([first, second, undistilled])] == [
        "cukd[teacher=efficientnet_lite0]",
        "cukd[teacher=efficientnet_lite1]",
        "none",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "digits"},
        {"protocol": {"split": "another"}},
        {"protocol": {"k": 5000}},
        {"protocol": {"limit": 100}},
        {"params": {"dataset": {"split_seed": 1}}},
        {"environment": {"cpu": "Another CPU"}},
        {"environment": {"threads": 4}},
        {"environment": {"device": "cuda", "gpu": "Example GPU"}},
        {"environment": {"precision": "bf16"}},
        {"environment": {"waiting": "active"}},
    ],
    ids=lambda change: next(f"{key}-{next(iter(value))}" for key, value in change.items()),
)
def test_what_is_not_comparable_is_never_in_one_group(make_record, change):
    groups = summary_of([make_record(), make_record(**change)]).groups
    assert [len(group.rows) for group in groups] == [1, 1]
    assert len({group.slug for group in groups}) == 2


def test_timings_of_threads_that_wait_otherwise_are_not_averaged(make_record):
    groups = summary_of([make_record(), make_record(seed=1, environment={"waiting": "active"})]).groups
    assert [group.conditions.endswith("OMP_WAIT_POLICY=active") for group in groups] == [False, True]


def test_empty_protocol_entries_make_no_difference(make_record):
    assert len(summary_of([make_record(), make_record(bits=16, protocol={"limit": None})]).groups) == 1


def test_base_names_find_the_protocols_metric_first(make_record):
    (group,) = summary_of([make_record()]).groups
    assert group.resolve("map") == "map@all:expected:relevant"
    assert group.resolve("map@all:best") == "map@all:best:relevant"
    assert group.resolve("latency_ms") == "latency_ms@1"
    assert group.resolve("ma") is None


def test_groups_come_in_the_order_of_the_numbers_in_their_names(make_record):
    few = [
        make_record(seed=0, params={"dataset": {"train_per_class": n}}, protocol={"split": f"t{n}"})
        for n in (200, 5, 50)
    ]
    groups = summarise(Results(None, "grid", [], few, [])).groups
    assert [group.dataset for group in groups] == [
        f"fashion_mnist[train_per_class={n}]" for n in (5, 50, 200)
    ]


def test_mean_average_precision_after_rescoring_has_a_column_that_of_most_images(make_record):
    """Those of one side of the classes and of fewer images are in records alone."""
    record = make_record()
    more = {f"map_rescored@{r}{side}": seeded(0.9) for r in (10, 1000, 100) for side in ("", "[unseen]")}
    record = record.model_copy(update={"metrics": {**record.metrics, **more}})
    (group,) = summary_of([record, make_record(loss="dch")]).groups
    assert group.further_accuracies == ["map_rescored@1000"]
    (column,) = [one for one in group_columns(group) if one.head == "mAP, rescored@1000"]
    assert column.cells == ["0.900", "–"]
    assert any(
        note.startswith("mAP, rescored@1000: mean average precision after") for note in group_notes(group)
    )
