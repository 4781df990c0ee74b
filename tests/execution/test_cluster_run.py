"""What Slurm is asked for, and what is said of it; Slurm itself is programs that note what they got."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

import bench as library
from bench.cli import main
from bench.errors import UsageError
from bench.execution import cluster_run
from bench.execution.session import RunOptions
from bench.execution.slurm_job import WorkerJob
from bench.results.folder import load_results
from tests.conftest import PLUGINS, TINY_GRID
from tests.slurm_programs import Programs

WORKERS = """\
setup: [module load cuda]
sbatch: {qos: low}
workers:
  train: {stages: [features, distill, finetune], count: 8, gpus: 1, cpus: 8, memory: 32G, time: "1:00:00",
          partition: gpu, account: lab, sbatch: {constraint: a100}}
  rest: {count: 2, cpus: 4, jobs: 1, time: 90, patience: 30}
  timings: {stages: [timings], cpus: 2, time: 60}
"""
NAMES = ["train", "rest", "timings"]


@pytest.fixture
def programs(folder, monkeypatch):
    made = Programs(folder / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(cluster_run, "PAUSE", 0.0)
    (folder / "cluster.yaml").write_text(WORKERS)
    return made


@pytest.fixture
def ask(programs, tiny):
    """Run the tiny grid by Slurm."""
    return lambda *arguments, **more: tiny(
        "run", "--executor", "slurm", "--cluster", "cluster.yaml", *arguments, **more
    )


def worker(id, out="results/tiny"):
    """What a job is to run."""
    return DelayedSubmission.load(Path(out) / "jobs" / f"{id}_submitted.pkl").function


def test_slurm_is_asked_for_the_workers_that_can_be_of_use(ask, programs, folder):
    result = ask("--set", "defaults.finetune.epochs=3", "--only", "bits=16", "--no-checkpoints")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "submitted: train: 4 workers as 1: 1 GPU, 8 CPUs, 32G, 1:00:00, partition gpu; 7 to make of distill, "
        "features, finetune",
        "submitted: rest: 2 workers as 2: 4 CPUs, 90 min; 39 to make of encode, examples, measure",
        "submitted: timings: 1 worker as 3: 2 CPUs, 60 min; 6 to make of timings",
        f"0 of 4 cells ok in results/tiny; logs: results/tiny/jobs; cache: {folder}/cache",
        "to look: squeue --jobs 1,2,3; or the same command again, which asks for what is missing then and "
        "stays, with --wait, until all is done",
    ]
    train, rest, timings = programs.options()
    wanted = {"array": "0-3%4", "gpus-per-node": "1", "cpus-per-task": "8", "mem": "32G", "time": "60",
              "partition": "gpu", "account": "lab", "constraint": "a100", "qos": "low", "requeue": "",
              "ntasks-per-node": "1", "nodes": "1", "signal": "USR2@90"}  # fmt: skip
    assert wanted.items() <= train.items()
    assert not {"exclusive", "dependency"} & {*train, *rest}
    assert not {"gpus-per-node", "mem", "partition", "constraint"} & {*rest}
    assert (timings["exclusive"], timings["dependency"]) == ("", "afterany:1:2")
    assert "array" not in timings
    for script, cpus in zip(programs.scripts(), (8, 4, 2), strict=True):
        assert "\n# setup\nmodule load cuda\nexport SUBMITIT_PREEMPT_SIGNAL=USR2\n" in script
        assert f"--cpus-per-task={cpus} " in next(line for line in script.splitlines() if line[:4] == "srun")
    job = worker("1_3")
    arguments = dict(zip(job.arguments[1::2], job.arguments[2::2], strict=False))
    grid = Path(arguments.pop("--grid"))
    assert json.loads(grid.read_text())["defaults"]["finetune"]["epochs"] == 3
    assert arguments == {
        "--out": str(folder / "results/tiny"),
        "--data-root": str(folder / "data"),
        "--device": "cpu",
        "--jobs": "1",
        "--threads": "1",
        "--stages": "distill,features,finetune",
        "--only": "bits=16",
        "--include": str(PLUGINS / "tiny.py"),
        "--no-checkpoints": "--lease",
    }
    assert job.environment == {"BENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "8"}
    assert job.folder == str(folder)
    assert "--patience" not in job.arguments
    assert worker("2_0").arguments[-4:-2] == worker("2_1").arguments[-4:-2]
    assert "30.0" in worker("2_0").arguments
    assert "60.0" in worker("3").arguments


def test_from_python_the_outcome_says_what_was_asked_for(programs, folder, monkeypatch):
    monkeypatch.setattr(logging.getLogger("bench"), "handlers", [])
    (folder / "grid.yaml").write_text(TINY_GRID)
    outcome = library.run(
        "grid.yaml", executor="slurm", cluster="cluster.yaml", plugins=[PLUGINS / "tiny.py"]
    )
    assert [(jobs.worker, jobs.count) for jobs in outcome.submitted] == [
        ("train", 4),
        ("rest", 2),
        ("timings", 1),
    ]
    assert outcome.jobs == outcome.submitted
    assert (outcome.attempted, outcome.ok, outcome.exit_code) == (4, 0, 0)
    # With GPUs and without, as nobody says otherwise.
    devices = [worker(id).arguments[worker(id).arguments.index("--device") + 1] for id in ("1_0", "2_0", "3")]
    assert devices == ["cuda", "cpu", "cpu"]


def test_workers_that_are_there_are_not_asked_for_again(ask, programs):
    assert ask().code == 0
    programs.queue(
        "1|bench-train|RUNNING|None",
        "1|bench-train|PENDING|Priority",
        "2|bench-rest|RUNNING|None",
        "2|bench-rest|RUNNING|None",
        "77|bench-train|RUNNING|None",
        "3|something-else|RUNNING|None",
    )
    again = ask()
    assert again.code == 0
    assert [line.partition(":")[0] for line in again.out.splitlines()[:3]] == ["submitted"] * 2 + [
        "queued or at work already"
    ]
    assert programs.options()[3]["array"] == "0-1%2"
    assert programs.options()[4]["dependency"] == "afterany:1:2:4"
    programs.queue(
        *["1|bench-train|RUNNING|None"] * 4,
        *["2|bench-rest|RUNNING|None"] * 2,
        "3|bench-timings|PENDING|Dependency",
    )
    third = ask()
    assert len(programs.scripts()) == 5
    assert "submitted" not in third.out
    assert third.out.startswith("queued or at work already: train: 4 workers as 1: ")


def test_what_is_there_is_not_asked_for(ask, programs, tiny, folder):
    assert ask().code == 0
    for id in ("1_0", "2_0"):
        assert main(worker(id).arguments) == 0
    assert not list((folder / "results/tiny").glob("records/*"))
    assert ask().code == 0
    assert [options["job-name"] for options in programs.options()[3:]] == ["bench-timings"]
    # Whoever has the last word writes the records.
    assert main(worker("3").arguments) == 0
    assert {record.status for record in load_results(Path("results/tiny")).records} == {"ok"}
    done = ask("--wait")
    assert done.code == 0
    assert "\n4 of 4 cells ok in results/tiny; nothing to do, every cell has a record\n" in done.out
    # Records alone are missing: who takes the last stage is asked, and makes nothing.
    for path in (folder / "results/tiny/records").iterdir():
        path.unlink()
    assert ask().code == 0
    assert [options["job-name"] for options in programs.options()[4:]] == ["bench-timings"]
    assert main(worker("5").arguments) == 0
    assert "\n4 of 4 cells ok in results/tiny; nothing to do" in ask().out


def test_what_has_failed_is_not_asked_for_until_it_is_to_be_tried_again(ask, programs, folder):
    boom = ("{views: 2,", "{lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd, views: 2,")
    assert ask(edit=boom).code == 0
    for id, code in (("1_0", 1), ("2_0", 1), ("3", 1)):
        assert main(worker(id).arguments) == code
    statuses = sorted((r.cell.method, r.status) for r in load_results(Path("results/tiny")).records)
    assert statuses == [("cukd", "failed"), ("cukd", "skipped"), ("none", "ok"), ("none", "ok")]
    again = ask(edit=boom)
    assert again.code == 1
    assert "\n2 of 4 cells ok in results/tiny; nothing to do, every cell has a record\nfailed: " in again.out
    assert len(programs.scripts()) == 3
    third = ask("--overwrite", "failed", edit=boom)
    assert third.code == 0
    assert "2 of 4 cells ok" in third.out
    assert len(list((folder / "results/tiny/records").iterdir())) == 2
    assert [options["job-name"] for options in programs.options()[3:]] == [
        "bench-train",
        "bench-rest",
        "bench-timings",
    ]
    # A worker that is put into the queue again must not clear the notes of others.
    assert "--overwrite" not in worker("4_0").arguments


def test_who_waits_asks_again_but_not_for_ever(ask, programs, folder):
    (folder / "results/tiny/jobs").mkdir(parents=True)
    (folder / "results/tiny/jobs/7_0_log.out").write_text("ModuleNotFoundError: No module named 'bench'\n")
    result = ask("--wait")
    assert (result.code, result.out) == (2, "")
    said = result.err.splitlines()
    assert said[0].startswith("submitted: train: 4 workers as 1: ")
    assert "[0/52] no worker is queued or at work" in said
    assert said[-2].startswith("submitted, as something is left: timings: 1 worker as 9: ")
    assert said[-1].startswith("error: workers.train: asked for 3 times, and nothing has come of it; ")
    assert said[-1].endswith("7_0_log.out ends with: ModuleNotFoundError: No module named 'bench'")
    assert len(programs.scripts()) == 9


def test_who_stops_waiting_leaves_the_jobs_alone(ask, programs, monkeypatch):
    looks = iter([cluster_run.left_of])

    def stop(*about):
        look = next(looks, None)
        if look is None:
            raise KeyboardInterrupt
        return look(*about)

    monkeypatch.setattr(cluster_run, "left_of", stop)
    programs.queue(
        "1|bench-train|PENDING|Priority",
        "1|bench-train|RUNNING|None",
        "2|bench-rest|RUNNING|None",
        "3|bench-timings|PENDING|Dependency",
    )
    result = ask("--wait")
    assert result.code == 130
    assert (
        "[0/52] train: 1 pending (Priority), 1 running; rest: 1 running; timings: 1 pending (Depende"
        in result.err
    )
    assert "the jobs go on without being watched; to end them: scancel 1 2 3\n" in result.err


def test_a_plan_says_what_would_be_asked_for_and_how_long_it_takes(programs, tiny, folder):
    plan = ("plan", "--cluster", "cluster.yaml")
    before = tiny(*plan)
    assert before.code == 0
    assert before.out.splitlines()[-1] == (
        "On the cluster: time not known for 52 stages of kinds that have not run anywhere yet"
    )
    assert not programs.scripts()
    assert tiny("run", "--out", "elsewhere").code == 0
    summary = json.loads(tiny(*plan, "--json", "--set", "defaults.finetune.epochs=200").out)["cluster"]
    train, rest, timings = summary["jobs"]
    assert (train["workers"], train["count"], train["stages"], train["unknown"]) == ("train", 4, 4, 0)
    assert train["seconds"] / 4 - 0.1 <= train["until"] <= train["seconds"]
    assert train["worker_hours"] == pytest.approx(4 * train["until"] / 3600, abs=1e-2)
    assert train["gpu_hours"] == train["worker_hours"]
    # Timings begin when the others have ended.
    assert summary["seconds"] == timings["until"] >= rest["until"] > train["until"]
    assert rest["gpu_hours"] == timings["gpu_hours"] == 0
    done = tiny(*plan, "--out", "elsewhere")
    assert done.out.splitlines()[-1] == "On the cluster: nothing to ask for, every cell has a record"
    assert tiny("plan", "--out", "elsewhere").code == 2


def test_what_cannot_be_asked_for_is_one_line(ask, programs, tiny, folder, monkeypatch):
    programs.refuse("sbatch: error: Batch job submission failed: Invalid account or account/partition")
    refused = ask()
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: sbatch does not take workers.train: Batch job submission failed: Invalid account or "
        "account/partition\n"
    )
    (folder / "bin/squeue").write_text("#!/bin/sh\necho slurm_load_jobs error: no answer >&2; exit 1\n")
    assert ask().err == "error: squeue: slurm_load_jobs error: no answer; is Slurm up?\n"
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask().err == (
        "error: --executor slurm: no sbatch here; start it where jobs of Slurm are submitted\n"
    )
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert ask().err == (
        "error: --executor slurm needs an optional package; run: pip install 'hash-pareto[slurm]'\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"executor": "slurm"},
            "--executor slurm: pass --cluster FILE; bench/execution/cluster.yaml is an exa",
        ),
        (
            {"cluster": "a.yaml"},
            "--cluster, --wait: of workers that a cluster is asked for; pass --executor sl",
        ),
        ({"wait": True}, "--cluster, --wait: of workers that a cluster is asked for; pass --executor slurm"),
        ({"wait": 1}, "wait: 1 is neither True nor False"),
        (
            {"executor": "slurm", "cluster": "a", "jobs": 2},
            "--jobs: of workers that a cluster is asked for, ",
        ),
        (
            {"executor": "slurm", "cluster": "a", "stages": ["encode"]},
            "stages, patience: of a worker; executor",
        ),
        (
            {"executor": "workers", "stages": ["encod"]},
            "stages: unknown kind of stage 'encod'; did you mean 'enc",
        ),
        ({"executor": "workers", "patience": 0}, "patience: 0 is not a number of seconds from 1 on"),
    ],
)
def test_what_no_run_can_have_is_told(options, said):
    with pytest.raises(UsageError) as caught:
        RunOptions(**options)
    assert str(caught.value).startswith(said)


def test_variables_of_a_job_around_it_are_not_passed_on(ask, programs, monkeypatch, folder):
    (folder / "bin/sbatch").write_text(
        f"#!/bin/sh\nenv | grep ^SLURM_ | sort > {folder}/variables\necho Submitted batch job 1\n"
    )
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    assert ask().code == 0
    assert (folder / "variables").read_text() == "SLURM_CONF=/etc/slurm.conf\n"
    assert os.environ["SLURM_JOB_ID"] == "5"


@pytest.fixture
def job(folder, monkeypatch):
    """A job whose worker is a few lines of shell."""

    def make(text):
        program = folder / "worker"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return WorkerJob(["worker"], {"BENCH_CACHE": "there"}, str(folder))

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield make
    for number, answer in before.items():
        signal.signal(number, answer)


@pytest.mark.parametrize("code", [0, 1])
def test_a_worker_that_has_ended_is_no_fault_of_the_job(job, code, folder):
    assert job(f"echo $* $BENCH_CACHE > said; exit {code}")() == code
    assert (folder / "said").read_text() == "-P -m bench worker there\n"


def test_a_worker_that_could_not_work_is(job):
    with pytest.raises(RuntimeError, match="the worker ended with exit code 2"):
        job("exit 2")()


def test_before_a_job_is_queued_again_its_worker_writes_a_checkpoint_and_ends(job, folder):
    """All processes get the signal; the worker does not know it and must not die of it."""
    made = job("trap 'touch kept; exit 130' USR1\ntouch begun\nwhile :; do sleep 0.1; done")
    told = []

    def as_submitit(number, frame):
        os.kill(made._pid, signal.SIGUSR2)
        time.sleep(0.3)
        told.append((folder / "kept").exists())
        told.append(made.checkpoint())
        told.append((folder / "kept").exists())
        raise SystemExit

    signal.signal(signal.SIGUSR2, as_submitit)
    send_when((folder / "begun").exists, signal.SIGUSR2)
    with pytest.raises(SystemExit):
        made()
    before, again, after = told
    assert (before, after) == (False, True)
    assert again.function == WorkerJob(made.arguments, made.environment, made.folder)


def test_a_job_that_is_told_to_go_passes_it_on_and_waits_for_its_end(job, folder, monkeypatch):
    made = job("trap 'exit 130' TERM\ntouch begun\nwhile :; do sleep 0.1; done")
    waited = []
    monkeypatch.setattr("bench.execution.slurm_job.time.sleep", waited.append)
    send_when((folder / "begun").exists, signal.SIGTERM)
    with pytest.raises(RuntimeError, match="told to end"):
        made()
    assert waited == [600.0]


def send_when(there, number):
    """Send a signal to this process from beside it."""

    pause = threading.Event()  # where time.sleep is another

    def wait_and_send():
        while not there():
            pause.wait(0.02)
        pause.wait(0.2)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait_and_send, daemon=True).start()
