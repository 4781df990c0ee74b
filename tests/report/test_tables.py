import csv
import io
import re
from pathlib import Path

import pytest

from bench.records import Failure, Results
from bench.report import tables
from bench.report.rows import summarise

GOLDEN = Path(__file__).parents[1] / "golden"
HOSTILE = [
    "a|b",
    "_x_ *y* `z`",
    r"50%&#${}~^\cmd",
    "<script>alert(1)</script>",
    "[a](http://b)",
    "=1+2",
    "x\ny\x00",
]


def summary_of(records, missing=()):
    return summarise(Results(None, "fashion", [], records, list(missing), 0))


@pytest.mark.parametrize(
    ("name", "write"), [("report_table.md", tables.markdown), ("report_table.tex", tables.latex)]
)
def test_tables_are_as_reviewed(run_records, name, write):
    assert (
        write(summary_of(run_records, missing=["fashion_mnist__cukd_v2__s1"])) == (GOLDEN / name).read_text()
    )


def test_csv_has_every_cell_at_full_precision(run_records):
    lines = list(csv.DictReader(io.StringIO(tables.csv(run_records))))
    assert [line["status"] for line in lines] == [record.status for record in run_records]
    for line, record in zip(lines, run_records, strict=True):
        assert {name: float(line[name]) for name in record.metrics} == {
            name: metric.value for name, metric in record.metrics.items()
        }
    assert lines[-2]["error_message"] == "loss is not finite at step 12"
    assert lines[-2]["map@all:expected:relevant"] == ""


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1"])
def test_csv_text_is_never_a_formula(make_record, text):
    error = Failure(type="E", stage="measure", message=text)
    (line,) = csv.DictReader(io.StringIO(tables.csv([make_record(status="failed", error=error)])))
    assert line["error_message"].startswith("'")


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_survives_any_name(make_record, name):
    error = Failure(type="E", stage="distill", message=name)
    records = [make_record(name, loss=name), make_record(name, status="failed", error=error, dataset=name)]
    text = tables.markdown(summary_of(records))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert columns == {14, 9}  # two tables, each of one width
    assert not re.search(r"(?<!\\)<", text)
    assert not re.search(r"(?<!\\)\]\(", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_survives_any_name(make_record, name):
    error = Failure(type="E", stage="distill", message=name)
    records = [make_record(name, loss=name), make_record(name, status="failed", error=error, dataset=name)]
    text = tables.latex(summary_of(records))
    body = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {12, 7}
    escapes = r"\\[&%$#_{}]|\\text[a-z]+\{\}|\{[][*]\}|\$\\(?:pm|div)\$"
    bare = "".join(re.sub(escapes, "", line).replace(" & ", "") for line in body)
    assert not set(bare) & set(r"\#$%&_{}~^<>[]*")


def test_bold_only_where_intervals_are_apart(make_record):
    close = [make_record(method=method, bits=16) for method in ("none", "cukd")]
    text = tables.markdown(summary_of(close))
    assert "**" in text  # 0.03 apart, half widths 0.011
    overlapping = [make_record(loss=loss, bits=16) for loss in ("csq", "dch")]
    assert "**" not in tables.markdown(summary_of(overlapping))


def test_limited_runs_are_marked_and_never_bold(make_record):
    records = [make_record(method=method, protocol={"limit": 50}) for method in ("none", "cukd")]
    text = tables.markdown(summary_of(records))
    assert "limited, not comparable" in text
    assert "**" not in text


def test_a_missing_cost_leaves_a_dash(make_record):
    complete, partial = make_record(bits=16), make_record(bits=32)
    without = {name: metric for name, metric in partial.metrics.items() if name != "macs"}
    text = tables.markdown(summary_of([complete, partial.model_copy(update={"metrics": without})]))
    assert "–" in text


def test_macs_share_one_unit(make_record):
    small, large = make_record(bits=16), make_record(bits=32)
    macs = large.metrics["macs"].model_copy(update={"value": 4.1e9})
    large = large.model_copy(update={"metrics": {**large.metrics, "macs": macs}})
    assert "MACs (M)" in tables.markdown(summary_of([small]))
    assert "MACs (G)" in tables.markdown(summary_of([small, large]))


def test_unsteady_timings_are_marked(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    record = record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})
    text = tables.markdown(summary_of([record]))
    assert "2.10†" in text
    assert "†: unsteady timings" in text
