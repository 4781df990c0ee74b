"""The door from Python: ``bench.run`` as a program calls it."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench as library
from bench.errors import BenchError, UsageError
from bench.execution.session import RunOptions
from bench.losses.dch import Dch
from bench.registry import LOSSES
from bench.results.folder import load_results
from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parents[2]
TINY = {"plugins": [PLUGINS / "tiny.py"], "only": ["method=none"]}

#: What a user may write in a file, and start with ``python script.py``: nothing guards the call.
SCRIPT = """\
import bench
print("the script runs")
outcome = bench.run("grid.yaml", plugins=[{plugin!r}], only=["method=none"], jobs=2)
print(outcome.ok, "cells, nothing failed:", not outcome.failed)
"""


@pytest.fixture
def grid(folder, monkeypatch):
    # As in a program of its own: the command line sets up logging for good.
    monkeypatch.setattr(logging.getLogger("bench"), "handlers", [])
    (folder / "grid.yaml").write_text(TINY_GRID)
    return folder / "grid.yaml"


def explode(self, codes, labels, index):
    raise RuntimeError("a defect")


def test_a_run_is_a_call(grid, folder, capsys):
    outcome = library.run(str(grid), **TINY)
    assert (outcome.present, outcome.attempted, outcome.ok, outcome.exit_code) == (0, 2, 2, 0)
    assert outcome.out == Path("results/tiny")
    assert {cell.info.loss for cell in outcome.plan.selected} == {"csq", "dch"}
    found = load_results(folder / outcome.out).records
    assert {record.status for record in found} == {"ok"}
    again = library.run(grid, folder / "results" / "tiny", **TINY)
    assert (again.present, again.attempted, again.stages_run) == (2, 0, 0)
    assert capsys.readouterr() == ("", "")


def test_the_command_line_finds_what_a_call_has_made(grid, tiny):
    library.run(grid, **TINY)
    assert "nothing to do, every cell has a record" in tiny("run", "--only", "method=none").out


def test_a_call_leaves_threads_and_logging_as_they_were(grid):
    logger = logging.getLogger("bench")
    before = logger.level, list(logger.handlers), logger.propagate
    torch.set_num_threads(2)
    library.run(grid, threads=1, **TINY)
    assert torch.get_num_threads() == 2
    assert (logger.level, list(logger.handlers), logger.propagate) == before


@pytest.fixture
def heard(monkeypatch):
    """Lines that a handler of the calling program gets, whose loggers are as Python has them."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((record.name.partition(".")[0], record.levelname))
    bench = logging.getLogger("bench")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    monkeypatch.setattr(bench, "handlers", [])
    monkeypatch.setattr(bench, "propagate", True)
    level = bench.level
    bench.setLevel(logging.NOTSET)
    yield lines
    bench.setLevel(level)


def test_logs_are_whole_where_the_program_listens_to_warnings_alone(grid, heard, monkeypatch):
    monkeypatch.setattr(Dch, "terms", explode)
    outcome = library.run(grid, **TINY)
    assert (outcome.ok, len(outcome.failed)) == (1, 1)
    assert set(heard) == {("bench", "ERROR")}
    (log,) = Path("results/tiny/logs").glob("run-*.log")
    assert "Traceback" in log.read_text()
    results = load_results(Path("results/tiny"))
    failed = next(record for record in results.records if record.status == "failed")
    assert "RuntimeError: a defect" in results.log(failed)


def test_warnings_are_shown_where_nobody_listens(grid, heard, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(Dch, "terms", explode)
    library.run(grid, **TINY)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("__")[0] for line in said] == ["synthetic"]
    assert "RuntimeError: a defect; the log has the traceback" in said[0]


@pytest.mark.slow
def test_a_script_that_guards_nothing_starts_one_run_with_jobs_too(grid, folder):
    (folder / "script.py").write_text(SCRIPT.format(plugin=str(PLUGINS / "tiny.py")))
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["the script runs", "2 cells, nothing failed: True"]


def test_faults_are_errors_of_the_family_and_no_exits(grid, folder):
    with pytest.raises(UsageError, match="cannot read the grid"):
        library.run(folder / "absent.yaml")
    (folder / "file").write_text("")
    with pytest.raises(BenchError, match="cannot write"):
        library.run(grid, folder / "file", **TINY)


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("jbos", "; did you mean 'jobs'? (options: data_root, "),
        ("include", "; it is 'plugins' here (options: "),
        ("set", "; it is 'overrides' here (options: "),
        ("colour", " (options: "),
    ],
)
def test_an_option_that_there_is_not_is_told_with_those_that_there_are(option, hint):
    with pytest.raises(TypeError) as caught:
        library.run("grid.yaml", **{option: 2})
    assert str(caught.value).startswith(f"bench.run has no option '{option}'{hint}")


def test_jobs_refuse_what_they_could_not_end(grid, folder, monkeypatch):
    """They do not know what the calling program has registered."""
    monkeypatch.setattr(LOSSES, "_registered", dict(LOSSES._registered))
    LOSSES.register_as("mine")(type("Mine", (Dch,), {}))
    grid.write_text(TINY_GRID.replace("[csq, dch]", "[csq, mine]"))
    with pytest.raises(UsageError, match=r"^loss 'mine' is known to the calling program alone.* plugins=\["):
        library.run(grid, jobs=2, **TINY)
    assert not list((folder / "cache").glob("*/*/artifact.json"))
    assert library.run(grid, **TINY).ok == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "gpu"}, "device: 'gpu' is none of auto, cpu, cuda"),
        ({"overwrite": True}, "overwrite: True is none of missing, failed, unsteady, always"),
        ({"pool": "clouds"}, "pool: 'clouds' is none of None, inline, processes"),
        ({"jobs": 0}, "jobs: 0 is not a whole number from 1 on or auto"),
        ({"jobs": True}, "jobs: True is not a whole number from 1 on or auto"),
        ({"threads": True}, "threads: True is not a whole number from 1 on"),
        ({"checkpoints": "no"}, "checkpoints: 'no' is neither True nor False"),
        ({"limit": 1}, "limit: 1 is not a whole number from 2 on or None"),
        ({"only": "loss=csq"}, "only: 'loss=csq' is not a list; pass ['loss=csq']"),
    ],
)
def test_what_no_run_can_have_is_told_in_one_line(options, said):
    with pytest.raises(UsageError) as caught:
        RunOptions(**options)
    assert str(caught.value) == said


def test_options_do_not_change():
    options = RunOptions(jobs="auto")
    assert (options.jobs, options.overwrite, options.limit) == ("auto", "missing", None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.jobs = 2


def test_the_door_is_opened_when_it_is_asked_for():
    code = "import sys, bench; assert {'hamming', 'load', 'run'} <= set(dir(bench))"
    code += "; assert not {'numpy', 'pydantic', 'torch'} & set(sys.modules); bench.run"
    code += "; assert 'torch' not in sys.modules and 'faiss' not in sys.modules; bench.hamming.pack_codes"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert {name for name in library.__all__ if hasattr(library, name)} == {"hamming", "load", "run"}
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = library.runs


def test_a_second_run_looks_at_the_files_again(grid, folder):
    def images(seed):
        rng = np.random.default_rng(seed)
        for name in ("one", "two"):
            place = folder / "data" / "pictures" / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(12):
                size = (40 + seed, 40)  # the manifest holds names and sizes of files
                pixels = rng.integers(256, size=(*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")

    sizes = "query_per_class: 3, train_per_class: 6, val_per_class: 2, side: 16"
    dataset = f"[{{name: image_folder, params: {{folder: pictures, {sizes}}}}}]"
    grid.write_text(TINY_GRID.replace("dataset: [synthetic]", f"dataset: {dataset}"))
    manifests = []
    for seed in range(2):
        images(seed)
        found = load_results(library.run(grid, only=["method=none", "loss=csq"], plugins=TINY["plugins"]).out)
        manifests.append(found.records[0].cell.protocol["manifest"])
    assert manifests[0] != manifests[1]


def test_lists_may_be_anything_that_can_be_walked():
    options = RunOptions(only=(text for text in ["method=none"]), plugins=iter([Path("mine.py")]))
    assert (options.only, options.plugins) == (("method=none",), (Path("mine.py"),))
    with pytest.raises(UsageError, match="only: 3 is no text; pass a list of texts"):
        RunOptions(only=[3])
    with pytest.raises(UsageError, match="plugins: None is no text"):
        RunOptions(plugins=None)


@pytest.mark.parametrize("checkpoints", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_what_a_scheduler_sends_interrupts_and_means_afterwards_what_it_did(
    grid, folder, monkeypatch, number, checkpoints
):
    def ended(loss, codes, labels, index):
        signal.raise_signal(number)
        return right(loss, codes, labels, index)

    right = Dch.terms
    monkeypatch.setattr(Dch, "terms", ended)
    with pytest.raises(KeyboardInterrupt):
        library.run(grid, checkpoints=checkpoints, **TINY)
    assert signal.getsignal(number) is signal.SIG_DFL
    assert bool(list((folder / "cache").glob("partial/*/checkpoint*"))) == checkpoints
    monkeypatch.setattr(Dch, "terms", right)
    assert library.run(grid, checkpoints=checkpoints, **TINY).exit_code == 0


def test_a_plugin_that_ends_the_program_ends_the_run_alone(grid, monkeypatch):
    def leave(self, codes, labels, index):
        sys.exit(3)

    monkeypatch.setattr(Dch, "terms", leave)
    with pytest.raises(UsageError, match=r"a plug-in ended the program \(SystemExit: 3\)"):
        library.run(grid, **TINY)


def test_two_runs_at_once_are_refused(grid, monkeypatch):
    def again(self, codes, labels, index):
        library.run(grid, **TINY)

    monkeypatch.setattr(Dch, "terms", again)
    outcome = library.run(grid, **TINY)
    assert len(outcome.failed) == 1
    (failed,) = [record for record in load_results(outcome.out).records if record.status == "failed"]
    assert "another run is at work in this process" in failed.error.message
