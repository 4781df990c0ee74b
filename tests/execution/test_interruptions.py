"""Runs that are ended from outside, and started again: what a person or a scheduler of a cluster does."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.results.folder import load_results
from tests.conftest import PLUGINS
from tests.trainings import made

ROOT = Path(__file__).parents[2]

#: Has checkpoints written several times a second, in all processes of a run, which waits half of the time for
#: somebody to see them.
OFTEN = """\
import time

from bench.losses.none import NoHashing
from bench.registry import LOSSES
from bench.training import checkpoints

checkpoints.SECONDS_BETWEEN, checkpoints.MOST_SHARE = 0.2, 1.0
write = checkpoints.Checkpoints._write

def write_and_wait(self, state, *, urgent):
    write(self, state, urgent=urgent)
    time.sleep(0.1)

checkpoints.Checkpoints._write = write_and_wait

@LOSSES.register_as("often")
class Often(NoHashing):
    pass
"""
GRID = """\
schema: 1
name: interrupted
defaults:
  image_size: 16
  distill: {epochs: 60, batch_size: 32, lr: 1.0e-3}
  finetune: {epochs: 120, batch_size: 16, lr: 1.0e-3, optimizer: adamw}
axes:
  dataset: [DATASET]
  teacher: [tiny_teacher]
  student: [tiny_dropping]
  method: [{name: cukd, params: {views: 2, teacher_image_size: 16}}]
  loss: [csq, dpsh]
  bits: [16]
  seed: [0, 1]
measure: {latency: false, peak_memory: false, search: false, weights: false, macs: false}
"""
#: Seconds for a run of some seconds, or for its end: other tests may be at work.
PATIENCE = 120
#: How a run ends that gets one of these.
ENDS = {
    signal.SIGKILL: -signal.SIGKILL,
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGHUP: 128 + signal.SIGHUP,
    signal.SIGINT: 128 + signal.SIGINT,
    signal.SIGUSR1: 128 + signal.SIGINT,
}


class Run:
    """The command, in processes of its own."""

    def __init__(self, folder, *arguments, dataset="synthetic", cells=4):
        (folder / "often.py").write_text(OFTEN)
        (folder / "grid.yaml").write_text(GRID.replace("DATASET", dataset))
        plugins = ["--include", PLUGINS / "tiny.py", "--include", folder / "often.py"]
        command = [sys.executable, "-m", "bench", "run", "--grid", folder / "grid.yaml", *plugins, *arguments]
        self._command = [*map(str, command), "--out", str(folder / "out"), "--device", "cpu"]
        self.cache, self._cells = folder / "cache", cells

    def start(self):
        return subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def whole(self):
        """Run to the end; what it said."""
        with self.start() as process:
            out, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out + said
        return said

    def ended_in_a_training(self, number, *, group, seconds):
        """What a run said that was ended by a signal; None if it was done before."""
        known = self._checkpoints()
        with self.start() as process:
            try:
                while process.poll() is None and self._checkpoints() == known:
                    time.sleep(0.02)
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):
                    (os.killpg if group else os.kill)(process.pid, number)
                _, said = process.communicate(timeout=PATIENCE)  # jobs have the same stderr, and end, too
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode in {0, -number} and self._is_done():
            return None  # at most Python's own end was interrupted
        assert process.returncode == ENDS[number], said
        return said

    def ended_with_a_checkpoint(self, number, *, group):
        """The same, again until one is left: a training may end before the signal arrives."""
        for _ in range(6):
            said = self.ended_in_a_training(number, group=group, seconds=0)
            if self._checkpoints():
                return said
        raise AssertionError(f"no checkpoint was left: {said}")

    def _is_done(self):
        """Whether the records of all cells are written."""
        return (self.cache.parent / "out").is_dir() and len(self._records()) == self._cells

    def _records(self):
        return load_results(self.cache.parent / "out").records

    def _checkpoints(self):
        return {(path, path.stat().st_mtime_ns) for path in self.cache.glob("partial/*/checkpoint*")}

    def results(self):
        """What must not depend on interruptions."""
        artifacts = {
            str(path.parent.relative_to(self.cache)): made(json.loads(path.read_text()))
            for path in self.cache.glob("*/*/artifact.json")
        }
        records = self._records()
        told = {
            record.key: (
                {name: one.value for name, one in record.metrics.items()},
                {name: (one.summary, one.history) for name, one in record.stages.items()},
            )
            for record in records
        }
        assert {record.status for record in records} == {"ok"}
        assert not list(self.cache.glob("partial/*"))
        return artifacts, told


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(folder):
    run, chosen = Run(folder, "--jobs", 2), random.Random(2)
    run.whole()
    expected = run.results()
    for place in (run.cache, folder / "out"):
        shutil.rmtree(place)
    said = []
    for number in chosen.sample(list(ENDS), len(ENDS)):
        group, seconds = chosen.random() < 0.5, chosen.uniform(0, 1.5)
        said.append(run.ended_in_a_training(number, group=group, seconds=seconds))
    said.append(run.whole())
    assert run.results() == expected
    text = "\n".join(filter(None, said))
    assert "goes on at epoch" in text
    assert "Traceback" not in text
    assert "begins anew" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "jobs"), [(signal.SIGTERM, 1), (signal.SIGINT, 2), (signal.SIGHUP, 2), (signal.SIGUSR1, 2)]
)
def test_an_interruption_is_one_line_and_its_step_is_kept(folder, number, jobs):
    endless = ("--set", "defaults.distill.epochs=4000", "--set", "defaults.finetune.epochs=4000")
    run = Run(folder, "--jobs", jobs, *endless)
    said = run.ended_in_a_training(number, group=True, seconds=0.5)
    *_, last = said.splitlines()
    assert last.startswith(("interrupted; ", f"ended by {number.name}; "))
    assert "Traceback" not in said
    # In this process, one training was at work and says that it was kept; jobs are no longer listened to.
    assert ("a checkpoint holds how far it is" in said) == (jobs == 1)
    assert not list(run.cache.glob("*/.*"))
    assert list(run.cache.glob("partial/*/checkpoint.safetensors"))


@pytest.mark.slow
def test_without_checkpoints_a_training_begins_anew(folder):
    run = Run(folder, "--jobs", 1)
    run.ended_with_a_checkpoint(signal.SIGTERM, group=False)
    said = Run(folder, "--jobs", 1, "--no-checkpoints").whole()
    assert "goes on" not in said
    assert not list(run.cache.glob("partial/*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_images_that_other_processes_decode(folder, number):
    """They must not die of a signal to all before the step has ended, nor outlive the run."""
    write_images(folder / "data" / "noise")
    params = "{folder: noise, query_per_class: 2, train_per_class: 12, val_per_class: 2}"
    only = ("--only", "loss=csq", "--only", "seed=0", "--jobs", 1)
    run = Run(folder, *only, dataset=f"{{name: image_folder, params: {params}}}", cells=1)
    run.whole()
    expected = run.results()
    for place in (run.cache, folder / "out"):
        shutil.rmtree(place)
    run.ended_with_a_checkpoint(number, group=True)
    assert "goes on at epoch" in run.whole()
    assert run.results() == expected


def write_images(folder):
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for label in range(3):
        (folder / f"{label}").mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{label}" / f"{number}.png")
