"""Many workers in virtual time, and what a worker of the command line does, writes and says."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bench as library
from bench.cli import main
from bench.errors import UsageError
from bench.execution import making, quiet
from bench.execution.run import _Recording
from bench.execution.session import RunOptions
from bench.results.folder import load_results
from bench.storage import artifact_index
from bench.storage.claims import Claims
from tests import simulated
from tests.conftest import PLUGINS, TINY_GRID
from tests.simulated_workers import cells_of, play

ROOT = Path(__file__).parents[2]
TINY = PLUGINS / "tiny.py"


@pytest.mark.parametrize(("cells", "workers"), [(30, 1), (100, 8), (300, 24)])
def test_workers_make_every_stage_once_in_hardly_more_than_the_least_time(cells, workers):
    played = play(cells_of(cells), workers, simulated.seconds)
    assert set(played.made.values()) == {1}
    assert len(played.made) == played.stages
    assert played.makespan <= 1.15 * played.bound + 5
    assert sum(played.operations.values()) <= 40 * played.stages
    assert played.ended == [dict.fromkeys(map(str, range(cells)), True)] * workers


def test_waiting_workers_ask_the_server_seldom():
    (cell,) = cells_of(1)
    played = play([cell], 10, lambda stage: 3600.0)
    assert played.makespan >= 4 * 3600
    assert sum(played.operations.values()) / played.makespan <= 0.7 * 10


def test_what_fails_is_tried_by_one_worker_and_costs_its_cells_alone():
    cells = cells_of(40)
    played = play(cells, 8, simulated.seconds, lambda stage: stage.slug in {"s1", "c35"})
    assert set(played.made.values()) == {1}
    well = {str(number): not (10 <= number < 20 or number == 35) for number in range(40)}
    assert played.ended == [well] * 8


@pytest.mark.parametrize("workers", [3, 12])
def test_workers_that_take_shares_of_the_work_make_all_of_it_together(workers):
    """Whoever ends the last stage of a cell knows that it is the last: somebody writes every record."""
    shares = [{"distill", "finetune"}, {"encode", "examples"}, {"measure"}]
    takes = [lambda stage, of=of: stage.share in of for of in shares]
    cells = cells_of(60)
    played = play(cells, workers, simulated.seconds, lambda stage: stage.slug == "c35", takes)
    assert set(played.made.values()) == {1}
    assert len(played.made) == played.stages - 3  # what would need the one that fails
    told = {cell: well for ended in played.ended for cell, well in ended.items()}
    assert told == {str(number): number != 35 for number in range(60)}


def test_a_worker_without_patience_ends_when_it_has_nothing_to_do():
    takes = [lambda stage: stage.kind == "encode"]
    played = play(cells_of(3), 1, simulated.seconds, takes=takes, patience=100.0)
    assert (played.ended, dict(played.made)) == ([{}], {})
    assert 100 <= played.makespan <= 120


def accuracies(folder="results/tiny"):
    """What must not depend on who makes it: numbers, and keys of stages, but for timings."""
    return {
        (r.cell.method, r.cell.loss): (
            {name: metric for name, metric in r.metrics.items() if metric.noise != "timed"},
            {name: (stage.key, stage.summary, stage.history) for name, stage in r.stages.items()},
        )
        for r in load_results(Path(folder)).records
    }


def test_workers_leave_timings_to_one_that_takes_them(tiny, folder):
    first = tiny("worker", "--jobs", "1")
    assert first.code == 0, first.err
    said = first.out.splitlines()
    assert said[0].startswith("0 of 4 cells ok in results/tiny; ")
    assert said[1] == (
        "4 cells wait for latency, peak_memory, search; on the machine whose times are wanted, run: "
        f"python -m bench worker --grid grid.yaml --out results/tiny --include {TINY} --timings"
    )
    assert not list((folder / "results/tiny").glob("records/*"))
    second = tiny("worker", "--jobs", "1", "--timings")
    assert second.code == 0, second.err
    assert second.out.splitlines()[0].startswith("4 of 4 cells ok in results/tiny; ")
    third = tiny("worker", "--jobs", "2")
    assert third.out == "4 of 4 cells ok in results/tiny; nothing to do, every cell has a record\n"
    assert tiny("run", "--out", "alone").code == 0
    shutil.rmtree(folder / "cache")
    assert tiny("run", "--out", "anew").code == 0
    assert accuracies() == accuracies("alone") == accuracies("anew")
    assert not (folder / "results/tiny/at-work").exists()


def beside(claims, seconds, begun, name):
    """Hold a claim of this machine for a while, as a worker does that is at something."""
    claim = claims.take(name)

    def release():
        time.sleep(seconds)
        begun.append(time.monotonic())
        claim.release()

    threading.Thread(target=release).start()


def test_a_run_and_workers_of_its_machine_wait_for_each_others_timings(tiny, folder, monkeypatch):
    only = ("--only", "method=none", "--only", "loss=csq")
    make, made = making._make, []

    def noted(stage, *arguments, **more):
        made.append((stage.timed, time.monotonic()))
        return make(stage, *arguments, **more)

    monkeypatch.setattr(making, "_make", noted)
    claims, ended = Claims(folder / "cache/claims"), []
    beside(claims, 3, ended, quiet.name())
    first = tiny("run", *only)
    assert first.code == 0
    assert "waiting for another worker of this machine, which takes timings" in first.err
    assert min(when for _, when in made) >= ended[0]
    for path in (*(folder / "cache/measure").glob("latency*"), *(folder / "results/tiny/records").iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    made.clear()
    beside(claims, 3, ended, "a-stage")
    second = tiny("run", *only)
    assert second.code == 0
    assert "timings: waiting for stages of this machine to end: " in second.err
    ((timed, when),) = made
    assert timed
    assert when >= ended[1]
    assert claims.names() == set()


def test_the_command_that_takes_timings_is_about_the_same_cells(tiny, folder):
    chosen = ("--only", "method=none", "--only", "loss=csq", "--set", "axes.bits=[ 8 ]", "--limit", "60")
    first = tiny("worker", "--jobs", "1", "--out", "my results", *chosen)
    command = shlex.split(first.out.partition("run: ")[2])
    assert command[:3] == ["python", "-m", "bench"]
    assert main([*command[3:], "--jobs", "1"]) == 0
    assert [record.cell.bits for record in load_results(Path("my results")).records] == [8]


def test_a_worker_without_timings_counts_records_with_those_of_other_hardware(tiny, monkeypatch):
    assert tiny("run").code == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # other hardware
    assert "nothing to do" in tiny("worker", "--jobs", "1").out
    assert "nothing to do" not in tiny("run", "--only", "method=none", "--only", "loss=csq").out


def test_workers_by_kinds_of_stages_make_the_same(tiny, folder):
    assert tiny("run", "--out", "alone").code == 0
    shutil.rmtree(folder / "cache")
    first = tiny("worker", "--jobs", "1", "--stages", "features,distill,finetune")
    assert first.code == 0, first.err
    assert first.out.splitlines() == [
        "0 of 4 cells ok in results/tiny; 7 stages made here",
        "left to other workers: 4 encode, 4 examples, 31 measure",
    ]
    impatient = tiny("worker", "--jobs", "1", "--stages", "timings,measure", "--patience", "1")
    assert impatient.code == 0, impatient.err
    assert (
        impatient.out.splitlines()[1] == "left to other workers: 4 encode, 4 examples, 28 measure, 4 timings"
    )
    third = tiny("worker", "--jobs", "1", "--stages", "encode,examples,measure")
    assert third.out.splitlines()[1] == "left to other workers: timings of 4 cells"
    last = tiny("worker", "--jobs", "1", "--stages", "timings")
    assert last.out == "4 of 4 cells ok in results/tiny; 4 stages made here\n"
    assert accuracies() == accuracies("alone")
    refused = tiny("worker", "--stages", "encode", "--timings")
    assert (refused.code, refused.err) == (2, "error: --timings: name timings in --stages instead\n")


def test_a_failure_on_other_hardware_is_the_same_failure(tiny, folder, monkeypatch):
    """Kinds of workers of a cluster differ in their hardware, which is in the names of records."""
    boom = ("{views: 2,", "{lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd, views: 2,")
    assert tiny("worker", "--jobs", "1", "--stages", "features,distill,finetune", edit=boom).code == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert tiny("worker", "--jobs", "1", "--timings", edit=boom).code == 1
    statuses = sorted((r.cell.method, r.status) for r in load_results(Path("results/tiny")).records)
    assert statuses == [("cukd", "failed"), ("cukd", "skipped"), ("none", "ok"), ("none", "ok")]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    only = ("--only", "method=cukd", "--timings", "--overwrite", "failed")
    assert tiny("worker", "--jobs", "1", *only, edit=boom).code == 1
    cukd = [r for r in load_results(Path("results/tiny")).records if r.cell.method == "cukd"]
    assert sorted(record.status for record in cukd) == ["failed", "skipped"]


def test_a_worker_with_jobs_makes_the_same(tiny, folder):
    assert tiny("run", "--out", "alone").code == 0
    shutil.rmtree(folder / "cache")
    result = tiny("worker", "--jobs", "2", "--timings")
    assert result.code == 0, result.err
    assert accuracies() == accuracies("alone")


def test_failures_are_records_and_tried_again_when_asked(tiny, folder):
    boom = ("{views: 2,", "{lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd, views: 2,")
    first = tiny("worker", "--jobs", "1", "--timings", edit=boom)
    assert first.code == 1
    statuses = sorted((r.cell.method, r.status) for r in load_results(Path("results/tiny")).records)
    assert statuses == [("cukd", "failed"), ("cukd", "skipped"), ("none", "ok"), ("none", "ok")]
    (note,) = (folder / "results/tiny/failures").iterdir()
    assert note.name.startswith("distill-")
    # Another worker knows, and would write the records if they were not there.
    for path in (folder / "results/tiny/records").iterdir():
        path.unlink()
    second = tiny("worker", "--jobs", "1", "--timings", "-v", edit=boom)
    assert second.code == 1
    assert "distill" not in [line.split()[1] for line in second.err.splitlines() if line.startswith("[")]
    assert sorted((r.cell.method, r.status) for r in load_results(Path("results/tiny")).records) == statuses
    third = tiny("worker", "--jobs", "1", "--timings", "--overwrite", "failed", "-v", edit=boom)
    assert third.code == 1
    assert "lower lr" in third.err
    assert "2 of 4 cells ok" in third.out


def test_a_worker_replaces_records_that_cannot_be_read_or_have_no_numbers(tiny, folder, monkeypatch):
    only = ("--only", "method=none", "--jobs", "1", "--timings")
    assert tiny("worker", *only).code == 0
    damaged, failed = sorted(Path("results/tiny/records").iterdir())
    right = damaged.read_text()
    damaged.write_text(right[:100])
    # Another worker, which had seen a failure that this one tries again, has come first.
    content = json.loads(failed.read_text()) | {"status": "failed", "metrics": {}, "per_query": {}}
    content["error"] = {"type": "OSError", "stage": "finetune", "message": "it broke"}
    take = _Recording.take

    def late(recording, ended):
        failed.write_text(json.dumps(content))
        return take(recording, ended)

    monkeypatch.setattr(_Recording, "take", late)
    failed.unlink()
    (encoded,) = (folder / "cache/encode").glob("*none__dch*")
    (measured,) = (folder / "cache/measure").glob("map__*none__dch*")
    shutil.rmtree(encoded)
    shutil.rmtree(measured)
    again = tiny("worker", *only)
    assert (again.code, again.out.splitlines()[0].partition(";")[0]) == (0, "2 of 2 cells ok in results/tiny")
    found = load_results(Path("results/tiny")).records
    assert [record.status for record in found] == ["ok", "ok"]
    assert accuracies().keys() == {("none", "csq"), ("none", "dch")}


def test_what_is_at_work_on_a_folder_is_told(tiny, folder):
    assert tiny("run").code == 0
    claims = Claims(folder / "results/tiny/at-work")
    claim = claims.take("other", role="worker", timings=True)
    result = tiny("run")
    claim.release()
    assert "at work on results/tiny, too: a worker, " in result.err
    assert f"process {os.getpid()}" in result.err


def test_who_is_at_work_with_other_cells_is_warned_of(tiny, folder, monkeypatch):
    """As with an edited grid, or with another release: each makes what the other has no use for."""
    take, told = Claims.take, []
    monkeypatch.setattr(
        Claims, "take", lambda self, name, **about: told.append(about) or take(self, name, **about)
    )
    assert tiny("run").code == 0
    (mine,) = [about for about in told if "role" in about]
    claims = Claims(folder / "results/tiny/at-work")
    for about, warned in ((mine, False), (mine | {"cells": "other"}, True)):
        claim = claims.take("other", **about)
        result = tiny("run")
        claim.release()
        assert "at work on results/tiny, too: a run, " in result.err
        assert ("that run has other cells than this one" in result.err) == warned


@pytest.mark.parametrize("verb", ["run", "worker"])
def test_a_folder_of_another_grid_is_refused_unless_it_is_to_be_replaced(tiny, verb):
    only = ("--only", "method=none", "--only", "loss=csq", "--jobs", "1")
    assert tiny("run", "--out", "out", *only).code == 0
    other = ("name: tiny", "name: other")
    refused = tiny(verb, "--out", "out", *only, edit=other)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: out: the results of another grid, 'tiny', and not of 'other'; name another --out, or pass "
        "--add, which shows the cells of both, or --replace-grid, which leaves its records there and out of "
        "all reports\n"
    )
    assert tiny(verb, "--out", "out", *only, "--replace-grid", edit=other).code == 0
    assert load_results(Path("out")).name == "other"
    # The same grid with other cells goes on.
    assert (
        tiny(verb, "--out", "out", *only, edit=("name: tiny\n", "name: other\ndescription: edited\n")).code
        == 0
    )


def test_a_claim_in_the_way_of_a_run_is_waited_for_and_of_a_worker_not(tiny, folder):
    only = ("--only", "method=none", "--only", "loss=csq", "--jobs", "1")
    assert tiny("run", *only).code == 0
    (measured,) = (folder / "cache/measure").glob("map__*none__csq*")
    shutil.rmtree(measured)
    shutil.rmtree(folder / "results")
    claims = Claims(folder / "cache/claims", lease=2)
    claim = claims.take(measured.name)
    path = folder / "cache/claims" / measured.name
    holder = json.loads(path.read_text())
    path.write_text(json.dumps({**holder, "processes": "elsewhere", "host": "elsewhere"}))
    claim._released.set()  # no sign of life from now on
    began = time.monotonic()
    result = tiny("worker", *only, "--timings", "--lease", "2")
    assert result.code == 0
    assert time.monotonic() - began > 1
    assert f"{measured.name}: no sign of life from elsewhere, process {os.getpid()}" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": "clouds"}, "executor: 'clouds' is none of local, workers, slurm, ray"),
        ({"lease": 0.5}, "lease: 0.5 is not a number of seconds from 1 on"),
        ({"lease": float("nan")}, "lease: nan is not a number of seconds from 1 on"),
        ({"timings": False}, "timings: a run takes them itself; executor='workers' may leave them to others"),
    ],
)
def test_what_no_worker_can_have_is_told(options, said):
    with pytest.raises(UsageError) as caught:
        RunOptions(**options)
    assert str(caught.value) == said


def test_workers_make_nothing_anew():
    with pytest.raises(UsageError, match="with workers nothing is made anew"):
        RunOptions(executor="workers", overwrite="always")


def test_a_worker_is_a_call_too(folder, monkeypatch):
    monkeypatch.setattr(logging.getLogger("bench"), "handlers", [])
    (folder / "grid.yaml").write_text(TINY_GRID)
    options = {"plugins": [PLUGINS / "tiny.py"], "only": ["method=none"], "executor": "workers"}
    outcome = library.run("grid.yaml", timings=False, **options)
    assert (outcome.ok, len(outcome.untimed), outcome.exit_code) == (0, 2, 0)
    assert library.run("grid.yaml", **options).ok == 2


def test_a_record_says_where_stages_were_made_if_not_all_in_one_place(tiny, folder):
    only = ("--only", "method=none", "--only", "loss=csq")
    assert tiny("run", "--out", "one", *only).code == 0
    (record,) = load_results(Path("one")).records
    assert "made_on" not in record.environment
    (index,) = (folder / "cache/finetune").glob("*/artifact.json")
    content = artifact_index.parsed(index.read_bytes())
    index.write_text(artifact_index.text({**content, "hardware": "other"}))
    assert tiny("run", "--out", "two", *only).code == 0
    (record,) = load_results(Path("two")).records
    assert record.environment["made_on"]["finetune"] == "other"
    assert record.environment["made_on"]["encode"] != "other"


@pytest.mark.slow
def test_three_worker_processes_give_the_records_of_a_run(tiny, folder):
    assert tiny("run", "--out", "alone").code == 0
    shutil.rmtree(folder / "cache")
    command = [sys.executable, "-m", "bench", "worker", "--grid", str(folder / "grid.yaml"), "--jobs", "1"]
    command += ["--include", str(PLUGINS / "tiny.py"), "--out", str(folder / "shared")]
    workers = [
        subprocess.Popen(
            [*command, *more], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for more in ([], [], ["--timings"])
    ]
    said = [worker.communicate(timeout=250) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    assert accuracies("shared") == accuracies("alone")
    made = [int(out.split("; ")[1].split()[0]) for out, _ in said]
    assert sum(made) == len(list((folder / "cache").glob("*/*/artifact.json")))
