"""Accuracy of the fast way beside that of the plain way, over seeds, on the same splits of Fashion-MNIST.

    python tests/perf/same_science.py --seeds 0 1 2 3 4 --json build/same_science.json

The plain way is ``straightforward.py``, with a live teacher; ours is a grid with ``views: online`` and with
several numbers of cached views, in the precisions asked for. Printed are mean mAP@all over seeds with its
95 % interval, differences, and the seconds of step 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import ways
from scipy import stats

from bench import environment
from bench.data import loading
from bench.execution.making import prepare_process
from bench.execution.run import run_plan
from bench.results.folder import load_results

SIZES = {"query_per_class": 100, "train_per_class": 200, "val_per_class": 1, "database_per_class": 500}


@dataclass(frozen=True)
class Science(ways.Case):
    """Long enough a training for mAP to mean something.

    Attributes:
        shown: every value of ``views``.
    """

    shown: tuple[Any, ...] = ()

    def grid(self, precision: str) -> dict[str, Any]:
        """All ways of showing views, in one grid."""
        grid = super().grid(precision)
        grid["axes"]["dataset"][0]["params"] = SIZES
        grid["defaults"]["distill"] |= {"epochs": 8, "lr": 1e-3}
        grid["defaults"]["finetune"] |= {"epochs": 4, "lr": 1e-3}
        (method,) = grid["axes"]["method"]
        grid["axes"]["method"] = [
            {"name": "cukd", "params": {**method["params"], "views": views}} for views in self.shown
        ]
        return grid


def plain(case: Science, bench: ways.Bench) -> dict[str, list[float]]:
    """mAP and seconds of step 1 for every seed."""
    found: dict[str, list[float]] = {"map": [], "seconds": []}
    way = ways.PlainWay(case, bench)
    for seed in case.seeds:
        start = time.perf_counter()
        trunk = way.trunk(seed)
        found["seconds"].append(time.perf_counter() - start)
        found["map"].append(way.score(way.hashed(trunk, case.losses[0], case.bits[0], seed)))
    return found


def ours(case: Science, bench: ways.Bench) -> dict[str, dict[str, list[float]]]:
    """The same for every number of views."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        plan, machine = bench.plan(case, Path(name))
        outcome = run_plan(plan, machine, Path(name) / "out")
        assert outcome.ok == len(case.shown) * len(case.seeds)
        everything = load_results(Path(name) / "out").records
        for record in sorted(everything, key=lambda record: record.cell.seed):
            views = record.params["method"]["views"]
            values = found.setdefault(f"views: {views}, {bench.precision}", {"map": [], "seconds": []})
            values["map"].append(record.metrics["map@all:expected:relevant"].value)
            values["seconds"].append(float(record.stages["distill"].seconds or 0.0))
    return found


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval (Student's t)."""
    found = stats.ttest_1samp(values, 0.0).confidence_interval()
    return statistics.mean(values), float(found.high - found.low) / 2


def table(found: dict[str, dict[str, list[float]]], first: str) -> str:
    """A line per way, for people.

    The difference from the plain way is of means (Welch), that from ``first`` of the same seeds. A way that
    is as good lies outside the interval of the plain way once in six times, as its own seeds vary, too.
    """
    plain_way = found["plain way, fp32"]["map"]
    middle, half = interval(plain_way)
    lines = []
    for name, values in found.items():
        mean, own = interval(values["map"])
        apart = stats.ttest_ind(values["map"], plain_way, equal_var=False).confidence_interval()
        change, sure = interval([a - b for a, b in zip(values["map"], found[first]["map"], strict=True)])
        lines.append(
            {
                "way": name,
                "mAP@all": f"{mean:.4f} +- {own:.4f}",
                "in the plain interval": "yes" if abs(mean - middle) <= half else "no",
                "from the plain way": f"{mean - middle:+.4f} +- {(apart.high - apart.low) / 2:.4f}",
                f"from {first}": "" if name == first else f"{change:+.4f} +- {sure:.4f}",
                "step 1 (s)": f"{statistics.median(values['seconds']):.1f}",
            }
        )
    return pd.DataFrame(lines).to_string(index=False)


def main() -> None:
    """Train every way, print the table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32"])
    parser.add_argument(
        "--views", nargs="+", default=["online", "1", "2", "4", "8"], help="the first is compared with"
    )
    parser.add_argument("--student", default="timm:test_resnet")
    parser.add_argument("--teacher", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--data-root", type=Path, default=loading.default_root())
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    threads = environment.default_threads()
    prepare_process(threads)
    shown = tuple(views if views == "online" else int(views) for views in asked.views)
    seeds = tuple(asked.seeds)
    case = Science(asked.student, asked.teacher, asked.size, pool_steps=2, seeds=seeds, shown=shown)
    benches = [ways.Bench(asked.data_root, "cpu", threads, precision) for precision in asked.precision]
    found = {"plain way, fp32": plain(case, benches[0])}
    for bench in benches:
        found |= ours(case, bench)
    first = f"views: {shown[0]}, {asked.precision[0]}"
    sys.stdout.write(f"{case.title}, {len(seeds)} seeds\n\n{table(found, first)}\n")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
