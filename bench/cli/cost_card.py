"""What one model costs with a hash head: the same metrics that records hold, without a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from bench import environment, timing
from bench.errors import UsageError
from bench.execution import progress
from bench.registry import METRICS, STUDENTS
from bench.types import Deployment
from bench.types.sizes import ImageSize, in_words

#: Images per forward pass in what is timed.
BATCH_SIZES = (1, 64)
#: Samples of a timing, at least.
SAMPLES = 5


def cost_card(
    model: str,
    *,
    image_size: ImageSize,
    bits: int,
    device: str,
    precision: Any,
    variants: Sequence[str] = (),
    budget: float = 10.0,
) -> dict[str, Any]:
    """Measure ``model``, any student or teacher name, and return plain JSON values.

    Random weights do: no cost depends on their values, and no file needs to be at hand.

    Args:
        variants: other deployments to time, as the metric ``latency`` names them.
        budget: seconds that one timing may take: of one batch size in one deployment.
    """
    plugin = STUDENTS.get(model)
    latency = {"samples": SAMPLES, "budget_seconds": budget, "variants": list(variants)}
    measured: dict[str, tuple[str, dict[str, Any]]] = {
        "parameters": ("params", {}),
        "multiply-adds": ("macs", {}),
        "weights": ("weights", {}),
        **{f"latency, batch {n}": ("latency", {**latency, "batch_sizes": [n]}) for n in BATCH_SIZES},
        "peak memory": ("peak_memory", {"batch_sizes": list(BATCH_SIZES)}),
    }

    import torch

    from models.layers.heads import hash_network

    threads = environment.default_threads()
    torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; pass --device cpu")
    network = plugin(plugin.Params.of({"weights": "none"} if "weights" in plugin.Params.model_fields else {}))
    net = hash_network(network.build(), network.feature_dim(image_size), bits).to(device).eval()
    subject = Deployment(net, image_size, torch.device(device), precision, bits)
    metrics: dict[str, Any] = {}
    with progress.steps(list(measured)) as steps:
        for step in steps:
            name, asked = measured[step]
            metric = METRICS.get(name)
            values = metric(metric.Params.of(asked)).compute(subject).values
            metrics |= {key: dataclasses.asdict(value) for key, value in values.items()}
    return {
        "model": model,
        "image_size": image_size,
        "bits": bits,
        "metrics": metrics,
        "environment": environment.describe(device, threads, precision),
    }


def cost_text(card: dict[str, Any]) -> str:
    """The card for people."""
    where = card["environment"]
    rows = []
    for name, metric in card["metrics"].items():
        detail = metric["detail"]
        rows.append([name, _number(metric["value"]), metric["unit"], _note(detail)])
    title = f"{card['model']} at {in_words(card['image_size'])} pixels, {card['bits']} bits"
    conditions = f"{where['gpu'] or where['cpu']}, {where['threads']} threads, {where['precision']}"
    return (
        f"{title}\n{conditions}\n\n{tabulate(rows, ['metric', 'value', 'unit', ''], disable_numparse=True)}"
    )


def _note(detail: dict[str, Any]) -> str:
    """How a timing went, or what a count leaves out."""
    parts = []
    if "p95_ms" in detail and detail.get("taken", SAMPLES) >= SAMPLES:
        parts += [f"p95 {detail['p95_ms']:.2f}", f"IQR {detail['iqr_ms']:.2f}"]
    if "taken" in detail:
        ends = {"steady": "steady", "budget": "time was up", "count": "enough"}
        samples = "sample" if detail["taken"] == 1 else "samples"
        parts.append(f"{detail['taken']} {samples} ({ends[detail['stopped']]})")
    if detail.get("noisy"):
        busy = (detail.get("waited") or 0.0) > timing.CONTENDED
        parts.append("unsteady: other work had the cores" if busy else "unsteady")
    if detail.get("fully_counted") is False:
        unknown = ", ".join([*detail.get("uncounted_operators", ()), *detail.get("unused_weights", ())])
        parts.append(f"not fully counted, at least so many{unknown and f': no count of {unknown}'}")
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
