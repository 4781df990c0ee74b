"""What checkpoints cost a training, and what an interruption costs with them.

    python tests/perf/perf_checkpoints.py --seconds 60 --json build/perf_checkpoints.json

Every case trains a student on noise, in 20 images of 64 pixels a step, and writes checkpoints as a run does.
Share: of the time that went into writing them. Lost: the longest time between the end of one and that of the
next, or of the training, which is what a kill at the worst moment has to be done again.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import environment
from bench.execution.making import prepare_process
from bench.registry import STUDENTS
from bench.training import state_file
from bench.training.checkpoints import FILE, Checkpoints
from bench.training.loop import fit, seeded
from bench.training.micro_batches import Batch, Passes
from bench.types import TrainingParameters

#: Student, parameters and optimizer, smallest state first: Adam keeps two numbers beside every weight.
CASES = [
    ("timm:test_resnet", {"weights": "none"}, "rmsprop"),
    ("cukd_v1", {}, "adam"),
    ("timm:resnet50", {"weights": "none"}, "adam"),
    ("alexnet", {"weights": "none"}, "adam"),
]


class Watched(Checkpoints):
    """Notes when writing began and ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "training")
        self.spans: list[tuple[float, float]] = []

    def _write(self, state: Any, *, urgent: bool) -> None:
        began, last = time.perf_counter(), self._last
        super()._write(state, urgent=urgent)
        if self._last > last:  # it was not put off
            self.spans.append((began, time.perf_counter()))


class Enough(Exception):  # noqa: N818
    """The time is over."""


def measured(
    name: str, params: dict[str, Any], optimizer: str, seconds: float, device: torch.device
) -> dict[str, Any]:
    """Train for so many seconds."""
    plugin = STUDENTS.get(name)
    settings = TrainingParameters.of({"epochs": 10**6, "optimizer": optimizer, "lr": 1e-5})
    with tempfile.TemporaryDirectory() as folder, seeded(0, device):
        net = (
            plugin(plugin.Params.of(params)).build().to(device).to(memory_format=torch.channels_last).train()
        )
        inputs = torch.randn(20, 3, 64, 64, device=device).to(memory_format=torch.channels_last)
        batch = Batch(inputs, lambda outputs: {"square": outputs.square().mean()})
        checkpoints, started = Watched(Path(folder)), time.perf_counter()

        def step(images: int, before: float = 0.0) -> None:
            if time.perf_counter() - started > seconds:
                raise Enough

        with contextlib.suppress(Enough):
            fit(
                Passes(net, contextlib.nullcontext),
                [{"params": list(net.parameters())}],
                settings,
                lambda epoch: [torch.arange(20).numpy()] * 100,
                lambda asked: (batch for _ in asked),
                advance=step,
                checkpoints=checkpoints,
            )
        took = time.perf_counter() - started
        path, began = Path(folder) / FILE, time.perf_counter()
        if path.exists():
            state_file.load(path, device)
        read, size = time.perf_counter() - began, path.stat().st_size if path.exists() else 0
    spent = [end - start for start, end in checkpoints.spans]
    ends = [started, *(end for _, end in checkpoints.spans), started + took]
    return {
        "student": name,
        "optimizer": optimizer,
        "megabytes": size / 1e6,
        "written": len(spent),
        "seconds_each": sum(spent) / max(len(spent), 1),
        "read_seconds": read,
        "share": sum(spent) / took,
        "most_lost": max(after - before for before, after in itertools.pairwise(ends)),
    }


def main() -> None:
    """Print a row a case."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    prepare_process(asked.threads)
    say, rows = functools.partial(print, flush=True), []
    for case in CASES:
        row = measured(*case, asked.seconds, torch.device(asked.device))
        rows.append(row)
        state = f"{row['student']:18} {row['optimizer']:8} {row['megabytes']:7.1f} MB"
        writing = f"{row['written']:3d} written in {1e3 * row['seconds_each']:6.1f} ms each"
        say(f"{state} {writing} {row['share']:6.2%} of the time {row['most_lost']:5.1f} s lost at most")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        hardware = environment.hardware(asked.device, asked.threads)
        found = {"hardware": hardware, "seconds": asked.seconds, "cases": rows}
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
