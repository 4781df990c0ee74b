"""A small grid that was run once, for tests that damage copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bench
from tests.conftest import PLUGINS, TINY_GRID

#: Cells that share stages, with a teacher's features and without; networks are kept, timings left out.
GRID = TINY_GRID.replace("loss: [csq, dch]", "loss: [csq]").replace(
    TINY_GRID[TINY_GRID.index("measure:") :],
    "measure: {latency: false, peak_memory: false}\nreport: {keep: all}\n",
)


def run(folder: Path, out: str = "results/tiny", **options):
    """Run the grid of ``folder`` there, in this process and on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setenv("OMP_NUM_THREADS", "2")
        return bench.run("grid.yaml", out, plugins=[PLUGINS / "tiny.py"], device="cpu", **options)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "grid.yaml").write_text(GRID)
    assert run(folder).exit_code == 0
    return folder


@pytest.fixture
def finished(_finished, folder):
    """The working folder, with ``grid.yaml``, ``results/tiny`` and ``cache`` of a run of two cells."""
    shutil.copytree(_finished, folder, dirs_exist_ok=True)
    return folder
