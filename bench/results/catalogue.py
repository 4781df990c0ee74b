"""What metrics are called: in records, in grids, and for a reader."""

from __future__ import annotations

from collections.abc import Iterable

#: Accuracies that a cell may be judged by, the first it has; ``map`` means this one.
ACCURACIES = ("map", "map_revisited:medium", "map_reid", "map_videos@all")

#: Base name -> what a reader calls it.
TITLES = {
    "map": "mAP",
    "map_hamming2": "mAP within radius 2",
    "precision_at_k": "precision",
    "recall_at_k": "recall",
    "precision_hamming2": "precision within radius 2",
    "recall_hamming2": "recall within radius 2",
    "pr_curve": "area under precision-recall",
    "map_revisited": "mAP",
    "mp_at_k": "precision",
    "map_reid": "mAP",
    "cmc": "CMC",
    "map_videos": "mAP",
    "distinct_codes": "distinct codes",
    "commonest_code": "share of the commonest code",
    "tied_pairs": "tied pairs",
    "params": "parameters",
    "params_before": "parameters before pruning",
    "params_thop": "parameters by thop",
    "macs": "MACs",
    "macs_before": "MACs before pruning",
    "macs_fvcore": "MACs by fvcore",
    "macs_torch": "MACs by torch",
    "macs_thop": "MACs by thop",
    "flops": "FLOPs",
    "latency_ms": "latency",
    "throughput_ips": "throughput",
    "peak_memory_mb": "peak memory",
    "weights_mb": "weights",
    "code_bytes": "code",
    "search_ms": "search",
    "search_qps": "search rate",
    "search_recall": "search recall",
    "index_bytes": "index",
    "query_ms": "network + search",
    "energy_j": "energy",
    "onnx_latency_ms": "ONNX latency",
    "onnx_map": "ONNX mAP",
    "onnx_map_change": "change of mAP in ONNX",
    "onnx_bits_changed": "bits changed in ONNX",
    "onnx_file_mb": "ONNX file",
}

#: Base name -> what somebody who does not know the abbreviation reads.
LONG_TITLES = {"macs": "multiply-adds per image", "flops": "floating-point operations per image"}

#: Metrics whose ``@`` names a batch size, not a rank.
_BATCHED = (
    "latency_ms",
    "throughput_ips",
    "peak_memory_mb",
    "search_ms",
    "query_ms",
    "energy_j",
    "onnx_latency_ms",
)


def resolve(name: str, names: Iterable[str]) -> str | None:
    """The full name of a metric among ``names``, the first that fits; None if none does.

    ``map`` and ``map@all`` find ``map@all:expected:relevant``, ``latency_ms`` finds ``latency_ms@1``.
    """
    known = list(names)
    asked = ACCURACIES if name == "map" else (name,)
    fits = (full for one in asked for full in known if full == one or full.startswith((f"{one}@", f"{one}:")))
    return next(fits, None)


def base_name(name: str) -> str:
    """The name without cut, batch size and variant: ``map`` of ``map@all:expected:relevant``."""
    return name.partition("@")[0].partition(":")[0]


def title(name: str) -> str:
    """A metric's name as a column head: ``mAP@all``, ``latency, batch 1``, ``search rate (ivf)``."""
    name, _, variant = name.partition(":")
    base, _, cut = name.partition("@")
    words = TITLES.get(base, base)
    if cut:
        words += f", batch {cut}" if base in _BATCHED else f"@{cut}"
    # How ties were ordered is told beside the number, not in its name.
    return f"{words} ({variant})" if variant and base != "map" else words


def long_title(name: str) -> str:
    """A metric's name for somebody who sees it alone: ``multiply-adds per image``."""
    return LONG_TITLES.get(name, title(name))


def bounds(name: str, unit: str) -> tuple[float, float] | None:
    """Least and greatest value that a metric can have; None where it has none.

    Fractions, which have no unit, lie between 0 and 1; a change of one may be negative.
    """
    if unit:
        return None
    return (-1.0, 1.0) if base_name(name).endswith("_change") else (0.0, 1.0)
