"""Results as data frames: a row a cell, a row a configuration."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.errors import UsageError
from bench.results.frame import load
from bench.results.summary import summarise
from tests.recorded import cost, make_record

PUBLISHED = sorted((Path(__file__).parents[2] / "results/published").iterdir())
MAP, LATENCY = "map@all:expected:relevant", "latency_ms@1"
#: What a cell and its row over seeds have in common.
COMMON = ["group", "role", "configuration", "dataset", "teachers", "student", "method", "loss", "bits"]
COMMON += ["image_size"]


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
    assert columns[:10] == COMMON
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
    assert frame["protocol.k"].tolist() == ["all", "all", "10"]


@pytest.mark.parametrize("some", [[], [make_record()], [make_record(status="failed")]])
def test_columns_of_other_things_than_metrics_are_there_whatever_was_run(write_results, some):
    """And of one type: text is text where all of it is missing."""
    results = load(write_results(some))
    text = ["status", "warnings", "error_message", "doubts", "accuracy_name", "gpu", "commit", "key"]
    types = {name: str(dtype) for name, dtype in results.frame().dtypes.items()}
    assert {types[name] for name in [*COMMON[:8], *text]} == {"string"}
    assert {types[name] for name in ("bits", "seed", "image_size")} == {"int64"}
    assert types["accuracy"] == "float64"
    assert types["created"].endswith("UTC]")
    types = {name: str(dtype) for name, dtype in results.summary().dtypes.items()}
    text = ["doubts", "accuracy_name", "protocol", "conditions"]
    assert {types[name] for name in [*COMMON[:8], *text]} == {"string"}
    assert {types[name] for name in ("bits", "seeds", "image_size")} == {"int64"}
    assert {types[name] for name in ("limited", "warned")} == {"bool"}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_a_finished_cell_finds_its_row(folder):
    results = load(folder)
    cells, rows = results.frame(), results.summary()
    found = cells.merge(rows, on=["group", "configuration"], validate="many_to_one", suffixes=("", " of row"))
    assert found["key"].tolist() == cells["key"].tolist()
    for name in (*COMMON[3:], "role", "accuracy_name"):
        assert found[name].equals(found[f"{name} of row"]), name
    assert found.groupby(["group", "configuration"])["seed"].nunique().tolist() == (
        rows.set_index(["group", "configuration"])["seeds"].sort_index().tolist()
    )


def test_a_cell_without_numbers_has_no_group(results):
    frame = results.frame().set_index("status")
    assert pd.isna(frame.loc["failed", "group"])
    assert pd.isna(frame.loc["failed", "accuracy"])
    assert set(frame.loc["ok", "group"]) == {"fashion_mnist"}


def test_networks_have_the_names_of_the_grid_and_configurations_those_of_tables(write_results):
    """Parameters are spelt out in the latter, and teachers marked."""
    short = make_record("efficientnet_lite0", "none", params={"loss": {"epochs": 2}})
    some = [make_record(), short, make_record("efficientnet_lite0", "none")]
    results = load(write_results(some))
    for frame in (results.frame(), results.summary()):
        teachers = frame[frame["role"] == "teacher"]
        assert set(teachers["student"]) == {"efficientnet_lite0"}
        assert set(teachers["loss"]) == {"csq"}
        assert set(teachers["configuration"]) == {
            f"efficientnet_lite0 (teacher) · none · csq[epochs={epochs}] · 32 bit" for epochs in (2, 30)
        }


def test_what_is_judged_has_a_column(results):
    for frame in (results.frame(), results.summary()):
        assert set(frame["accuracy_name"].dropna()) == {MAP}
        assert frame["accuracy"].equals(frame[MAP].rename("accuracy"))


def test_marks_of_tables_are_doubts(write_results):
    """Of any seed."""
    metrics = make_record().metrics
    marked = {
        LATENCY: cost(2.0, "ms", "timed", noisy=True),
        "macs": cost(9e7, "multiply-adds", fully_counted=False),
    }
    some = [make_record(), make_record(seed=1, metrics={**metrics, **marked}), make_record(bits=64)]
    results = load(write_results(some))
    said = "macs: not fully counted, at least so many; latency_ms@1: unsteady timings"
    assert results.frame()["doubts"].fillna("").tolist() == ["", said, ""]
    assert results.summary()["doubts"].fillna("").tolist() == [said, ""]


def test_a_seed_that_was_run_again_is_found_and_told_of(write_results):
    newer = make_record(environment={"fingerprint": "ba9876543210"}).model_copy(
        update={"created": "2025-01-02T00:00:00+00:00"}
    )
    frame = load(write_results([make_record(), newer])).frame()
    assert frame["group"].notna().all()
    assert frame["doubts"].fillna("").tolist() == ["a newer record of this seed counts in its place", ""]


def test_a_metric_takes_no_other_column_for_its_own(write_results):
    """Plug-ins may call theirs as they like."""
    metrics = {
        **make_record().metrics,
        "accuracy": make_record().metrics[MAP].model_copy(update={"value": 0.5}),
    }
    results = load(write_results([make_record(metrics=metrics)]))
    for frame in (results.frame(), results.summary()):
        assert frame["metric.accuracy"].tolist() == [0.5]
        assert frame["metric.accuracy_low"].notna().all()
        assert frame["accuracy"].tolist() == [metrics[MAP].value]
        assert "accuracy_low" not in frame


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
    assert set(frame[f"{MAP}_over"]) == {"seeds"}
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
    assert frame[f"{MAP}_over"].dropna().to_dict() == {32: "queries"}
    assert frame["params"].isna().to_dict() == {16: True, 32: False, 64: True}


def test_results_without_records_have_no_rows(write_results):
    results = load(write_results([]))
    assert (len(results.frame()), len(results.summary())) == (0, 0)


def test_results_are_shown_in_one_line(write_results, run_records):
    folder = write_results(run_records)
    assert repr(load(folder)) == f"<LoadedResults 'fashion' in {folder}: 1 failed, 27 ok, 1 skipped>"
    assert repr(load(write_results([]))).endswith(": no records>")


def test_what_is_not_there_is_told(write_results, run_records, caplog):
    load(write_results(run_records))
    assert caplog.messages == []
    results = load(write_results(run_records[:-1], missing=["cell-a", "cell-b"]))
    assert sorted(results.missing) == ["cell-a", "cell-b"]
    assert caplog.messages == [
        "left out: 1 record of cells that the grid does not have (another grid's, or taken out of it)",
        "missing: 2 cells of the grid without a record",
    ]


def test_a_list_of_folders_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"^load: \['a', 'b'\] is not the path of a folder; pass several as"):
        load(["a", "b"])
