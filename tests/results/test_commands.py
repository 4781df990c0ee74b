"""What is offered can be pasted: where it was made it means what it says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bench.results import commands
from bench.results.folder import load_results
from bench.results.records import StageInfo


@pytest.mark.parametrize("given", ["results/quick", "./results/quick", "{here}/results/quick"])
def test_what_lies_below_the_working_folder_is_typed_from_there(folder, given):
    assert commands.typed(Path(given.format(here=folder))) == "results/quick"


@pytest.mark.parametrize("given", ["/somewhere/else", "../results/quick"])
def test_what_lies_elsewhere_is_typed_as_it_was_given(folder, given):
    assert commands.typed(Path(given)) == given


def test_names_of_folders_are_quoted(folder, make_record, write_results):
    odd = write_results([make_record()]).rename(folder / "a 'b' $(c)")
    results = load_results(odd)
    results.records[0].stages["encode"] = StageInfo(key="ab", seconds=1, cached=False)
    command = commands.export(results, results.records[0])
    *_, path, bundle = shlex.split(command)
    assert (Path(path), bundle) == (odd.relative_to(folder) / "records/000.json", "my-student")
    assert shlex.split(commands.export_best(odd))[4:] == ["--best", odd.name, "my-student"]


def test_nothing_is_offered_of_cells_without_a_network(make_record, write_results):
    results = load_results(write_results([make_record(status="failed"), make_record("cukd_v2")]))
    assert [commands.export(results, record) for record in results.records] == ["", ""]
