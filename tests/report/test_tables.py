"""Tables of configurations: what they claim, mark and leave out."""

import csv
import io
import re
from pathlib import Path

import pytest

from bench.report.charts.points import Axis
from bench.report.tables import columns
from bench.report.tables import text as tables
from bench.report.tables.cells import CellTable
from bench.report.tables.columns import Scale
from bench.results.fronts import front_of
from bench.results.names import Names
from bench.results.records import Measured
from tests.report.tables import HOSTILE, fronts_of, hostile_records, latex, markdown, summary_of

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "write"), [("report_table.md", markdown), ("report_table.tex", latex)])
def test_tables_are_as_reviewed(run_records, name, write):
    assert write(run_records, missing=["fashion_mnist__cukd_v2__s1"]) == (GOLDEN / name).read_text()


def test_warnings_are_told_beside_the_numbers(make_record):
    two = ["12 of 90 queries have an equal picture in the database", "8 codes are equal"]
    warned = [make_record(seed=seed).model_copy(update={"warnings": two[: seed + 1]}) for seed in range(2)]
    every = [*warned, make_record(seed=2)]
    lines = list(csv.DictReader(io.StringIO(CellTable(every).csv())))
    assert [line["warnings"] for line in lines] == [f"{two[0]}.", f"{two[0]}. {two[1]}.", ""]
    for told in (markdown(every), latex(every)):
        assert "Warning, 2 of 3 cells: 12 of 90 queries have an equal picture in the database." in told
        assert "Warning, 1 of 3 cells: 8 codes are equal." in told


def test_a_row_that_is_warned_of_is_marked_by_its_accuracies(make_record):
    warned = make_record(loss="dch").model_copy(update={"warnings": ["the codes have collapsed"]})
    rows = [make_record(), warned]
    for text, mark, cell in ((markdown(rows), "§", "| dch "), (latex(rows), r"\S{}", "& dch &")):
        line = next(line for line in text.splitlines() if cell in line)
        assert line.count(mark) == 3, "the accuracy, and the best and the worst order of its ties"
        assert "the record carries a warning; read it before you quote the number" in text
    assert "§" not in markdown([make_record(), make_record(loss="dch")])


def test_two_settings_of_one_loss_have_different_names_in_every_table(make_record):
    some = [make_record(loss="dch", params={"loss": {"epochs": epochs}}) for epochs in (2, 4)]
    lines = csv.DictReader(io.StringIO(CellTable(some).csv()))
    names = [line["configuration"] for line in lines]
    assert names == [f"cukd_v1 · cukd · dch[epochs={epochs}] · 32 bit" for epochs in (2, 4)]
    assert all(f"dch\\[epochs={epochs}\\]" in markdown(some) for epochs in (2, 4))


def test_a_teacher_trained_in_another_way_gives_no_student_a_longer_name(make_record):
    slow, fast = ({"loss": {"lr": rate}} for rate in (0.001, 0.004))
    plain = make_record(method="none", params=fast)
    taught = make_record(method="cukd", params=fast)
    teacher = make_record(student=taught.cell.teachers[0], method="none", params=slow)
    name = Names([plain, taught, teacher])
    assert {name(record).loss for record in (plain, taught, teacher)} == {plain.cell.loss}
    other = make_record(method="cukd", params=slow)  # a student at two rates
    name = Names([plain, taught, teacher, other])
    assert [name(record).loss.partition("[")[2] for record in (plain, taught, other)] == [
        "lr=0.004]",
        "lr=0.004]",
        "lr=0.001]",
    ]
    assert name(teacher).loss == teacher.cell.loss


def test_a_structured_value_never_becomes_a_title(make_record):
    """The detail of a curve holds lists, one of them called ``precision``."""
    curve = Measured(value=0.5, unit="", higher_is_better=True, noise="seeded",
                   detail={"precision": [0.1] * 33, "threads": [1, 2], "device": {"a": 1}})  # fmt: skip
    record = make_record()
    record = record.model_copy(update={"metrics": record.metrics | {"pr_curve:radius": curve}})
    (group,) = summary_of([record]).groups
    assert Scale.of(group, "pr_curve:radius").column(group.rows).detail == ""
    assert Axis.of(group, "pr_curve:radius", group.rows).label == (
        "area under precision-recall (radius), more is better"
    )
    assert len(str(Names([record, make_record(params={"loss": {"x": list(range(999))}})])(record))) < 200


# -- Any name ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_survives_any_name(make_record, name):
    text = markdown(hostile_records(make_record, name))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert widths == {13, 8, 9}  # group, fronts, cells without numbers: each of one width
    assert not re.search(r"(?<!\\)<", text)
    assert not re.search(r"(?<!\\)\]\(", text)


# -- What the tables claim -----------------------------------------------------------------------


def test_bold_only_where_intervals_are_apart(make_record):
    close = [make_record(method=method, bits=16) for method in ("none", "cukd")]
    text = markdown(close)
    assert "**" in text  # 0.03 apart, half widths 0.011
    overlapping = [make_record(loss=loss, bits=16) for loss in ("csq", "dch")]
    assert "**" not in markdown(overlapping)


def test_limited_runs_are_marked_and_never_bold(make_record):
    records = [make_record(method=method, protocol={"limit": 50}) for method in ("none", "cukd")]
    text = markdown(records)
    assert "limited, not comparable" in text
    assert "**" not in text


def test_a_missing_cost_leaves_a_dash(make_record):
    complete, partial = make_record(bits=16), make_record(bits=32)
    without = {name: metric for name, metric in partial.metrics.items() if name != "macs"}
    text = markdown([complete, partial.model_copy(update={"metrics": without})])
    assert "–" in text


@pytest.mark.parametrize(
    ("name", "detail", "head"),
    [
        ("map@50:expected:min[unseen]", {"chance": 0.12345, "relevant_share": 1 / 3}, "(chance 0.12)"),
        ("map@50:expected:relevant[unseen]", {"chance": 0.0061728}, "(chance 0.0062)"),
        # Of older records.
        ("map@all:expected:relevant[unseen]", {"relevant_share": 1 / 3}, "(chance 0.33)"),
        ("map@50:expected:relevant[unseen]", {"relevant_share": 1 / 3}, ""),
        # All classes have it in their records alone.
        ("map@all:expected:relevant", {"chance": 0.1}, ""),
    ],
)
def test_heads_say_what_a_random_order_scores_where_it_is_known(make_record, name, detail, head):
    metric = make_record().metrics["map@all:expected:relevant"].model_copy(update={"detail": detail})
    (group,) = summary_of([make_record(metrics={name: metric})]).groups
    assert Scale.of(group, name).detail == head.strip("()")


def test_macs_share_one_unit(make_record):
    small, large = make_record(bits=16), make_record(bits=32)
    macs = large.metrics["macs"].model_copy(update={"value": 4.1e9})
    large = large.model_copy(update={"metrics": {**large.metrics, "macs": macs}})
    assert "MACs (M)" in markdown([small])
    assert "MACs (G)" in markdown([small, large])


def test_unsteady_timings_are_marked(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    record = record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})
    text = markdown([record])
    assert "2.10†" in text
    assert "†: unsteady timings" in text
    assert "‡" not in text


def test_multiply_adds_that_are_not_fully_counted_are_marked(make_record):
    """Records of earlier versions do not say, and get no mark."""
    record = make_record()
    marked = {}
    for fully in (True, False):
        macs = record.metrics["macs"].model_copy(update={"detail": {"fully_counted": fully}})
        records = [record.model_copy(update={"metrics": {**record.metrics, "macs": macs}})]
        marked[fully] = markdown(records), latex(records)
    assert "88.8‡" in marked[False][0]
    assert "‡: not fully counted, at least so many" in marked[False][0]
    assert "the row may cost more than it seems to" in marked[False][0]
    assert r"$\ddagger$" in marked[False][1]
    assert not any("‡" in text for text in (*marked[True], markdown([record])))
    assert r"$\ddagger$" not in marked[True][1]


# -- Fronts --------------------------------------------------------------------------------------


def test_fronts_of_a_run(run_records):
    text = markdown(run_records)
    assert "#### mAP@all against MACs" in text
    assert "#### mAP@all against latency, batch 1" in text
    assert (
        "- Smallest student within 0.02 of the best student (0.862): cukd_v1 · cukd · dch · 16 bit at 88.7 M"
        in text
    )
    assert (
        "- Fastest student within 0.02 of the best student (0.862): cukd_v1 · cukd · dch · 32 bit, the best"
        in text
    )
    assert re.search(
        r"- Hypervolume 0\.\d{3}; of one method alone: cukd 0\.\d{3}, none 0\.\d{3}, teacher", text
    )
    assert "not ranked together" not in text


def test_limited_runs_have_no_fronts(make_record):
    text = markdown([make_record(bits=bits, protocol={"limit": 50}) for bits in (16, 32)])
    assert "Fronts" not in text
    assert "Hypervolume" not in text


def test_groups_say_why_they_are_apart(make_record):
    records = [make_record(), make_record(environment={"threads": 2})]
    for text in (markdown(records), latex(records)):
        assert re.search("2 groups, not ranked together: threads (2 against 8|8 against 2)", text)


def test_many_close_rows_are_counted_not_listed(make_record):
    base = make_record()
    records = []
    for i in range(30):
        record = make_record(f"s{i:02d}", bits=16)
        macs = base.metrics["macs"].model_copy(update={"value": 1e6 * (i + 1)})
        accuracy = base.metrics["map@all:expected:relevant"]
        accuracy = accuracy.model_copy(update={"value": accuracy.value - i / 10000})
        records.append(
            record.model_copy(update={"metrics": {"map@all:expected:relevant": accuracy, "macs": macs}})
        )
    text = markdown(records)
    assert text.count("not distinguishable |") == columns.MOST_CLOSE
    assert f"{29 - columns.MOST_CLOSE} more rows are not distinguishable from the front." in text


def test_unsteady_rows_on_the_front_are_doubted(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    text = markdown([record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})])
    assert "†: unsteady timings; the front may change when they are measured again." in text


def test_commands_stand_in_markdown_as_they_are(make_record):
    """Once for each recommended student, whatever is in them, and nowhere else."""
    summary = summary_of([make_record()])
    assert [len(fronts) for fronts in fronts_of(summary).values()] == [2]
    told = tables.markdown(summary, fronts_of(summary), lambda record: f"take `{record.cell.loss}` ``*_<b>")
    (section,) = re.findall(r"^#### Take a recommended student away\n\n((?:- .*\n)+)", told, re.MULTILINE)
    assert told.count("take `") == 1
    assert section == "- cukd_v1 · cukd · csq · 32 bit: ``` take `csq` ``*_<b> ```\n"
    assert "recommended student away" not in tables.markdown(summary, fronts_of(summary))


def front_against(records, cost):
    (group,) = summary_of(records).groups
    return front_of(group, "map", cost, 0.02)


def test_costs_that_keep_two_rows_on_a_front_are_told_apart(make_record):
    """The cheaper one is there for 0.003 M multiply-adds; times that are as near are no reason."""
    better, cheaper = make_record(loss="dch"), make_record()
    values = {"macs": (4_101_120, 4_098_048), "latency_ms@1": (2.0101, 2.0104)}
    records = []
    for i, record in enumerate((better, cheaper)):
        costs = {
            name: record.metrics[name].model_copy(update={"value": both[i]}) for name, both in values.items()
        }
        records.append(record.model_copy(update={"metrics": record.metrics | costs}))
    front = front_against(records, "macs")
    assert front.standings == ["front", "front"]
    *_, column = columns.front_columns(front)
    assert column.cells == ["4.101", "4.098"]
    assert columns.recommendation(front).endswith("at 4.098 M MACs.")
    *_, column = columns.front_columns(front_against(records, "latency_ms"))
    assert column.cells == ["2.01"] * len(column.cells)


def test_bytes_are_whole_numbers_and_those_of_a_code(make_record):
    code = Measured(value=16, unit="bytes", higher_is_better=False, noise="exact")
    record = make_record()
    record = record.model_copy(update={"metrics": record.metrics | {"code_bytes": code}})
    front = front_against([record], "code_bytes")
    *_, column = columns.front_columns(front)
    assert (column.head, column.detail, column.cells) == ("code", "bytes", ["16"])
    assert columns.recommendation(front).endswith("the best itself, at 16 bytes per code.")
