"""Results folders as one, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench
from bench.errors import UsageError
from bench.results.folder import ResultsFolder, save_index
from bench.results.frame import load


def test_one_folder_is_read_by_its_name_or_its_path(write_results, run_records):
    folder = write_results(run_records)
    assert load(folder) == load(str(folder))
    assert len(load(folder).records) == len(run_records)


def test_several_are_one(write_results, make_record, tmp_path):
    first = write_results([make_record(seed=0)]).rename(tmp_path / "first")
    second = write_results([make_record(seed=0), make_record(seed=1)])
    both = load(first, str(second))
    assert [record.cell.seed for record in both.records] == [0, 1]
    assert both.left_out == {"of cells that another folder has, too, finished or newer": 1}
    assert both.folders == [first, second]


def test_the_last_run_is_read_where_none_is_named(folder):
    with pytest.raises(UsageError, match="no results folder here"):
        load()
    save_index(ResultsFolder.of_grid("fashion").path, "fashion", [], {})
    assert load().folder == Path("results/fashion")


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="absent: no such folder"):
        load("absent")


def test_the_package_offers_it():
    assert bench.load is load
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'lode'"):
        bench.lode  # noqa: B018
