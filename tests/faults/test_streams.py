"""A run whose output nobody takes makes its records all the same; what cannot be printed is told of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.results.folder import load_results
from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "jobs", "code"),
    [
        ("2>/dev/full", 2, 0),
        ("2>&-", 1, 0),
        ("0<&- 1>&- 2>&-", 2, 0),
        ("1>/dev/full", 1, 2),
        ("| true", 1, 0),
    ],
)
def test_a_run_makes_its_records(folder, streams, jobs, code):
    (folder / "grid.yaml").write_text(TINY_GRID)
    command = [sys.executable, "-m", "bench", "run", "--grid", folder / "grid.yaml", "--jobs", jobs]
    command += ["--include", PLUGINS / "tiny.py", "--only", "method=none", "--out", folder / "out"]
    command += ["--set", "measure.latency=false"]
    text = " ".join(f"'{part}'" for part in command)
    if "|" in streams:
        text = f"set -o pipefail; {text}"
    done = subprocess.run(
        ["bash", "-c", f"{text} {streams}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert {record.status for record in load_results(folder / "out").records} == {"ok"}
    if code:
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: standard output: cannot write (No space left on device); what is fini")
