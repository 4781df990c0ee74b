"""Commands that are told to end: in one line, with the code that shells know, and all that they started."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parents[2]

#: Signal -> exit code, and how the last line begins.
ENDS = {
    signal.SIGINT: (130, "interrupted; what is finished is kept"),
    signal.SIGTERM: (143, "ended by SIGTERM; what is finished is kept"),
    signal.SIGHUP: (129, "ended by SIGHUP; what is finished is kept"),
}
#: Seconds that Python itself needs before it asks us: it ends by the signal then, mostly in silence.
PYTHON = 0.25


def start(*arguments, **options):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize("number", ENDS)
def test_in_the_first_second(number):
    chosen, expected = random.Random(number), ENDS[number]
    for _ in range(4):
        seconds = chosen.uniform(PYTHON, 0.7)
        with start("plan", "--grid", "grid.yaml") as process:
            time.sleep(seconds)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        # Before we were there, or too late.
        if process.returncode in {0, -number} or "Fatal Python error: init_import_site" in said:
            continue
        assert process.returncode == expected[0], said
        assert said.splitlines()[-1].startswith(expected[1])
        assert "Traceback" not in said


def test_who_is_to_hear_nothing_of_a_closed_terminal(tmp_path):
    """As nohup has it."""
    command = [sys.executable, "-c", (
        "import os, signal, sys; from bench.cli import main; sys.argv = ['bench'];"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); os.kill(os.getpid(), signal.SIGHUP);"
        "sys.exit(main(['ls', 'losses']) or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN)"
    )]  # fmt: skip
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0


def children(pid):
    """Processes that ``pid`` has started, and that those have."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], stdout=subprocess.PIPE, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in found.splitlines()]
    below, known = [pid], []
    while below:
        below = [child for child, parent in pairs if parent in below]
        known += below
    return known


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not show its processes")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_child_outlives_a_run(folder, number):
    """Of a run that is killed, jobs end by themselves, even where they have nothing to say."""
    (folder / "still.py").write_text(STILL)
    text = TINY_GRID.replace("loss: [csq", "loss: [still")
    (folder / "grid.yaml").write_text(text)
    included = ["--include", PLUGINS / "tiny.py", "--include", folder / "still.py"]
    arguments = ["run", "--grid", folder / "grid.yaml", *included, "--out", folder / "out", "--jobs", 2]
    with start(*arguments, start_new_session=True) as process:
        until = time.monotonic() + 120
        while not (folder / "still").exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        assert (folder / "still").exists(), process.communicate()
        started = children(process.pid)
        assert started
        process.send_signal(number)
        began = time.monotonic()
        while any(map(alive, started)) and time.monotonic() < began + 60:
            time.sleep(0.05)
        took = time.monotonic() - began
        left = [pid for pid in started if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert not left
    assert took < 10  # of which jobs were waited for 2; other tests may be at work
    if number in ENDS:
        assert (process.returncode, said.splitlines()[-1][: len(ENDS[number][1])]) == ENDS[number]
    assert "Traceback" not in said


#: A loss that says nothing for longer than anybody waits, which is a little here.
STILL = """\
import time
from pathlib import Path

from bench.execution.pools import processes, worker
from bench.losses.csq import Csq
from bench.registry import LOSSES

processes.PATIENCE = worker.PATIENCE = 2.0

@LOSSES.register_as("still")
class Still(Csq):
    def terms(self, codes, labels, index):
        Path(__file__).with_name("still").touch()
        for _ in range(1000):
            time.sleep(0.1)
        return super().terms(codes, labels, index)
"""
