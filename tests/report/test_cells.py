"""A line a cell, as CSV and Parquet."""

import csv
import importlib.util
import io
import json

import pytest

from bench.report.tables.cells import CellTable
from bench.results.records import Failure


def test_csv_has_every_cell_at_full_precision(run_records):
    lines = list(csv.DictReader(io.StringIO(CellTable(run_records).csv())))
    assert [line["status"] for line in lines] == [record.status for record in run_records]
    for line, record in zip(lines, run_records, strict=True):
        assert {name: float(line[name]) for name in record.metrics} == {
            name: metric.value for name, metric in record.metrics.items()
        }
    assert lines[-2]["error_message"] == "loss is not finite at step 12"
    assert lines[-2]["map@all:expected:relevant"] == ""


@pytest.mark.parametrize(
    "text",
    ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "\r=1", "\t\r =1", "＝1", "＋1", "－1", "＠A", "﹢1"],
)
def test_csv_text_is_never_a_formula(make_record, text):
    error = Failure(type="E", stage="measure", message=text)
    (line,) = csv.DictReader(io.StringIO(CellTable([make_record(status="failed", error=error)]).csv()))
    assert line["error_message"].startswith("'")


def test_csv_heads_are_never_formulas(make_record):
    record = make_record()
    metrics = {"=cmd()": record.metrics["macs"], "\t@x": record.metrics["macs"]}
    text = CellTable([record.model_copy(update={"metrics": metrics})]).csv()
    heads = next(csv.reader(io.StringIO(text)))
    assert {"'=cmd()", "'@x"} <= set(heads)


def test_negative_numbers_stay_numbers(make_record):
    record = make_record()
    change = record.metrics["macs"].model_copy(update={"value": -0.25})
    record = record.model_copy(update={"metrics": {"onnx_map_change:int8": change}})
    (line,) = csv.DictReader(io.StringIO(CellTable([record]).csv()))
    assert line["onnx_map_change:int8"] == "-0.25"


def test_parquet_has_the_same_cells_with_types(run_records):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(CellTable(run_records).parquet()))
    assert table.num_rows == len(run_records)
    types = {field.name: field.type for field in table.schema}
    for name in ("bits", "seed", "image_size", "threads"):
        assert types.pop(name) == pa.int64()
    numbers = {name for record in run_records for name in record.metrics}
    numbers |= {f"{name} {end}" for name in numbers if name.startswith("map") for end in ("low", "high")}
    assert {name for name, kind in types.items() if kind == pa.float64()} == numbers
    assert all(kind == pa.string() for name, kind in types.items() if name not in numbers)
    for line, record in zip(table.to_pylist(), run_records, strict=True):
        assert line["bits"] == record.cell.bits
        assert json.loads(line["params_json"]) == record.params
        for name in numbers & set(record.metrics):
            assert line[name] == record.metrics[name].value
        if record.status != "ok":
            assert line["macs"] is None
            assert line["error_message"] == record.error.message


def test_parquet_is_the_same_every_time(run_records):
    pytest.importorskip("pyarrow")
    assert CellTable(run_records).parquet() == CellTable(run_records).parquet()


def test_no_parquet_without_pyarrow(run_records, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert CellTable(run_records).parquet() is None
