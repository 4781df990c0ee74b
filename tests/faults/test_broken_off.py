"""A run that is killed, or that the disk is full for, at any change of a file goes on as if nothing had been.

``BREAKS=1000`` tries all changes, of which the tiny grid has some hundred; a few by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BREAKS = int(os.environ.get("BREAKS", "6"))


@pytest.mark.slow
@pytest.mark.timeout(10_000)
@pytest.mark.parametrize("way", ["kill", "full"])
def test_before_a_change_of_a_file(tmp_path, way):
    seed = int(os.environ.get("SEED", "0"))
    command = [sys.executable, "-m", "tests.faults.interposed", tmp_path, way, BREAKS, seed]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout.splitlines()[-1])  # noqa: T201 (the figure)
    assert done.returncode == 0, done.stdout + done.stderr
