"""Results as data frames: a row a cell, a row a configuration."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.results.frame import load
from bench.results.summary import summarise
from tests.recorded import make_record

MAP, LATENCY = "map@all:expected:relevant", "latency_ms@1"


@pytest.fixture
def results(write_results, run_records):
    return load(write_results(run_records))


def test_there_is_a_row_for_every_cell_in_the_order_of_records(results):
    frame = results.frame()
    assert frame["key"].tolist() == [record.key for record in results.records]
    assert frame.index.tolist() == list(range(len(results.records)))
    assert frame["status"].value_counts().to_dict() == {"ok": 27, "failed": 1, "skipped": 1}


def test_a_row_holds_the_cell_its_numbers_and_where_they_come_from(results):
    frame = results.frame()
    row = frame[(frame["method"] == "cukd") & (frame["bits"] == 32) & (frame["seed"] == 1)].iloc[0]
    record = next(record for record in results.records if record.key == row["key"])
    assert row["configuration"] == "cukd_v1 · cukd · csq · 32 bit"
    assert (row["dataset"], row["teachers"], row["loss"]) == ("fashion_mnist", "efficientnet_lite0", "csq")
    assert (row["image_size"], row["protocol.k"], row["protocol.manifest"]) == (64, "all", "5f1c0e2a77b0")
    assert {name: row[name] for name in record.metrics} == {
        name: metric.value for name, metric in record.metrics.items()
    }
    assert (row[f"{MAP}_low"], row[f"{MAP}_high"]) == record.metrics[MAP].interval
    assert f"{LATENCY}_low" not in frame
    assert (row["cpu"], row["device"], row["threads"]) == ("Example CPU 16-Core", "cpu", 8)
    assert (row["precision"], row["commit"]) == ("fp32", "c0ffee")
    assert row["created"] == pd.Timestamp("2025-01-01", tz="UTC")


def test_a_cell_without_numbers_says_why(results):
    row = results.frame().set_index("status").loc["failed"]
    assert (row["error_type"], row["error_stage"]) == ("RuntimeError", "finetune")
    assert row["error_message"] == "loss is not finite\nat step 12"
    assert pd.isna(row[MAP])


def test_columns_are_the_cell_then_metrics_then_the_environment(write_results, run_records):
    """Also where the first record has no numbers."""
    columns = list(load(write_results(run_records[::-1])).frame())
    found = [columns.index(name) for name in ("dataset", "status", MAP, LATENCY, "device", "created", "key")]
    assert found == sorted(found)
    assert columns[0] == "configuration"
    assert len(columns) == len(set(columns))


def test_columns_have_types(write_results):
    """Numbers are numbers whatever some records lack; nothing else is."""
    lacking = make_record(seed=1, environment={"threads": None, "git": None}, metrics={})
    odd = make_record(seed=2, environment={"job_threads": "two", "cpu": ["a", "b"]}, protocol={"k": 10})
    odd = odd.model_copy(update={"created": "yesterday"})
    frame = load(write_results([make_record(), lacking, odd])).frame()
    assert {str(frame[name].dtype) for name in ("bits", "seed", "image_size")} == {"int64"}
    assert {str(frame[name].dtype) for name in (MAP, f"{MAP}_low", "params", LATENCY)} == {"float64"}
    assert {str(frame[name].dtype) for name in ("threads", "job_threads")} == {"Int64"}
    assert frame["threads"].isna().tolist() == [False, True, False]
    assert frame["job_threads"].isna().all()
    assert isinstance(frame["created"].dtype, pd.DatetimeTZDtype)
    assert frame["created"].isna().tolist() == [False, False, True]
    assert frame["commit"].isna().tolist() == [False, True, False]
    assert frame["cpu"][2] == '["a", "b"]'
    assert frame["protocol.k"].tolist() == ["all", "all", 10]


def test_the_summary_is_that_of_the_tables(results):
    frame, rows = results.summary(), summarise(results).groups[0].rows
    assert frame["configuration"].tolist() == [str(row.configuration) for row in rows]
    assert frame["role"].tolist() == [row.role for row in rows]
    assert set(frame["seeds"]) == {3}
    for name in (MAP, "params", LATENCY):
        assert frame[name].tolist() == [row.estimates[name].value for row in rows]
    assert frame[f"{MAP}_half_width"].tolist() == [row.estimates[MAP].half_width for row in rows]
    ends = list(zip(frame[f"{MAP}_low"], frame[f"{MAP}_high"], strict=True))
    assert ends == [row.estimates[MAP].interval for row in rows]
    assert set(frame[f"{MAP}_n"]) == {3}
    assert f"{LATENCY}_n" not in frame
    assert set(frame["conditions"]) == {"Example CPU 16-Core · 8 threads · fp32"}


def test_rows_that_are_not_comparable_are_in_groups_of_their_own(write_results):
    some = [make_record(), make_record(dataset="digits"), make_record(bits=16, protocol={"limit": 8})]
    frame = load(write_results(some)).summary()
    assert frame["group"].nunique() == 3
    assert frame["limited"].tolist() == ["limit=8" in protocol for protocol in frame["protocol"]]


def test_what_a_row_lacks_is_missing(write_results):
    """One configuration has no interval, another not the metric."""
    metrics = make_record().metrics
    alone = {MAP: metrics[MAP].model_copy(update={"interval": None})}
    some = [make_record(), make_record(bits=16, metrics=alone), make_record(bits=64, metrics={})]
    frame = load(write_results(some)).summary().set_index("bits")
    assert frame[f"{MAP}_n"].dropna().to_dict() == {16: 1, 32: 1}
    assert frame[f"{MAP}_half_width"].isna().to_dict() == {16: True, 32: False, 64: True}
    assert frame["params"].isna().to_dict() == {16: True, 32: False, 64: True}


def test_results_without_records_have_no_rows(write_results):
    results = load(write_results([]))
    assert (len(results.frame()), len(results.summary())) == (0, 0)
