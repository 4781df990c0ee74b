"""What is trained in comparisons of speed and of accuracy, and the ways of doing it.

The plain way is ``straightforward.py``; ours are the stages of the suite as ``run`` executes them; the
network alone is neither: what it could do if nothing else took any time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from bench.data import loading
from bench.execution.machine import Machine
from bench.execution.making import make
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.plan import Plan
from bench.registry import LOSSES, STUDENTS, TEACHERS
from bench.storage.store import Store
from bench.training import allocator
from bench.training.loop import seeded
from bench.types import HashingTask
from models.layers.heads import hash_network

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
        rates: of learning, in step 1 and in step 2.
        losses, bits, seeds: of the grid.
        nested: whether one network learns all of ``bits``; the plain way trains one for each.
    """

    student: str
    teacher: str
    size: int
    steps: int = 2
    pool_steps: int = 3
    epochs: int = EPOCHS
    hash_epochs: int | None = None
    views: int = VIEWS
    rates: tuple[float, float] = (1e-4, 1e-5)
    losses: tuple[str, ...] = ("dch",)
    bits: tuple[int, ...] = (32,)
    seeds: tuple[int, ...] = (0,)
    nested: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.student} from {self.teacher} at {self.size} pixels"

    @property
    def cells(self) -> int:
        """Points of the grid."""
        return len(self.losses) * len(self.bits) * len(self.seeds)

    @property
    def pool(self) -> str:
        """The images of step 1, by the name of their split."""
        return "database" if self.pool_steps > self.steps else "train"

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
        optimizer = {"batch_size": BATCH, "optimizer": "adam", "lr": self.rates[0]}
        hash_epochs = self.hash_epochs or self.epochs
        return {
            "schema": 1,
            "name": "perf",
            "defaults": {
                "image_size": self.size,
                "precision": precision,
                "distill": {**optimizer, "epochs": self.epochs},
                # The plain way trains the whole network at one rate from the first step on.
                "finetune": {
                    **optimizer, "epochs": hash_epochs, "optimizer": "rmsprop", "lr": self.rates[1],
                    "trunk_warmup": 0.0,
                },
            },
            "axes": {
                "dataset": [{"name": "fashion_mnist", "params": sizes}],
                "teacher": [{"name": self.teacher, **(random if self.teacher == "resnet50" else {})}],
                "student": [{"name": self.student, **random}],
                "method": [{"name": "cukd", "params": {
                    "views": self.views, "teacher_image_size": self.size,
                    "pool": self.pool,
                }}],
                "loss": list(self.losses),
                "bits": [list(self.bits)] if self.nested else list(self.bits),
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
            Store(folder / "cache"), self.data_root, self.device, self.threads, self.precision, jobs,
            job_threads=self.threads // jobs,
        )  # fmt: skip
        return build_plan(load_grid(path), self.data_root, machine.hardware), machine


def ours(case: Case, bench: Bench) -> dict[str, float]:
    """Seconds of the stages of one cell."""
    with tempfile.TemporaryDirectory() as name:
        plan, machine = bench.plan(case, Path(name))
        context = machine.context(plan.weights)
        seconds = {"features": 0.0}
        for stage in plan.stages():
            if stage.kind in {"features", "distill", "finetune"}:
                start = time.perf_counter()
                end = make(stage, context, fresh=False)
                assert end.index, end.cause
                seconds[stage.kind] = seconds.get(stage.kind, 0.0) + time.perf_counter() - start
        return seconds


def network_alone(case: Case, bench: Bench) -> float:
    """Seconds of step 1 on one batch of noise: images and features cost nothing, so none can be faster."""
    way = PlainWay(case, bench)
    net, width = way.shown(way.student.build())
    net = net.to(bench.device, memory_format=torch.channels_last).train()
    inputs = torch.randn(BATCH, 3, case.size, case.size, device=bench.device)
    inputs = inputs.to(memory_format=torch.channels_last)
    wanted = torch.randn(BATCH, width, device=bench.device)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    start = time.perf_counter()
    with allocator.kept():
        for _ in range(case.epochs * case.pool_steps):
            with torch.autocast(bench.device, torch.bfloat16, enabled=bench.precision == "bf16"):
                outputs = net(inputs)
            optimizer.zero_grad()
            nn.functional.mse_loss(outputs.float(), wanted).backward()
            optimizer.step()
        if bench.device == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def _network(registry: Any, block: dict[str, Any]) -> Any:
    plugin = registry.get(block["name"])
    return plugin(plugin.Params.of(block.get("params", {})))


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
        self.student: Any = _network(STUDENTS, grid["axes"]["student"][0])
        self.teacher: Any = _network(TEACHERS, grid["axes"]["teacher"][0])
        self.side = self.data.images.pixels.shape[-1]

    def shown(self, trunk: nn.Module) -> tuple[nn.Module, int]:
        """The network of step 1, which is as wide as the teacher's features, and that width."""
        size = self.case.size
        width, wanted = self.student.feature_dim(size), self.teacher.feature_dim(size)
        return (trunk if width == wanted else nn.Sequential(trunk, nn.Linear(width, wanted))), wanted

    def trunk(self, seed: int) -> nn.Module:
        """The student after step 1."""
        with seeded(seed, torch.device("cpu")):
            net, trunk = self.teacher.build(), self.student.build()
            shown, _ = self.shown(trunk)
            pool = getattr(self.data.splits, self.case.pool)
            # One image serves both networks.
            net = plain.Renormalized(net, self.student.preprocessing, self.teacher.preprocessing)
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
