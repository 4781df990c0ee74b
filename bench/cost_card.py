"""What one model costs with a hash head: the same metrics that records hold, without a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from bench import environment
from bench.errors import UsageError
from bench.registry import METRICS, STUDENTS
from bench.types import Deployment

#: Metrics of a network that need no data.
CARD = ("params", "macs", "weights", "latency", "peak_memory")


def cost_card(
    model: str, *, image_size: int, bits: int, device: str, precision: Any, variants: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure ``model``, any student or teacher name, and return plain JSON values.

    Random weights do: no cost depends on their values, and no file needs to be at hand.

    Args:
        variants: other deployments to time, as the metric ``latency`` names them.
    """
    plugin = STUDENTS.get(model)

    import torch

    from models.heads import hash_network

    threads = environment.default_threads()
    torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; pass --device cpu")
    network = plugin(plugin.Params.of({"weights": "none"} if "weights" in plugin.Params.model_fields else {}))
    net = hash_network(network.build(), network.feature_dim(image_size), bits).to(device).eval()
    subject = Deployment(net, image_size, torch.device(device), precision, bits)
    metrics: dict[str, Any] = {}
    for name in CARD:
        metric = METRICS.get(name)
        asked = {"variants": list(variants)} if name == "latency" else {}
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
        note = f"p95 {detail['p95_ms']:.2f}, IQR {detail['iqr_ms']:.2f}" if "p95_ms" in detail else ""
        note += "  noisy" if detail.get("noisy") else ""
        rows.append([name, _number(metric["value"]), metric["unit"], note])
    title = f"{card['model']} at {card['image_size']} x {card['image_size']} pixels, {card['bits']} bits"
    conditions = f"{where['gpu'] or where['cpu']}, {where['threads']} threads, {where['precision']}"
    return (
        f"{title}\n{conditions}\n\n{tabulate(rows, ['metric', 'value', 'unit', ''], disable_numparse=True)}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
