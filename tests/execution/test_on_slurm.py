"""A real Slurm of one node: it makes the same records as this machine alone, whatever it does to its jobs."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bench.execution import cluster_run
from bench.results.folder import load_results
from tests import slurm_daemons

ROOT = Path(__file__).parents[2]
WITHOUT_SLURM = slurm_daemons.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(WITHOUT_SLURM), reason=f"no Slurm here: {WITHOUT_SLURM}"),
]

WORKERS = """\
workers:
  train: {stages: [features, distill, finetune], count: 2, cpus: 1, time: 30}
  rest: {cpus: 2, jobs: 1, time: 30, memory: 500M}
  timings: {stages: [timings], cpus: 2, time: 30}
"""
#: A training of some seconds, and nothing that takes time.
LONG = (
    "measure: {latency: {batch_sizes: [1], samples: 5, warmup_seconds: 0.05, budget_seconds: 0.2}}",
    "measure: {latency: false, peak_memory: false, search: false}",
)
ONE = ("--only", "method=none", "--only", "loss=csq", "--set", "defaults.finetune.epochs=2000")
#: Seconds that anything may take on a machine that does other things as well.
PATIENCE = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Slurm of four cores, whatever there are; its configuration."""
    with slurm_daemons.slurm(tmp_path_factory.mktemp("slurm"), cpus=4) as conf:
        yield conf


@pytest.fixture
def on_slurm(cluster, tiny, folder, monkeypatch):
    """Run the tiny grid by Slurm."""
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(cluster_run, "PAUSE", 1.0)
    (folder / "cluster.yaml").write_text(WORKERS)

    def call(*arguments, **more):
        return tiny("run", "--executor", "slurm", "--cluster", "cluster.yaml", *arguments, **more)

    return call


def asked(*command):
    """What a command of Slurm says."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def numbers(folder):
    """What must not depend on who makes it: numbers, and keys of stages, but for timings."""
    return {
        (r.cell.method, r.cell.loss): (
            {name: metric for name, metric in r.metrics.items() if metric.noise != "timed"},
            {name: (stage.key, stage.summary, stage.history) for name, stage in r.stages.items()},
        )
        for r in load_results(Path(folder)).records
    }


def test_slurm_makes_the_records_of_this_machine_and_is_asked_once(on_slurm, tiny, folder):
    assert tiny("run", "--out", "alone").code == 0
    shutil.rmtree(folder / "cache")
    result = on_slurm("--out", "there", "--wait")
    assert result.code == 0, result.err
    assert result.out.startswith("4 of 4 cells ok in there\n")
    assert numbers("there") == numbers("alone")
    assert all("latency_ms@1" in record.metrics for record in load_results(Path("there")).records)
    jobs = sorted(path.name for path in (folder / "there/jobs").glob("*.json"))
    assert len(jobs) == 3
    again = on_slurm("--out", "there")
    assert again.out.startswith("4 of 4 cells ok in there; nothing to do, every cell has a record\n")
    assert sorted(path.name for path in (folder / "there/jobs").glob("*.json")) == jobs


@pytest.mark.parametrize("how", ["signal", "requeue"])
def test_a_job_that_is_stopped_goes_on_where_it_was(how, on_slurm, tiny, folder):
    """By the signal that comes before a time limit, and by an administrator who takes the node."""
    assert tiny("run", "--out", "alone", *ONE, edit=LONG).code == 0
    shutil.rmtree(folder / "cache")
    (folder / "cluster.yaml").write_text("workers:\n  all: {cpus: 1, time: 30}\n")
    started = on_slurm("--out", "there", *ONE, edit=LONG)
    assert started.code == 0, started.err
    job = next((folder / "there/jobs").glob("*.json")).stem
    wait_for(lambda: list((folder / "cache/claims").glob("*csq*")))
    time.sleep(3)
    assert not list((folder / "there").glob("records/*"))
    if how == "signal":
        asked("scancel", "--signal=USR2", job)
    else:
        asked("scontrol", "requeue", job)
    wait_for(lambda: "Restarts=1" in asked("scontrol", "show", "job", job))
    result = on_slurm("--out", "there", "--wait", *ONE, edit=LONG)
    assert result.code == 0, result.err
    said = "".join(path.read_text() for path in (folder / "there/logs").glob("worker-*"))
    assert "a checkpoint holds how far it is" in said
    assert "goes on at epoch" in said
    assert numbers("there") == numbers("alone")
    assert len(list((folder / "there/jobs").glob("*.json"))) == 1


def test_workers_that_cannot_work_are_not_asked_for_for_ever(on_slurm, folder):
    (folder / "cluster.yaml").write_text("setup: [exit 3]\n" + WORKERS)
    result = on_slurm("--wait")
    assert result.code == 2
    assert "error: workers.train: asked for 3 times, and nothing has come of it" in result.err


def wait_for(there):
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.2)
