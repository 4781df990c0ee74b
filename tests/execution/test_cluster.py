"""cluster.yaml: every fault at once with its place, and who makes what."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ConfigError, UsageError
from bench.execution.cluster import load_cluster, minutes
from bench.planning.stage import TIMINGS, kinds

ROOT = Path(__file__).parents[2]
GOOD = """\
workers:
  train: {stages: [distill, finetune], count: 8, gpus: 1, cpus: 8, memory: 32G, time: "12:00:00"}
  rest: {cpus: 4, time: 90}
  timings: {stages: [timings], cpus: 8, time: 60}
"""


def load(tmp_path, text):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return load_cluster(path)


def problems(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_the_example_loads_and_leaves_nothing_to_nobody():
    file = load_cluster(ROOT / "bench/execution/cluster.yaml")
    shared = file.shared_out([*kinds(), TIMINGS])
    assert shared["train"] == {"features", "distill", "trunk", "trial", "tune", "finetune"}
    assert shared["rest"] == {"encode", "examples", "fit", "measure"}
    assert shared["timings"] == {"timings"}
    assert file.cluster.workers["train"].described() == "1 GPU, 8 CPUs, 32G, 12:00:00"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "train:",
            "tr|ain:",
            "cluster.yaml:2:11: 'tr|ain' is a part of the name of a job: letters, digits, -",
        ),
        ("workers:", "wrokers:", "cluster.yaml:1:1: unknown key 'wrokers'; did you mean 'workers'?"),
        ("gpus: 1", "gpu: 1", "cluster.yaml:2:50: unknown key 'gpu'; did you mean 'gpus'?"),
        ("cpus: 4, ", "", "cluster.yaml:3:9: missing key 'cpus' in workers.rest"),
        ("count: 8", "count: 0", "cluster.yaml:2:47: workers.train.count should be greater than or equal to"),
        ("distill", "distil", "cluster.yaml:2:20: unknown kind of stage 'distil'; did you mean 'distill'?"),
        ("32G", "32 GB", "cluster.yaml:2:76: memory should be a whole number with K, M, G or T, 32G for one"),
        (
            "90",
            "ninety",
            "cluster.yaml:3:25: time should be minutes, or 'hours:minutes:seconds' with 'days-'",
        ),
        ("90", "'0:00:00'", "cluster.yaml:3:25: time should be minutes, or"),
        (
            "90}",
            "90, sbatch: {mem: 3G}}",
            "cluster.yaml:3:37: sbatch: 'mem' is written as 'memory' of a work",
        ),
        (
            "90}",
            "90, sbatch: {array: 3}}",
            "cluster.yaml:3:37: sbatch: 'array' is what the suite sets itself",
        ),
        ("90}", "90, sbatch: {-C: a100}}", "cluster.yaml:3:37: sbatch: '-C' is no option: write it in full"),
        ("cpus: 4", "stages: [finetune], cpus: 4", "cluster.yaml:3:19: 'train' takes finetune already"),
        ("[timings], ", "[timings, encode], ", "cluster.yaml:4:21: timings want a worker of their own"),
        ("cpus: 8, time: 60", "count: 2, cpus: 8, time: 60", "cluster.yaml:4:39: timings are of one machine"),
        ("stages: [distill, finetune], ", "", "cluster.yaml:3:3: 'train' takes what nobody names already"),
        ("workers:", "workers: {}\nsetup:", "cluster.yaml:1:10: workers should have at least 1 item, not"),
    ],
)
def test_a_fault_is_told_with_its_place_and_cure(tmp_path, old, new, expected):
    assert old in GOOD
    assert any(line.startswith(expected) for line in problems(tmp_path, GOOD.replace(old, new, 1)))


def test_every_kind_of_stages_is_somebodys(tmp_path):
    wanted = ["features", "distill", "finetune", "encode", "measure", TIMINGS]
    assert load(tmp_path, GOOD).shared_out(wanted)["rest"] == {"features", "encode", "measure"}
    without_rest = GOOD.replace("  rest: {cpus: 4, time: 90}\n", "")
    with pytest.raises(ConfigError, match=r"yaml:1:1: no worker takes encode, features, measure$"):
        load(tmp_path, without_rest).shared_out(wanted)
    without_timings = GOOD.replace("  timings: {stages: [timings], cpus: 8, time: 60}\n", "")
    with pytest.raises(
        ConfigError, match=r"no worker takes timings; timings want a worker of their own: sta"
    ):
        load(tmp_path, without_timings).shared_out(wanted)
    assert load(tmp_path, without_timings).shared_out(wanted[:-1])


def test_what_is_no_cluster_is_told(tmp_path):
    assert problems(tmp_path, "- a\n") == [
        "cluster.yaml:1:1: a cluster is a mapping; see bench/execution/cluster.yaml"
    ]
    with pytest.raises(UsageError, match=r"absent.yaml: cannot read the cluster's workers"):
        load_cluster(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("time", "expected"),
    [(90, 90), ("90", 90), ("1:30", 2), ("12:00:00", 720), ("0:00:30", 1), ("1-0", 1440), ("1-2:30", 1590),
     ("2-00:00:01", 2881)],
)  # fmt: skip
def test_durations_are_read_as_slurm_reads_them(time, expected):
    assert minutes(time) == expected
