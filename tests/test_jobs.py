"""Several jobs: the same numbers, every fault a record, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import records
from bench.executors import processes
from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parent.parent

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


def numbers(folder):
    found = records.load_results(Path(folder)).records
    return {
        (r.cell.method, r.cell.loss): {
            name: metric.value for name, metric in r.metrics.items() if metric.noise != "timed"
        }
        for r in found
    }


def test_two_jobs_give_the_numbers_of_one_bit_for_bit(tiny, folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert tiny("run", "--out", "one").code == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("BENCH_CACHE", str(folder / "other"))
    result = tiny("run", "--out", "two", "--jobs", "2")
    assert result.code == 0, result.err
    assert result.out.startswith("4 of 4 cells ok")
    assert numbers("one") == numbers("two")
    assert len(numbers("two")) == 4
    for record in records.load_results(Path("two")).records:
        assert (record.environment["threads"], record.environment["job_threads"]) == (2, 1)
        assert record.metrics["latency_ms@1"].detail["threads"] == 2
        assert "finetune" in records.load_results(Path("two")).log(record)
        assert record.stages["finetune"].cached is False
    # One cell made what two share.
    shared = [r for r in records.load_results(Path("two")).records if r.cell.method == "cukd"]
    assert sorted(record.stages["distill"].cached for record in shared) == [False, True]
    again = tiny("run", "--out", "two", "--jobs", "2")
    assert "nothing to do" in again.out


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
    found = {(r.cell.student, r.cell.loss): r for r in records.load_results(Path("results/tiny")).records}
    assert {key: r.status for key, r in found.items()} == {
        ("tiny_student", "csq"): "ok",
        ("tiny_student", "dch"): "ok",
        ("deadly", "csq"): "failed",
        ("deadly", "dch"): "failed",
    }
    assert "was ended by signal 9; the machine may be out of memory" in found["deadly", "csq"].error.message


def test_a_failed_stage_fails_one_cell_and_skips_the_others(tiny):
    boom = ("{views: 2,", "{lr: 1.0e+30, optimizer: sgd, views: 2,")
    result = tiny("run", "--jobs", "2", edit=boom)
    assert result.code == 1
    found = records.load_results(Path("results/tiny")).records
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
    assert said.splitlines()[-1].startswith("interrupted; finished cells are kept")
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
    more = ("--set", "axes.seed=[1]", "--json")
    one, two = (json.loads(tiny("plan", *more, "--jobs", jobs).out) for jobs in ("1", "2"))
    work = sum(row["seconds"] for row in one["stages"])
    assert one["seconds"] == pytest.approx(work, abs=0.2)
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
