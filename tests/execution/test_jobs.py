"""Several jobs: the same numbers, every fault a record, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.execution.pools import processes, worker
from bench.planning.stage import SCORES_FILE
from bench.results.folder import load_results
from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parents[2]

#: A student that ends its own process, as the system does when memory runs out.
DEADLY = """\
import os, signal
from bench.registry import STUDENTS
from torch import nn

class Kill(nn.Module):
    def forward(self, x):
        if x.device.type != "meta" and (x.requires_grad or self.training):
            os.kill(os.getpid(), signal.SIGKILL)
        return x

@STUDENTS.register_as("deadly")
class Deadly(STUDENTS.get("tiny_student")):
    def build(self):
        return nn.Sequential(super().build(), Kill())
"""


#: A loss that writes down how many threads everything has that computes.
POOLS = """\
import json, os
from bench.losses.csq import Csq
from bench.registry import LOSSES

@LOSSES.register_as("pools")
class Pools(Csq):
    def begin_epoch(self, epoch):
        import faiss, threadpoolctl, torch
        found = {"torch": torch.get_num_threads(), "faiss": faiss.omp_get_max_threads()}
        for pool in threadpoolctl.threadpool_info():
            found[pool["user_api"]] = max(pool["num_threads"], found.get(pool["user_api"], 0))
        found["waiting"] = os.environ.get("OMP_WAIT_POLICY")
        with open(f"pools-{os.getpid()}", "a") as file:
            file.write(json.dumps(found) + "\\n")
        super().begin_epoch(epoch)
"""


def numbers(folder):
    """What must not depend on jobs: accuracies, and checksums of weights, codes, per-query values."""
    found = load_results(Path(folder)).records
    values = {
        (r.cell.method, r.cell.loss): {
            name: metric.value for name, metric in r.metrics.items() if metric.noise != "timed"
        }
        for r in found
    }
    sums = {}
    for path in Path(folder, "cache").glob("*/*/artifact.json"):
        index = json.loads(path.read_text())
        if "hardware" not in index["spec"]:
            sums |= {
                (index["kind"], index["key"], name): file["sha256"] for name, file in index["files"].items()
            }
    return values, sums


@pytest.fixture
def run_with(tiny, folder, monkeypatch):
    """Run the tiny grid with an empty cache of its own, on so many cores; the numbers."""

    def call(out, cores, *arguments):
        monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
        monkeypatch.setenv("BENCH_CACHE", str(folder / out / "cache"))
        result = tiny("run", "--out", out, *arguments)
        assert result.code == 0, result.err
        assert result.out.startswith("4 of 4 cells ok")
        return numbers(out)

    return call


def test_numbers_are_the_same_bit_for_bit_with_one_job_and_with_two(run_with, tiny):
    values, sums = run_with("one", 3, "--jobs", "1")
    assert len(values) == 4
    kinds = Counter(kind for kind, *_ in sums)
    assert (kinds["features"], kinds["distill"], kinds["finetune"], kinds["encode"]) == (2, 2, 8, 4)
    assert any(name == SCORES_FILE for *_, name in sums)
    assert run_with("two", 2, "--jobs", "auto") == (values, sums)
    found = load_results(Path("two"))
    for record in found.records:
        assert (record.environment["threads"], record.environment["job_threads"]) == (2, 1)
        assert record.metrics["latency_ms@1"].detail["threads"] == 2
        assert "finetune" in found.log(record)
        assert record.stages["finetune"].cached is False
    # One cell made what two share.
    shared = [record for record in found.records if record.cell.method == "cukd"]
    assert sorted(record.stages["distill"].cached for record in shared) == [False, True]
    assert "nothing to do" in tiny("run", "--out", "two", "--jobs", "2").out


@pytest.mark.slow
def test_numbers_are_the_same_bit_for_bit_with_four_jobs(run_with):
    assert run_with("four", 4, "--jobs", "4") == run_with("one", 1, "--jobs", "1")


def test_a_record_says_how_many_threads_computed_its_accuracies(run_with):
    run_with("one", 3, "--jobs", "1", "--threads", "2")
    found = load_results(Path("one")).records
    assert {(r.environment["threads"], r.environment["job_threads"]) for r in found} == {(3, 2)}


def test_a_record_made_from_cached_work_says_whose_threads_that_had(tiny):
    assert tiny("run", "--threads", "2", "--only", "loss=csq").code == 0
    assert tiny("run").code == 0
    found = load_results(Path("results/tiny")).records
    assert {(r.cell.method, r.cell.loss): r.environment["job_threads"] for r in found} == {
        ("none", "csq"): 2,
        ("cukd", "csq"): 2,
        ("none", "dch"): 1,
        ("cukd", "dch"): None,  # of a student that was distilled by two threads
    }


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_computes_has_the_threads_of_a_job_and_what_is_timed_all(run_with, folder, jobs):
    (folder / "pools.py").write_text(POOLS)
    arguments = ("--jobs", jobs, "--include", folder / "pools.py", "--set", "axes.loss=[pools, dch]")
    run_with("out", 3, *arguments)
    said = [json.loads(line) for path in folder.glob("pools-*") for line in path.read_text().splitlines()]
    assert len(said) >= 2
    for pools in said:
        assert pools.pop("waiting") == "PASSIVE"
        assert set(pools.values()) == {1}, pools
        assert {"torch", "faiss", "openmp", "blas"} <= set(pools)
    for record in load_results(Path("out")).records:
        assert record.metrics["latency_ms@1"].detail["threads"] == 3


def test_cores_without_work_are_told_of_and_decode_images(tiny, monkeypatch):
    from bench.execution.pools import inline

    seen = []

    class Pool(inline.InlinePool):
        def __init__(self, machine, weights):
            seen.append((machine.context(weights).workers, machine.job_threads, machine.threads))
            super().__init__(machine, weights)

    monkeypatch.setattr(inline, "InlinePool", Pool)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    only = ("--only", "method=none", "--only", "loss=csq", "--jobs", "auto")  # one after the other
    result = tiny("run", *only)
    assert (
        "cores: 1 job at once on 5 cores: --threads 5 would train faster, and round differently" in result.err
    )
    assert seen == [(5, 1, 5)]


def test_timings_run_alone(tiny, folder):
    result = tiny("run", "--jobs", "2", "-v")
    assert result.code == 0
    spans = []
    for path in (folder / "cache").glob("*/*/artifact.json"):
        index = json.loads(path.read_text())
        spans.append((index["created"] - index["seconds"], index["created"], "hardware" in index["spec"]))
    assert sum(timed for *_, timed in spans) >= 3
    for start, end, timed in spans:
        others = [(s, e) for s, e, _ in spans if (s, e) != (start, end)]
        if timed:
            assert not [span for span in others if span[0] < end - 0.005 and start < span[1] - 0.005]


def test_a_job_that_dies_is_a_failed_cell_and_the_rest_go_on(folder, bench):
    (folder / "deadly.py").write_text(DEADLY)
    text = TINY_GRID.replace("student: [tiny_student]", "student: [tiny_student, deadly]")
    (folder / "grid.yaml").write_text(text)
    plugins = ("--include", PLUGINS / "tiny.py", "--include", folder / "deadly.py")
    only = ("--only", "method=none")
    result = bench("run", "--grid", "grid.yaml", *plugins, *only, "--jobs", "2")
    assert result.code == 1
    found = {(r.cell.student, r.cell.loss): r for r in load_results(Path("results/tiny")).records}
    assert {key: r.status for key, r in found.items()} == {
        ("tiny_student", "csq"): "ok",
        ("tiny_student", "dch"): "ok",
        ("deadly", "csq"): "failed",
        ("deadly", "dch"): "failed",
    }
    assert "was ended by signal 9; the machine may be out of memory" in found["deadly", "csq"].error.message


def test_a_failed_stage_fails_one_cell_and_skips_the_others(tiny):
    boom = ("{views: 2,", "{lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd, views: 2,")
    result = tiny("run", "--jobs", "2", edit=boom)
    assert result.code == 1
    found = load_results(Path("results/tiny")).records
    assert sorted((r.cell.method, r.status) for r in found) == [
        ("cukd", "failed"), ("cukd", "skipped"), ("none", "ok"), ("none", "ok"),
    ]  # fmt: skip
    failed = next(r for r in found if r.status == "failed")
    assert failed.error.stage == "distill"
    assert "lower lr" in failed.error.message


def test_a_cache_that_cannot_be_written_is_one_line(tiny, folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(folder / "file"))
    result = tiny("run", "--jobs", "2")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "set BENCH_CACHE" in result.err


@pytest.mark.slow
def test_an_interruption_ends_every_job_and_leaves_nothing_half_written(folder):
    text = TINY_GRID.replace("finetune: {epochs: 2", "finetune: {epochs: 4000")
    (folder / "grid.yaml").write_text(text)
    command = [sys.executable, "-m", "bench", "run", "--grid", str(folder / "grid.yaml"), "--jobs", "2"]
    command += ["--include", str(PLUGINS / "tiny.py"), "--out", str(folder / "out")]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for _ in range(600):
        time.sleep(0.1)
        if list((folder / "cache" / "finetune").glob(".*")):
            break
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert said.splitlines()[-1].startswith("interrupted; what is finished is kept")
    assert not list((folder / "cache" / "finetune").glob(".*"))
    for _ in range(100):
        time.sleep(0.1)
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
    pytest.fail("a process is left")


def test_a_plan_divides_the_time_among_jobs(tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert tiny("run").code == 0
    # Enough of them for tenths of a second to tell half of the work from all of it.
    more = ("--set", f"axes.seed={list(range(1, 41))}", "--json")
    one, two = (json.loads(tiny("plan", *more, "--jobs", jobs).out) for jobs in ("1", "2"))
    work = sum(row["seconds"] for row in one["stages"])
    # Each is rounded to a tenth of a second.
    assert one["seconds"] == pytest.approx(work, abs=0.05 * len(one["stages"]) + 0.1)
    assert work / 2 - 0.2 <= two["seconds"] < work
    assert "with 2 jobs (" in tiny("plan", "--set", "axes.seed=[1]", "--jobs", "2").out


def test_jobs_make_no_inputs_of_what_is_there(tiny, folder):
    assert tiny("run", "--out", "one").code == 0
    for kind in ("features", "distill"):
        shutil.rmtree(folder / "cache" / kind)
    result = tiny("run", "--out", "two", "--jobs", "2")
    assert result.code == 0
    assert "all from cache" in result.out
    assert not (folder / "cache" / "features").exists()


@pytest.mark.slow
def test_everything_is_made_anew_with_jobs_too(tiny, folder):
    assert tiny("run").code == 0
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").glob("*/*/artifact.json")}
    assert tiny("run", "--overwrite", "always", "--jobs", "2").code == 0
    assert all(path.stat().st_mtime_ns > time for path, time in before.items())


def test_a_job_that_cannot_start_ends_the_run_in_one_line(tiny, folder):
    (folder / "late.py").write_text(
        "import multiprocessing\nfrom bench.losses.none import NoHashing\nfrom bench.registry import LOSSES\n"
        "if multiprocessing.parent_process():\n    raise ValueError('only at home')\n"
        "LOSSES.register_as('late')(NoHashing)\n"
    )
    result = tiny("run", "--jobs", "2", "--include", folder / "late.py")
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith("late.py: ValueError: only at home")
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_a_job_that_died_while_idle_is_replaced(tiny, monkeypatch):
    right, killed = processes._Worker.start, []

    def start(worker, stage, *, fresh):
        if not killed:
            killed.append(worker)
            worker._process.kill()
            worker._process.join()
        right(worker, stage, fresh=fresh)

    monkeypatch.setattr(processes._Worker, "start", start)
    result = tiny("run", "--jobs", "2")
    assert result.code == 0, result.err
    assert killed


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_job_that_is_ended_as_it_begins_or_goes_says_nothing(monkeypatch, when):
    """Its parent does so when it ends itself; what is raised then must not become a traceback."""
    own = worker.signals.interrupting

    @contextlib.contextmanager
    def ended(numbers):
        with own(numbers) as asked:
            if when == "before":
                signal.raise_signal(signal.SIGTERM)
            yield asked

    def at_work(*_):
        given = signal.signal
        monkeypatch.setattr(
            worker.signal,
            "signal",
            lambda *told: (monkeypatch.undo(), signal.raise_signal(told[0]), given(*told)),
        )

    monkeypatch.setattr(worker, "_work", at_work)
    monkeypatch.setattr(worker, "_end_with_parent", lambda: None)
    monkeypatch.setattr(worker.signals, "leave_to_parent", lambda: None)
    monkeypatch.setattr(worker.signals, "interrupting", ended)
    logger = logging.getLogger("bench")
    level, propagate, handlers = logger.level, logger.propagate, list(logger.handlers)
    try:
        with pytest.raises(SystemExit) as left:
            worker.work(None, None, None, 0)
    finally:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers
    assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
