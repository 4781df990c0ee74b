"""A results folder: where things lie, what is read of it, and which one is the latest."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.errors import RecordError, UsageError
from bench.results import records
from bench.results.folder import ResultsFolder, latest_folder, load_results, save_index


def test_the_layout_is_that_of_earlier_versions():
    """Whoever reads a folder without this package finds things where they always were."""
    place = ResultsFolder(Path("results/x"))
    assert place == ResultsFolder.of_grid("x")
    found = [place.index, place.report, place.training_speed, place.record("c-1.5"), place.scores("c")]
    found += [place.examples("c"), place.examples("c", ".webp"), place.log("c"), place.split("s")]
    assert [path.relative_to(place.path).as_posix() for path in found] == [
        *("grid.json", "report", "perf_train.json", "records/c-1.5.json", "per_query/c.safetensors"),
        *("examples/c.json", "examples/c.webp", "logs/c.log", "splits/s.json"),
    ]


def test_what_lies_beside_a_record_is_found_by_it(write_results, make_record):
    record = make_record()
    folder = write_results([record])
    place, stem = ResultsFolder(folder), "000"
    results = load_results(folder)
    assert place.all_records() == [place.record(stem)]
    assert results.home(record) == place
    assert (results.per_query(record), results.examples(record)) == ({}, None)
    assert (results.sprite(record), results.log(record)) == (b"", "")
    for path in (place.scores(stem), place.examples(stem), place.log(stem)):
        path.parent.mkdir()
    save_file({"map": np.ones(3, np.float32)}, place.scores(stem))
    place.examples(stem).write_text('{"tile": 8, "rows": []}')
    place.examples(stem, ".webp").write_bytes(b"picture")
    place.log(stem).write_text("done")
    assert place.all_scores() == [place.scores(stem)]
    (scores,) = results.per_query(record).values()
    assert (scores.tolist(), scores.dtype) == ([1, 1, 1], np.float64)
    assert results.examples(record) == records.Examples(tile=8, rows=[])
    assert (results.sprite(record), results.log(record)) == (b"picture", "done")


@pytest.mark.parametrize("part", ["per_query", "examples"])
def test_what_is_damaged_is_named(write_results, make_record, part):
    record = make_record()
    folder = write_results([record])
    place = ResultsFolder(folder)
    path = {"per_query": place.scores("000"), "examples": place.examples("000")}[part]
    path.parent.mkdir()
    path.write_text("[")
    with pytest.raises(RecordError, match=f"{path.name}: damaged.*; delete it and run again"):
        getattr(load_results(folder), part)(record)


def test_the_latest_folder_is_the_one_that_was_run_into_last(folder):
    with pytest.raises(UsageError, match="no results folder here; first: python -m bench run"):
        latest_folder()
    for age, name in enumerate(("new", "old", "empty")):
        ResultsFolder.of_grid(name).path.mkdir(parents=True)
        if name != "empty":
            save_index(ResultsFolder.of_grid(name).path, name, [], {})
            os.utime(ResultsFolder.of_grid(name).index, (1e9 - age, 1e9 - age))
    assert latest_folder() == Path("results/new")


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '{"cells": {"k": 5}}',
        '{"name": "x", "pareto": [], "cells": {"k": 5}}',
        '{"name": "x", "pareto": [], "cells": null}',
        '{"name": "x", "pareto": 5, "cells": {}}',
        '{"name": "x", "pareto": [["map"]], "cells": {}}',
        '{"name": null, "pareto": [], "cells": {}}',
        "[" * 100_000,
        "",
    ],
    ids=lambda text: text[:50],
)
def test_an_index_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "grid.json").write_text(text)
    with pytest.raises(RecordError, match=r"grid\.json: [^_]*; run the grid again$"):
        load_results(tmp_path)


def test_results_know_what_is_missing_and_why_records_are_left_out(make_record, tmp_path):
    record = make_record().model_copy(update={"cell_key": "c" * 64})
    records.save(record, tmp_path / f"records/here-{'a' * 12}.json")
    for stem in ("here-" + "b" * 12, "elsewhere-" + "c" * 12, "elsewhere-" + "d" * 12):
        records.save(record.model_copy(update={"cell_key": stem}), tmp_path / f"records/{stem}.json")
    save_index(tmp_path, "x", [("map", "macs")], {"c" * 64: "here", "d" * 64: "not yet"}, "Why.\n")
    results = load_results(tmp_path)
    assert results.descriptions == ["Why."]
    assert (results.records, results.missing) == ([record], ["not yet"])
    assert results.left_out == {
        "of an earlier version of a cell (its parameters, data or plug-ins were others)": 1,
        "of cells that the grid does not have (another grid's, or taken out of it)": 2,
    }


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no results in it \(no grid.json\); make it with"):
        load_results(tmp_path)
    with pytest.raises(UsageError, match="no such folder; make it with"):
        load_results(tmp_path / "absent")


def test_a_folder_that_is_not_there_may_be_one_beside_it(tmp_path):
    save_index(tmp_path / "quick", "quick", [], {})
    (tmp_path / "quack").mkdir()  # holds no results
    with pytest.raises(UsageError, match=r"quik: no such folder; did you mean 'quick'\?$"):
        load_results(tmp_path / "quik")
    with pytest.raises(UsageError, match="quack: no results in it"):
        load_results(tmp_path / "quack")
