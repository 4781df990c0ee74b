"""Workers as processes on one folder: killed, stopped and started at any moment, the same comes out.

KILLS=30 python -m pytest -m "" tests/execution/test_workers.py
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from bench.execution import making
from bench.planning.stage import walk
from tests.sleepers import cells

ROOT = Path(__file__).parents[2]
STAGES = walk(leaf for cell in cells() for leaf in cell.leaves.values())
#: Seconds that anything may take on a machine that does other things as well.
PATIENCE = 120.0
#: Runs with workers that are killed and stopped at random: as many as the variable says.
KILLS = int(os.environ.get("KILLS", "6"))
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, KILLS))]


class Workers:
    """Processes on one folder."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder, self._options = folder, options
        self.started: list[subprocess.Popen] = []
        self.killed: set[int] = set()
        self.stopped: set[int] = set()
        (folder / "logs").mkdir(parents=True)

    def start(self, *prefix: str, **variables: str) -> subprocess.Popen:
        """One more."""
        command = [*prefix, sys.executable, "-m", "tests.sleepers", str(self.folder)]
        for name, value in self._options.items():
            command += [f"--{name}", str(value)]
        log = (self.folder / "logs" / str(len(self.started))).open("w")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self.started.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment))
        log.close()
        return self.started[-1]

    def kill(self, process: subprocess.Popen) -> None:
        """As the system does when memory runs out."""
        process.kill()
        process.wait()
        self.killed.add(process.pid)

    def end(self) -> None:
        """Wait for those that were not killed; all must end well."""
        for number, process in enumerate(self.started):
            code = process.wait(PATIENCE)
            assert code == 0 or process.pid in self.killed, self.log(number)

    def log(self, number: int) -> str:
        """What one has said."""
        return (self.folder / "logs" / str(number)).read_text()

    def lines(self, name: str) -> list[list]:
        """What workers have written down."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def wait_for(self, name: str, kind: str) -> int:
        """The process that began, or ended, the first stage of a kind."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [pid for _, pid, _, _, of in self.lines(name) if of == kind]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found[0]

    def process(self, pid: int) -> subprocess.Popen:
        """The one with that number."""
        return next(process for process in self.started if process.pid == pid)

    def records(self) -> dict[str, str]:
        """All of them."""
        return {path.name: path.read_text() for path in (self.folder / "records").iterdir()}

    def check(self) -> None:
        """Nothing is lost, and nothing was made twice but for what was killed or stopped."""
        makers = defaultdict(list)
        for key, pid, *_ in self.lines("began"):
            makers[key].append(pid)
        assert set(makers) == set(STAGES)
        for key, pids in makers.items():
            rest = [pid for pid in pids if pid not in self.killed | self.stopped]
            assert len(rest) <= 1, (STAGES[key], pids)
        for path in (self.folder / "cache").glob("*/.*"):
            pytest.fail(f"{path} was left")
        assert not list((self.folder / "cache").glob("damaged/*"))


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Records of one worker that nobody disturbs."""
    workers = Workers(tmp_path_factory.mktemp("alone"), seconds=0)
    workers.start()
    workers.end()
    workers.check()
    records = workers.records()
    assert len(records) == 4
    assert all(json.loads(text)["ok"] for text in records.values())
    return records


def test_three_workers_make_every_stage_once_and_timings_beside_nothing(tmp_path, right):
    workers = Workers(tmp_path / "shared", lease=20)
    for _ in range(3):
        workers.start()
    workers.end()
    workers.check()
    assert workers.records() == right
    assert list((tmp_path / "shared/cache/claims").iterdir()) == []
    ends = {(key, pid): moment for key, pid, moment, *_ in workers.lines("ended")}
    spans = [(moment, ends[key, pid], timed) for key, pid, moment, timed, _ in workers.lines("began")]
    assert len(spans) == len(STAGES)
    assert len({pid for _, pid, *_ in workers.lines("began")}) > 1
    for begin, end, timed in spans:
        beside = [span for span in spans if span != (begin, end, timed) and span[0] < end and begin < span[1]]
        assert not (timed and beside)


def test_what_a_killed_worker_was_at_is_made_by_another(tmp_path, right):
    workers = Workers(tmp_path / "shared", lease=20, slow="distill")
    for _ in range(2):
        workers.start()
    workers.kill(workers.process(workers.wait_for("began", "distill")))
    workers.end()
    workers.check()
    assert workers.records() == right


def test_a_worker_that_was_stopped_for_too_long_notices_and_goes_on(tmp_path, right):
    workers = Workers(tmp_path / "shared", lease=1, slow="distill", seconds=0.1)
    for _ in range(2):
        workers.start()
    stopped = workers.process(workers.wait_for("began", "distill"))
    os.kill(stopped.pid, signal.SIGSTOP)
    workers.stopped = {process.pid for process in workers.started}  # a busy machine may stop the other one
    deadline = time.monotonic() + PATIENCE
    mine = {key for key, pid, *_ in workers.lines("began") if pid == stopped.pid}
    while not any(key in mine and pid != stopped.pid for key, pid, *_ in workers.lines("ended")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(stopped.pid, signal.SIGCONT)
    workers.end()
    workers.check()
    assert workers.records() == right
    said = workers.log(workers.started.index(stopped))
    assert "given up: this process was silent for so long that another one has taken it over" in said
    assert "no sign of life from" in workers.log(1 - workers.started.index(stopped))


def test_a_stage_that_fails_is_tried_once_and_all_learn_of_it(tmp_path):
    workers = Workers(tmp_path / "shared", lease=20, wrong="distill")
    for _ in range(3):
        workers.start()
    workers.end()
    distills = [key for key, stage in STAGES.items() if stage.kind == "distill"]
    assert sorted(key for key, *_ in workers.lines("began") if key in distills) == sorted(distills)
    records = {name: json.loads(text)["ok"] for name, text in workers.records().items()}
    assert records == {"none-0-0": True, "none-1-0": True, "cukd-0-0": False, "cukd-1-0": False}


@pytest.mark.parametrize("lasting", ["", "yes"])
def test_a_stage_that_ends_every_worker_fails_at_last_if_it_gets_nowhere(tmp_path, lasting):
    workers = Workers(tmp_path / "shared", lease=20, deadly="distill", seconds=0, lasting=lasting)
    deadly = [key for key, stage in STAGES.items() if stage.kind == "distill"]
    most = making.MOST_DEATHS * len(deadly)
    codes = [workers.start().wait(PATIENCE) for _ in range(most + 1)]
    assert codes[:most] == [-signal.SIGKILL] * most
    if lasting:  # a machine may be taken away often, and what it was at goes on elsewhere
        assert codes[most] == -signal.SIGKILL
        return
    assert codes[most] == 0
    tried = [key for key, *_ in workers.lines("began") if key in deadly]
    assert sorted(tried) == sorted(making.MOST_DEATHS * deadly)
    notes = [path.read_text() for path in (tmp_path / "shared/failures").iterdir()]
    assert len(notes) == len(deadly)
    assert all(
        f"{making.MOST_DEATHS} workers in a row have ended while they made it" in note for note in notes
    )


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs the program faketime")
def test_clocks_of_machines_may_differ_by_hours(tmp_path, right):
    workers = Workers(tmp_path / "shared", lease=5, slow="distill", seconds=0.1)
    for shift in ("+0", "+3h", "+9h"):
        # Times of files are those that the file server has.
        workers.start("faketime", "-f", shift, NO_FAKE_STAT="1")
    workers.end()
    workers.check()
    assert workers.records() == right
    assert not any("no sign of life" in workers.log(number) for number in range(3))


def disturbed(workers: Workers, seed: int) -> None:
    """Kill, stop and start workers at random moments; at last one is left in peace."""
    luck = random.Random(seed)
    for _ in range(3):
        workers.start()
    paused: list[tuple[float, subprocess.Popen]] = []
    until = time.monotonic() + 6
    while time.monotonic() < until:
        time.sleep(luck.uniform(0.05, 0.8))
        for moment, process in list(paused):
            if time.monotonic() > moment:
                os.kill(process.pid, signal.SIGCONT)
                paused.remove((moment, process))
        running = [one for one in workers.started if one.poll() is None]
        awake = [one for one in running if one not in [process for _, process in paused]]
        if not awake:
            continue
        if luck.random() < 0.6:
            workers.kill(luck.choice(awake))
        else:
            victim = luck.choice(awake)
            os.kill(victim.pid, signal.SIGSTOP)
            workers.stopped.add(victim.pid)
            paused.append((time.monotonic() + luck.uniform(0.2, 4), victim))
        while len([one for one in workers.started if one.poll() is None]) < 3:
            workers.start()
    for _, process in paused:
        os.kill(process.pid, signal.SIGCONT)
    workers.start()
    workers.end()


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_are_killed_and_stopped_at_random_end_with_the_same_records(tmp_path, right, seed):
    workers = Workers(tmp_path / "shared", lease=2, seconds=0.1)
    disturbed(workers, seed)
    workers.check()
    assert workers.records() == right
