"""Speed of training, as ratios to the plain way of doing the same in the same process.

    python tests/perf/perf_train.py --json build/perf_train.json

The plain way is ``straightforward.py``; ours are the stages of the suite as ``run`` executes them. Both
train the same student on the same real images (Fashion-MNIST) for the same number of steps, and take turns
in every run, so that a busy machine slows both; start-up is counted for both. Ratios are of one run: the
median, the least and the greatest are printed. Three things are compared: step 1, step 2, and a grid of
12 cells, which the plain way runs as 12 scripts and ours in two jobs. Put the JSON into a results folder as
``perf_train.json`` and its report shows it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import yaml
from torch import nn

from bench import environment, loading
from bench.config import load_grid
from bench.execute import Machine, run_plan
from bench.executors.making import make, prepare_process
from bench.plan import Plan, build_plan
from bench.registry import LOSSES, STUDENTS, TEACHERS
from bench.stages.context import Context
from bench.stages.training import seeded
from bench.store import Store
from bench.types import HashingTask
from models.heads import hash_network

sys.path.insert(0, str(Path(__file__).parent))
import straightforward as plain

BATCH, EPOCHS, VIEWS = 64, 4, 4
NO_TIMINGS = {"latency": False, "peak_memory": False, "search": False}


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        size: input side of student and teacher, pixels.
        steps, pool_steps: full batches in an epoch of step 2 and of step 1.
        hash_epochs: of step 2; None = as many as step 1.
        losses, bits, seeds: of the grid.
    """

    student: str
    teacher: str
    size: int
    steps: int = 2
    pool_steps: int = 2
    epochs: int = EPOCHS
    hash_epochs: int | None = None
    views: int = VIEWS
    losses: tuple[str, ...] = ("dch",)
    bits: tuple[int, ...] = (32,)
    seeds: tuple[int, ...] = (0,)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.student} from {self.teacher} at {self.size} pixels"

    @property
    def cells(self) -> int:
        """Points of the grid."""
        return len(self.losses) * len(self.bits) * len(self.seeds)

    def grid(self, precision: str) -> dict[str, Any]:
        """As a grid file would have it."""
        # Validation comes out of the training images; what does not fill a batch is left out, both ways.
        sizes = {
            "query_per_class": 10,
            "val_per_class": 1,
            "train_per_class": -(-self.steps * BATCH // 10) + 1,
        }
        sizes["database_per_class"] = max(-(-self.pool_steps * BATCH // 10) + 1, sizes["train_per_class"])
        random = {"params": {"weights": "none"}}
        optimizer = {"batch_size": BATCH, "optimizer": "adam", "lr": 1e-4}
        hash_epochs = self.hash_epochs or self.epochs
        return {
            "schema": 1,
            "name": "perf",
            "defaults": {
                "image_size": self.size,
                "precision": precision,
                "distill": {**optimizer, "epochs": self.epochs},
                "finetune": {**optimizer, "epochs": hash_epochs, "optimizer": "rmsprop", "lr": 1e-5},
            },
            "axes": {
                "dataset": [{"name": "fashion_mnist", "params": sizes}],
                "teacher": [{"name": self.teacher, **(random if self.teacher == "resnet50" else {})}],
                "student": [{"name": self.student, **random}],
                "method": [{"name": "cukd", "params": {
                    "views": self.views, "teacher_image_size": self.size,
                    "pool": "database" if self.pool_steps > self.steps else "train",
                }}],
                "loss": list(self.losses),
                "bits": list(self.bits),
                "seed": list(self.seeds),
            },
            "measure": NO_TIMINGS,
            "report": {"examples": 0},
        }  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """The machine, the data, and how ours computes."""

    data_root: Path
    device: str
    threads: int
    precision: str

    def plan(self, case: Case, folder: Path, jobs: int = 1) -> tuple[Plan, Machine]:
        """What ``run`` would do, in an empty store below ``folder``."""
        path = folder / "grid.yaml"
        path.write_text(yaml.safe_dump(case.grid(self.precision)))
        machine = Machine(
            Store(folder / "cache"), self.data_root, self.device, self.threads // jobs, self.precision, jobs
        )
        return build_plan(load_grid(path), self.data_root, machine.hardware), machine


def ours(case: Case, bench: Bench) -> dict[str, float]:
    """Seconds of the stages of one cell."""
    with tempfile.TemporaryDirectory() as name:
        plan, machine = bench.plan(case, Path(name))
        context = Context(
            store=machine.store,
            data_root=bench.data_root,
            device=torch.device(bench.device),
            weights=plan.weights,
            hardware=machine.hardware,
            advance=lambda images: None,
        )
        seconds = {"features": 0.0}
        for stage in plan.stages():
            if stage.kind in {"features", "distill", "finetune"}:
                start = time.perf_counter()
                end = make(stage, context, fresh=False)
                assert end.index, end.cause
                seconds[stage.kind] = seconds.get(stage.kind, 0.0) + time.perf_counter() - start
        return seconds


class PlainWay:
    """The same as scripts would do it."""

    def __init__(self, case: Case, bench: Bench) -> None:
        self.case, self.device = case, bench.device
        grid = case.grid("fp32")
        self.steps = grid["defaults"]
        block = grid["axes"]["dataset"][0]
        plugin: Any = loading.DATASETS.get("fashion_mnist")
        params = plugin.Params.of(block["params"]).model_dump(mode="json")
        self.data = loading.load("fashion_mnist", params, bench.data_root, None)
        student: Any = STUDENTS.get(case.student)
        self.student = student(student.Params.of({"weights": "none"}))
        self.side = self.data.images.pixels.shape[-1]

    def trunk(self, seed: int) -> nn.Module:
        """The student after step 1."""
        plugin: Any = TEACHERS.get(self.case.teacher)
        weights = {"weights": "none"} if self.case.teacher == "resnet50" else {}
        teacher = plugin(plugin.Params.of(weights))
        with seeded(seed, torch.device("cpu")):
            net, trunk = teacher.build(), self.student.build()
            width, wanted = self.student.feature_dim(self.case.size), teacher.feature_dim(self.case.size)
            shown = trunk if width == wanted else nn.Sequential(trunk, nn.Linear(width, wanted))
            splits = self.data.splits
            pool = splits.database if self.case.pool_steps > self.case.steps else splits.train
            # One image serves both networks.
            net = plain.Renormalized(net, self.student.preprocessing, teacher.preprocessing)
            view = plain.training_view(self.student.preprocessing, self.case.size, self.side)
            images = plain.Images(self.data, pool, view)
            plain.distil(shown, net, images, self.device, **self._settings("distill"))
        return trunk

    def hashed(self, trunk: nn.Module, loss: str, bits: int, seed: int) -> nn.Module:
        """The network after step 2."""
        train = self.data.splits.train
        plugin: Any = LOSSES.get(loss)
        task = HashingTask(bits, self.data.images.classes, len(train), seed)
        with seeded(seed, torch.device("cpu")):
            net = hash_network(trunk, self.student.feature_dim(self.case.size), bits)
            view = plain.training_view(self.student.preprocessing, self.case.size, self.side)
            images = plain.Images(self.data, train, view)
            terms = plugin(plugin.Params(), task)
            plain.finetune(net, terms, images, self.device, **self._settings("finetune"))
        return net

    def score(self, net: nn.Module) -> float:
        """mAP of its codes."""
        view = plain.evaluation_view(self.student.preprocessing, self.case.size)
        return plain.mean_average_precision(net, self.data, view, self.device, BATCH)

    def cell(self, loss: str, bits: int, seed: int) -> float:
        """One script from pretrained teacher to mAP."""
        return self.score(self.hashed(self.trunk(seed), loss, bits, seed))

    def _settings(self, step: str) -> dict[str, Any]:
        return {name: self.steps[step][name] for name in ("epochs", "lr", "batch_size")}


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block took."""
    start = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def one_turn(case: Case, bench: Bench, number: int) -> dict[str, float]:
    """Seconds of every part, both ways, of which every other turn has the other one first."""

    def plain_way() -> dict[str, float]:
        seconds: dict[str, float] = {}
        way = PlainWay(case, bench)
        with timed(seconds, "plain step 1"):
            trunk = way.trunk(0)
        with timed(seconds, "plain step 2"):
            way.hashed(trunk, case.losses[0], case.bits[0], 0)
        return seconds

    first, second = plain_way, functools.partial(ours, case, bench)
    return {**first(), **second()} if number % 2 == 0 else {**second(), **first()}


def rows(case: Case, turns: list[dict[str, float]]) -> Iterator[dict[str, Any]]:
    """Images per second of both ways in every turn, and how many times faster ours is."""
    shown = {"step 1": case.epochs * case.pool_steps * BATCH, "step 2": case.epochs * case.steps * BATCH}
    one, all_views = (
        f"{count} of features counted over {case.epochs} epochs" for count in ("one view", "all views")
    )
    parts = {
        "step 1, features there": ("step 1", lambda turn: turn["distill"]),
        f"step 1, {one}": ("step 1", lambda turn: turn["distill"] + turn["features"] / case.views),
        f"step 1, {all_views}": ("step 1", lambda turn: turn["distill"] + turn["features"]),
        "step 2": ("step 2", lambda turn: turn["finetune"]),
    }
    for what, (step, seconds) in parts.items():
        yield {
            "what": what,
            "unit": "images/s",
            "plain": [shown[step] / turn[f"plain {step}"] for turn in turns],
            "ours": [shown[step] / seconds(turn) for turn in turns],
            "ratios": [turn[f"plain {step}"] / seconds(turn) for turn in turns],
        }


def whole_grid(case: Case, bench: Bench) -> dict[str, float]:
    """Seconds of all cells of ``case``, both ways."""
    seconds: dict[str, float] = {}
    way = PlainWay(case, bench)
    with timed(seconds, "plain"):
        for loss in case.losses:
            for bits in case.bits:
                for seed in case.seeds:
                    way.cell(loss, bits, seed)
    with tempfile.TemporaryDirectory() as name, timed(seconds, "ours"):
        plan, machine = bench.plan(case, Path(name), jobs=min(bench.threads, 2))
        outcome = run_plan(plan, machine, Path(name) / "out")
        assert outcome.ok == case.cells
    return seconds


def peak_mb(case: Case, bench: Bench, way: str) -> float:
    """Peak memory of step 1 in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, "--student", case.student, "--teacher", case.teacher]
    command += ["--size", str(case.size), "--data-root", str(bench.data_root)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _peak_of_this_process() -> float:
    """MB. What getrusage says is no less than the memory of the process that started this one."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1000 if found else float("nan")


def spread(values: list[float]) -> str:
    """``5.1 (4.9 to 5.3)``."""
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Compare, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", nargs="+", default=["cukd_v1", "timm:test_resnet"])
    parser.add_argument("--teacher", nargs="+", default=["efficientnet_lite0", "resnet50"],
                        help="resnet50 has random weights: its speed does not depend on them")  # fmt: skip
    parser.add_argument("--size", nargs="+", type=int, default=[224, 64])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-grid", action="store_true", help="leave the grid of 12 cells out")
    parser.add_argument("--grid-only", action="store_true", help="leave the rest out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--data-root", type=Path, default=loading.default_root())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", choices=["plain", "ours"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    threads = environment.default_threads()
    prepare_process(threads)
    fast = environment.bf16_in_hardware(asked.device)
    bench = Bench(asked.data_root, asked.device, threads, "bf16" if fast else "fp32")
    if asked.peak:
        case = Case(asked.student[0], asked.teacher[0], asked.size[0], epochs=1)
        PlainWay(case, bench).trunk(0) if asked.peak == "plain" else ours(case, bench)
        sys.stdout.write(f"{_peak_of_this_process()}\n")
        return
    cases = [
        Case(student, teacher, size)
        for size in asked.size for teacher in asked.teacher for student in asked.student
    ]  # fmt: skip
    machine = environment.describe(asked.device, threads, bench.precision)
    report: dict[str, Any] = {"schema_version": 1, "machine": machine, "compared": []}
    for found in _all(asked, bench, [] if asked.grid_only else cases):
        report["compared"].append(found)
        if asked.json:
            asked.json.parent.mkdir(parents=True, exist_ok=True)
            asked.json.write_text(json.dumps(report, indent=1) + "\n")


def _all(asked: argparse.Namespace, bench: Bench, cases: list[Case]) -> Iterator[dict[str, Any]]:
    """Every comparison as it is done."""
    for case in cases:
        yield _compared(case, bench, asked.runs)
    if not asked.no_grid:
        cells = {"losses": ("csq", "dch"), "bits": (16, 32, 64), "seeds": (0, 1)}
        # Published schedules show 53 images in step 1 for one in step 2 (arXiv 2207.09070, CIFAR-10).
        steps = {"steps": 3, "hash_epochs": 2, "pool_steps": 6, "epochs": 8}
        case = Case(asked.student[0], asked.teacher[0], 64, **steps, **cells)
        yield _compared_grid(case, bench)


def _compared(case: Case, bench: Bench, runs: int) -> dict[str, Any]:
    turns = [one_turn(case, bench, number) for number in range(runs)]
    memory = {way: peak_mb(case, bench, way) for way in ("plain", "ours")}
    found = {"title": case.title, "peak_memory_mb": memory, "rows": list(rows(case, turns))}
    how = f"{bench.precision}, {bench.threads} threads: median of {runs} runs (least to greatest)"
    _say(f"\n{case.title}, {how}")
    for row in found["rows"]:
        speeds = f"{statistics.median(row['plain']):6.1f} and {statistics.median(row['ours']):6.1f} images/s"
        _say(f"{spread(row['ratios'])} times faster, {speeds}: {row['what']}")
    plain_mb, ours_mb = memory["plain"], memory["ours"]
    _say(f"peak memory of step 1: plain {plain_mb:.0f} MB without its workers, here {ours_mb:.0f} MB")
    return found


def _compared_grid(case: Case, bench: Bench) -> dict[str, Any]:
    seconds = whole_grid(case, bench)
    gain = seconds["plain"] / seconds["ours"]
    steps = case.epochs * case.pool_steps, (case.hash_epochs or case.epochs) * case.steps
    title = f"{case.title}: {case.cells} cells of {steps[0]} steps in step 1 and {steps[1]} in step 2"
    _say(f"\n{title}: {seconds['plain']:.0f} s plain, {seconds['ours']:.0f} s here, {gain:.2f} times cheaper")
    row = {"what": f"{case.cells} cells", "unit": "s", "plain": [seconds["plain"]], "ours": [seconds["ours"]]}
    return {"title": title, "peak_memory_mb": {}, "rows": [{**row, "ratios": [gain]}]}


_say = functools.partial(print, flush=True)


if __name__ == "__main__":
    main()
