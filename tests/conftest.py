"""Fixtures: the command line in a clean folder, and a grid that trains in a second."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

# As the command line does it; torch reads the one when it is imported, the other when it first uses a GPU.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"

import hypothesis
import pytest
import torch

from bench.cli import main
from bench.registry import REGISTRIES, is_own
from bench.results import catalogue, records
from bench.results.folder import save_index
from tests import recorded

PLUGINS = Path(__file__).parent / "plugins"

# What a shell starts in the background, or nohup, ignores these, and so would all that tests start and end.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# How long an example takes says something of the machine; what a test may take is limited elsewhere.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

TINY_GRID = """\
schema: 1
name: tiny
defaults:
  image_size: 16
  distill: {epochs: 2, batch_size: 32, lr: 1.0e-3}
  finetune: {epochs: 2, batch_size: 32, lr: 1.0e-3, optimizer: adamw}
axes:
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none, {name: cukd, params: {views: 2, teacher_image_size: 16}}]
  loss: [csq, dch]
  bits: [16]
  seed: [0]
measure: {latency: {batch_sizes: [1], samples: 5, warmup_seconds: 0.05, budget_seconds: 0.2}}
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture(autouse=True)
def _own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's plug-ins say of their metrics, no other test knows."""
    monkeypatch.setattr(catalogue, "_known", dict(catalogue._known))


@pytest.fixture(autouse=True)
def _own_plugins() -> Iterator[None]:
    """What a test registers, no other test has; the suite's own register when they are first asked for."""
    before = {kind: set(registry._registered) for kind, registry in REGISTRIES.items()}
    yield
    for kind, registry in REGISTRIES.items():
        for name in registry._registered.keys() - before[kind]:
            if not is_own(registry._registered[name]):
                del registry._registered[name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a cache and a data root of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    return tmp_path


@pytest.fixture
def bench(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run one command in ``folder``: in this process and on the CPU, unless the test asks otherwise."""

    def call(*arguments: object) -> Result:
        if arguments[:1] == ("run",) and "--jobs" not in arguments:
            arguments = (*arguments, "--jobs", "1")
        if arguments[:1] in {("run",), ("plan",), ("measure",)} and "--device" not in arguments:
            arguments = (*arguments, "--device", "cpu")
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def tiny(folder: Path, bench: Callable[..., Result]) -> Callable[..., Result]:
    """Run a verb on the tiny grid, with the plug-ins it needs; ``edit`` changes its text first."""

    def call(verb: str, *arguments: object, edit: tuple[str, str] | None = None) -> Result:
        text = TINY_GRID
        if edit is not None:
            assert edit[0] in text
            text = text.replace(*edit)
        (folder / "grid.yaml").write_text(text)
        return bench(verb, "--grid", "grid.yaml", "--include", PLUGINS / "tiny.py", *arguments)

    return call


@pytest.fixture
def make_record() -> Callable[..., records.Record]:
    """A record with plausible numbers."""
    return recorded.make_record


@pytest.fixture
def run_records() -> list[records.Record]:
    """Those of a whole run."""
    return recorded.run_records()


@pytest.fixture
def write_results(tmp_path: Path) -> Callable[..., Path]:
    """Write records as a results folder and return it."""

    def write(some, pareto=(("map", "macs"), ("map", "latency_ms"), ("map", "params")), missing=()):
        folder = tmp_path / "results"
        cells = {record.cell_key: f"cell-{i}" for i, record in enumerate(some)}
        cells |= {f"missing-{slug}": slug for slug in missing}
        save_index(folder, "fashion", [tuple(pair) for pair in pareto], cells)
        for i, record in enumerate(some):
            records.save(record, folder / "records" / f"{i:03d}.json")
        return folder

    return write


@pytest.fixture
def done(tiny: Callable[..., Result]) -> Result:
    """The tiny grid, run."""
    result = tiny("run")
    assert result.code == 0, result.err
    return result
