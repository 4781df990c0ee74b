"""``doctor --cluster``: what will not work between machines, before anybody waits for it."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

CONFIG = """Configuration data as of 2026-01-01T00:00:00
AccountingStorageType   = accounting_storage/none
KillWait                = {wait} sec
PreemptMode             = {mode}
SLURM_VERSION           = 22.05.8
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put scripts where programs are looked for: name -> what each does."""
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    for name in ("programs", "shared"):
        (tmp_path / name).mkdir(exist_ok=True)

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            path = tmp_path / "programs" / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    return put


def slurm(bench, folder: Path, code: int) -> dict[str, tuple[str, str]]:
    """Name -> verdict and text of what is said of Slurm."""
    done = bench("doctor", "--cluster", str(folder / "shared"), "--json")
    assert done.code == code, done.err
    (lines,) = [lines for section, lines in json.loads(done.out).items() if section.startswith("slurm")]
    return {line["name"]: (line["verdict"], line["text"]) for line in lines}


def test_without_slurm_one_learns_where_to_submit(bench, folder, programs):
    assert slurm(bench, folder, 0)["submission"] == (
        "doubt", "no sbatch on this machine; run it where jobs are submitted",
    )  # fmt: skip


def test_partitions_and_what_becomes_of_jobs_that_have_to_go(bench, folder, programs):
    config = CONFIG.format(wait=30, mode="REQUEUE").replace("\n", "\\n")
    line = "gpu, up, at most 2-00:00:00, 4 nodes, gpu:8"
    programs(sbatch="", sinfo=f"echo '{line}'", scontrol=f"printf '{config}'")
    found = slurm(bench, folder, 0)
    assert found["partition"] == ("ok", line)
    assert found["version"] == ("ok", "22.05.8")
    assert found["preemption"] == ("ok", "requeue")
    assert found["last words"] == ("ok", "30 s between SIGTERM and SIGKILL")
    assert "records do" in found["accounting"][1]


def test_policies_that_lose_work(bench, folder, programs):
    config = CONFIG.format(wait=2, mode="CANCEL").replace("\n", "\\n")
    programs(sbatch="", sinfo="echo all", scontrol=f"printf '{config}'")
    found = slurm(bench, folder, 0)
    assert found["preemption"][0] == found["last words"][0] == "doubt"
    assert "run the same command again" in found["preemption"][1]


@pytest.mark.parametrize(
    ("sinfo", "said"),
    [
        ("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1", "Unable to contact"),
        ("exec /bin/sleep 30", "no answer in"),
    ],
)
def test_a_scheduler_that_does_not_answer_will_not_work(bench, folder, programs, monkeypatch, sinfo, said):
    monkeypatch.setattr("bench.cli.cluster_diagnosis.PATIENCE", 0.5)
    programs(sbatch="", sinfo=sinfo)
    verdict, text = slurm(bench, folder, 1)["sinfo"]
    assert verdict == "bad"
    assert said in text


def test_a_missing_package_is_named_with_its_cure(bench, folder, programs, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert slurm(bench, folder, 0)["package"][1].endswith("pip install 'hash-pareto[slurm]'")


def test_what_is_printed_says_what_will_not_work(bench, folder, programs, monkeypatch):
    programs(sbatch="", sinfo="exit 3")
    done = bench("doctor", "--cluster", str(folder / "shared"))
    assert done.code == 1
    assert f"shared folder {folder / 'shared'}\n  file system: " in done.out
    assert "  sinfo: will not work: exit code 3\n" in done.out
    assert "ray (--executor ray)\n  cluster: note: no Ray cluster answers at 127.0.0.1:1 " in done.out


def test_a_folder_that_is_not_there_is_not_found_to_work(bench, folder, programs):
    done = bench("doctor", "--cluster", str(folder / "shraed"))
    assert done.code == 2
    assert f"{folder / 'shraed'}: no such folder; name one that machines share" in done.err
    assert not (folder / "shraed").exists()


def test_a_folder_that_cannot_be_written_is_said_in_a_line(bench, folder, programs, monkeypatch):
    def refused(*given: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("bench.storage.shared_folder.Path.mkdir", refused)
    done = bench("doctor", "--cluster", str(folder))
    assert done.code == 2
    assert "cannot write (Read-only file system); name one that all machines may write" in done.err
