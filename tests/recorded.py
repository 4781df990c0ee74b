"""A small set of records as a finished run would leave it."""

import itertools
import json

from bench.results import catalogue
from bench.results.records import EXTERNAL, CellInfo, Failure, Measured, Record
from bench.storage import sealed

PROTOCOL = {
    "split": "fashion_mnist-balanced-q100-t500-s0",
    "manifest": "5f1c0e2a77b0",
    "k": "all",
    "ties": "expected",
    "normalizer": "relevant",
}
ENVIRONMENT = {
    "cpu": "Example CPU 16-Core",
    "gpu": None,
    "device": "cpu",
    "threads": 8,
    "fingerprint": "0123456789ab",
    "precision": "fp32",
    "python": "3.11.7",
    "git": {"commit": "c0ffee", "dirty": False},
}
NETWORKS = {
    "cukd_v1": (3.306e6, 88.7e6, 2.1),
    "cukd_v2": (4.798e6, 90.6e6, 2.3),
    "efficientnet_lite0": (3.371e6, 301.5e6, 9.4),
}
GAIN = {"none": 0.0, "cukd": 0.03, "ranking": 0.035, "csq": 0.0, "dch": 0.012, "greedy_hash": -0.01}


def accuracy(value, ties, normalizer="relevant"):
    shift = {"expected": 0.0, "index": 0.001, "best": 0.006, "worst": -0.007}[ties]
    return Measured(
        value=round(value + shift, 6),
        unit="",
        higher_is_better=True,
        noise="seeded",
        interval=(round(value + shift - 0.011, 6), round(value + shift + 0.0105, 6)),
        detail={"queries": 1000, "ties": ties, "normalizer": normalizer},
    )


def cost(value, unit, noise="exact", **detail):
    return Measured(value=value, unit=unit, higher_is_better=False, noise=noise, detail=detail)


def numbers(student, method, loss, bits, seed):
    params, macs, milliseconds = NETWORKS.get(student, NETWORKS["cukd_v1"])
    jitter = ((seed * 7 + bits // 8 * 3 + len(loss) * 5) % 11 - 5) / 2000
    value = (
        0.80
        + 0.02 * (bits >= 32)
        + 0.008 * (bits >= 64)
        + GAIN.get(method, 0.0)
        + GAIN.get(loss, 0.0)
        + jitter
    )
    value += {"cukd_v2": 0.009, "efficientnet_lite0": 0.085}.get(student, 0.0)
    timed = {"device": "cpu", "batch_size": 1, "precision": "fp32"}
    return {
        "map@all:expected:relevant": accuracy(value, "expected"),
        "map@all:index:hits": accuracy(value, "index", "hits"),
        "map@all:best:relevant": accuracy(value, "best"),
        "map@all:worst:relevant": accuracy(value, "worst"),
        "params": cost(params + 2049 * bits, "parameters"),
        "macs": cost(macs + 2048 * bits, "MACs"),
        "latency_ms@1": cost(milliseconds, "ms", "timed", **timed),
        "latency_ms@64": cost(40 * milliseconds, "ms", "timed", **timed | {"batch_size": 64}),
        "weights_mb": cost((params + 2049 * bits) * 4e-6, "MB"),
    }


def assert_in_catalogue(metrics):
    """Every number has an entry, and is what that says."""
    for name, metric in metrics.items():
        entry = catalogue.entry(name)
        assert entry is not None, f"results/entries.py has no '{name}'"
        assert (metric.unit, metric.noise) == (entry.unit, entry.noise), name
        assert bool(entry.at) == ("@" in name), name


def make_record(
    student="cukd_v1",
    method="cukd",
    loss="csq",
    bits=32,
    seed=0,
    *,
    status="ok",
    error=None,
    dataset="fashion_mnist",
    protocol=None,
    environment=None,
    params=None,
    metrics=None,
):
    """One record with plausible numbers; a student of the teacher's name gets no teacher."""
    teachers = [] if student == "efficientnet_lite0" or method == "none" else ["efficientnet_lite0"]
    cell = CellInfo(
        dataset=dataset,
        protocol={**PROTOCOL, **(protocol or {})},
        teachers=teachers,
        student=student,
        method=method,
        loss=loss,
        bits=bits,
        seed=seed,
        image_size=64,
    )
    resolved = {
        "dataset": {"split_seed": 0},
        "teachers": [{"weights": "default"} for _ in teachers],
        "student": {"weights": "none"},
        "method": {} if method == "none" else {"epochs": 20, "views": 2},
        "loss": {"epochs": 30},
        "precision": (environment or ENVIRONMENT).get("precision", "fp32"),
        **(params or {}),
    }
    if metrics is None:
        metrics = numbers(student, method, loss, bits, seed) if status == "ok" else {}
    identity = repr((cell, resolved, environment))
    return Record(
        key=f"key-{identity}",
        cell_key=f"cell-{identity}",
        status=status,
        error=error,
        cell=cell,
        params=resolved,
        metrics=metrics,
        environment={**ENVIRONMENT, **(environment or {})},
        created="2025-01-01T00:00:00+00:00",
    )


def make_external(
    name="My method", bits=32, seed=0, *, metrics=None, protocol=None, created="2025-02-01T00:00:00+00:00"
):
    """What was measured elsewhere, on another machine, like the cells of ``make_record``."""
    peer = make_record(bits=bits, seed=seed, protocol=protocol)
    cell = peer.cell.model_copy(
        update={"teachers": [], "student": name, "method": EXTERNAL, "loss": "", "image_size": 0}
    )
    found = {name: one for name, one in peer.metrics.items() if one.noise == "seeded"}
    identity = repr((cell, created))
    return peer.model_copy(
        update={
            "key": f"key-{identity}",
            "cell_key": f"cell-{identity}",
            "status": EXTERNAL,
            "cell": cell,
            "params": {"dataset": peer.params["dataset"], "precision": "fp32"},
            "metrics": {**found, **(metrics or {})},
            "environment": {**ENVIRONMENT, "cpu": "Another CPU", "threads": 2, "fingerprint": "ba9876543210"},
            "created": created,
        }
    )


def run_records():
    """2 losses x 2 bit lengths x 2 methods x 3 seeds, the teacher, a failed and a skipped cell."""
    product = itertools.product(["none", "cukd"], ["csq", "dch"], [16, 32], [0, 1, 2])
    done = [make_record("cukd_v1", *point) for point in product]
    teacher = [make_record("efficientnet_lite0", "none", "csq", 32, seed) for seed in range(3)]
    failed = make_record(
        bits=64,
        status="failed",
        error=Failure(type="RuntimeError", stage="finetune", message="loss is not finite\nat step 12"),
    )
    skipped = make_record(
        "cukd_v2",
        status="skipped",
        error=Failure(type="CellError", stage="distill", message="needs features, which failed"),
    )
    return [*done, *teacher, failed, skipped]


def write_json(path, content):
    """Write a record, or ``grid.json``, as a run would have, whatever it says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sealed.sealed(content))


def edit(path, change):
    """Have a record, or ``grid.json``, say something else, as if a run had written that.

    Args:
        change: of the content; what it returns, if anything, takes its place.
    """
    content = json.loads(path.read_text())
    content.pop(sealed.SEAL, None)
    write_json(path, change(content) or content)
