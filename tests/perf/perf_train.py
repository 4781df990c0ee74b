"""Speed of training, as ratios to the plain way of doing the same in the same process.

    python tests/perf/perf_train.py --json build/perf_train.json

Both ways (``ways.py``) train the same student on the same real images (Fashion-MNIST) for the same number
of steps, and take turns in every run, so that a busy machine slows both; start-up is counted for both.
Ratios are of one run: the median, the least and the greatest are printed. Compared are step 1, step 2, a
grid of 12 cells and one of 60, which the plain way runs as so many scripts and ours in a job per core; in
that of 60, one network learns all code lengths. Of grids with several seeds, accuracies of both ways are
printed, too. For step 1 the same steps of the network alone, on noise, say how much faster it could be at
all. Put the JSON into a results folder as ``perf_train.json`` and its report shows it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from ways import BATCH, Bench, Case, PlainWay, network_alone, ours

from bench import environment
from bench.data import loading
from bench.execution.making import prepare_process
from bench.execution.run import run_plan
from bench.results.folder import load_results


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
    seconds = {**first(), **second()} if number % 2 == 0 else {**second(), **first()}
    return {**seconds, "alone": network_alone(case, bench)}


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
            "alone": [shown[step] / turn["alone"] for turn in turns] if step == "step 1" else None,
        }


#: mAP of a cell, by loss, code length and seed.
Scores = dict[tuple[str, int, int], float]


def whole_grid(case: Case, bench: Bench) -> tuple[dict[str, float], dict[str, Scores]]:
    """Seconds and accuracies of all cells of ``case``, both ways."""
    seconds: dict[str, float] = {}
    found: dict[str, Scores] = {"plain": {}, "ours": {}}
    way = PlainWay(case, bench)
    with timed(seconds, "plain"):
        for point in itertools.product(case.losses, case.bits, case.seeds):
            found["plain"][point] = way.cell(*point)
    with tempfile.TemporaryDirectory() as name:
        with timed(seconds, "ours"):
            plan, machine = bench.plan(case, Path(name), jobs=bench.threads)
            outcome = run_plan(plan, machine, Path(name) / "out")
            assert outcome.ok == case.cells
        for record in load_results(Path(name) / "out").records:
            cell, (_, accuracy) = record.cell, record.metric("map")
            found["ours"][cell.loss, cell.bits, cell.seed] = accuracy.value
    return seconds, found


def agreement(case: Case, scores: dict[str, Scores]) -> Iterator[dict[str, Any]]:
    """Of every loss and code length mAP of both ways, and their difference ± half its interval over seeds."""
    for loss, bits in itertools.product(case.losses, case.bits):
        plain, own = (
            np.array([scores[way][loss, bits, seed] for seed in case.seeds]) for way in ("plain", "ours")
        )
        apart = own - plain
        half = float(stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / math.sqrt(len(apart)))
        yield {
            "what": f"mAP by {loss}, {bits} bits", "seeds": len(case.seeds), "plain": float(plain.mean()),
            "ours": float(own.mean()), "difference": float(apart.mean()), "half_width": half,
        }  # fmt: skip


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
        # Five seeds of three losses at four lengths: what a paper's table takes, and long enough for codes
        # that mean something.
        steps = {"steps": 3, "hash_epochs": 20, "pool_steps": 15, "epochs": 8, "rates": (1e-3, 1e-3)}
        cells = {"losses": ("csq", "dch", "hashnet"), "bits": (16, 32, 64, 128), "seeds": (0, 1, 2, 3, 4)}
        case = Case("timm:test_resnet", asked.teacher[0], 32, **steps, **cells, nested=True)
        yield _compared_grid(case, bench)


def _compared(case: Case, bench: Bench, runs: int) -> dict[str, Any]:
    turns = [one_turn(case, bench, number) for number in range(runs)]
    memory = {way: peak_mb(case, bench, way) for way in ("plain", "ours")}
    found = {"title": case.title, "peak_memory_mb": memory, "rows": list(rows(case, turns))}
    how = f"{bench.precision}, {bench.threads} threads: median of {runs} runs (least to greatest)"
    _say(f"\n{case.title}, {how}")
    for row in found["rows"]:
        speeds = f"{statistics.median(row['plain']):6.1f} and {statistics.median(row['ours']):6.1f} images/s"
        alone = f" (the network alone {statistics.median(row['alone']):.1f})" if row["alone"] else ""
        _say(f"{spread(row['ratios'])} times faster, {speeds}: {row['what']}{alone}")
    plain_mb, ours_mb = memory["plain"], memory["ours"]
    _say(f"peak memory of step 1: plain {plain_mb:.0f} MB without its workers, here {ours_mb:.0f} MB")
    return found


def _compared_grid(case: Case, bench: Bench) -> dict[str, Any]:
    seconds, scores = whole_grid(case, bench)
    gain = seconds["plain"] / seconds["ours"]
    steps = case.epochs * case.pool_steps, (case.hash_epochs or case.epochs) * case.steps
    title = f"{case.title}: {case.cells} cells of {steps[0]} steps in step 1 and {steps[1]} in step 2"
    title += ", all lengths by one network" * case.nested
    _say(f"\n{title}: {seconds['plain']:.0f} s plain, {seconds['ours']:.0f} s here, {gain:.2f} times cheaper")
    row = {"what": f"{case.cells} cells", "unit": "s", "plain": [seconds["plain"]], "ours": [seconds["ours"]]}
    agreed = list(agreement(case, scores)) if len(case.seeds) > 1 else []
    for one in agreed:
        _say(
            f"{one['what']}: {one['plain']:.3f} plain, {one['ours']:.3f} here, "
            f"{one['difference']:+.3f} ± {one['half_width']:.3f} over {one['seeds']} seeds"
        )
    return {"title": title, "peak_memory_mb": {}, "rows": [{**row, "ratios": [gain]}], "accuracies": agreed}


_say = functools.partial(print, flush=True)


if __name__ == "__main__":
    main()
