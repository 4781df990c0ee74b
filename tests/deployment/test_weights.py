"""Where a cell's network is, and what to do where it is no more."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from bench.comparison.baseline import write_baseline
from bench.deployment.cells import find_cell
from bench.deployment.weights import stage_of
from bench.errors import UsageError
from bench.planning.points import Choice
from bench.results.folder import ResultsFolder
from tests.deployment.runs import write_run
from tests.recorded import make_record, run_records

pytestmark = pytest.mark.usefixtures("folder")


def lost(path):
    with pytest.raises(UsageError) as error:
        stage_of(find_cell(str(path)))
    assert "\n" not in str(error.value)
    return str(error.value)


def command_in(message):
    """The options of the command that makes a network anew."""
    command = message.partition("make it anew: ")[2].rpartition(" (GRID: ")[0]
    return shlex.split(command)


def test_what_is_kept_with_the_results_comes_before_the_cache(done, folder):
    record = sorted(Path("results/tiny/records").iterdir())[0]
    cell = find_cell(str(record))
    assert stage_of(cell)[0].root == folder / "cache"
    weights = ResultsFolder(Path("results/tiny")).weights
    shutil.copytree(folder / "cache", weights)
    assert stage_of(cell)[0].root == weights
    shutil.rmtree(folder / "cache")
    store, stage = stage_of(cell)
    assert store.verify(store.path(*stage.place))


def test_of_every_cell_the_command_makes_this_one_and_no_other():
    run = write_run([*run_records(), make_record("cukd_v2"), make_record("timm:x", bits=16, loss="none")])
    infos = [record.cell for record in run.records]
    for record in run.records:
        if record.status == "ok":
            *start, overwrite, always = (arguments := command_in(lost(run.path(record))))[:10]
            assert start == ["python", "-m", "bench", "run", "--grid", "GRID", "--out", "results/fashion"]
            assert (overwrite, always) == ("--overwrite", "always")
            assert set(arguments[10::2]) <= {"--only"}
            choice = Choice(only=arguments[11::2])
            choice.check(infos)
            assert [info for info in infos if choice.selects(info)] == [record.cell]


def test_the_command_leaves_out_what_all_cells_share_unless_some_are_missing():
    cells = [make_record(loss=loss) for loss in ("csq", "dch")]
    run = write_run(cells)
    assert command_in(lost(run.path(run.records[0])))[10:] == ["--only", "loss=csq"]
    run = write_run(cells, missing=["another"])
    assert "student=cukd_v1" in command_in(lost(run.path(run.records[0])))


def test_a_limited_cell_is_made_anew_with_its_limit():
    run = write_run([make_record(protocol={"limit": 50})])
    assert command_in(lost(run.path(run.records[0])))[-2:] == ["--limit", "50"]


def test_the_message_says_where_was_looked_and_what_would_have_kept_it(folder):
    run = write_run([make_record()])
    said = lost(run.path(run.records[0]))
    assert f"neither in results/fashion/weights nor in the cache {folder / 'cache'}" in said
    assert said.endswith(
        "(GRID: the file of grid 'fashion', where 'report: {keep: front}' keeps the networks on its fronts)"
    )


def test_a_baseline_holds_numbers_alone(run_records):
    finished = [record for record in run_records if record.status == "ok"]
    write_baseline(write_run(finished), Path("baseline"))
    path = next(iter(ResultsFolder(Path("baseline")).all_records()))
    assert "as in baselines, which hold numbers alone" in lost(path)


@pytest.mark.slow
def test_the_command_brings_the_network_back(tiny, folder):
    assert tiny("run").code == 0
    record = sorted(Path("results/tiny/records").iterdir())[0]
    shutil.rmtree(folder / "cache")
    _, _, _, verb, *options = command_in(lost(record))
    options[options.index("GRID")] = "grid.yaml"
    assert tiny(verb, *options).code == 0
    stage_of(find_cell(str(record)))
