"""Which numbers the record of a cell will have, told before anything is measured."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.interfaces import Metric
from bench.registry import METRICS
from bench.results.catalogue import base_name
from bench.results.sides import SIDES, with_side

#: Metric of the suite -> the names that it gives; each value of a parameter in braces makes one. Some are
#: given in some cells alone, as those of pruned networks are. Names of ``map`` follow from the protocol.
NAMES: Mapping[str, tuple[str, ...]] = {
    "map": (),
    "rescore": ("map_rescored@{r}",),
    "map_hamming2": ("map_hamming2:expected", "map_hamming2:best", "map_hamming2:worst"),
    "precision_at_k": ("precision_at_k@{ks}",),
    "recall_at_k": ("recall_at_k@{ks}",),
    "precision_hamming2": ("precision_hamming2", "recall_hamming2"),
    "pr_curve": ("pr_curve:radius", "pr_curve:rank"),
    "revisited": tuple(
        name
        for protocol in ("easy", "medium", "hard")
        for name in (f"map_revisited:{protocol}", f"mp_at_k:{protocol}@{{ks}}")
    ),
    "reid": ("map_reid", "cmc@{ks}"),
    "videos": ("map_videos@{ks}", "map_videos@all"),
    "distinct_codes": ("distinct_codes", "commonest_code", "tied_pairs"),
    "params": ("params", "params_before"),
    "macs": ("macs", "flops", "macs_fvcore", "macs_torch", "macs_thop", "params_thop", "macs_before"),
    "weights": ("weights_mb", "code_bytes"),
    "latency": (
        "latency_ms@{batch_sizes}",
        "throughput_ips@{batch_sizes}",
        "latency_ms@{batch_sizes}:{variants}",
        "throughput_ips@{batch_sizes}:{variants}",
    ),
    "peak_memory": ("peak_memory_mb@{batch_sizes}",),
    "energy": ("energy_j@{batch_sizes}",),
    "folded": ("params_folded", "macs_folded", "weights_mb_folded", "latency_ms_folded@{batch_sizes}"),
    "search": (
        "search_ms@1:{indexes}",
        "search_qps:{indexes}",
        "index_bytes:{indexes}",
        "search_recall:{indexes}",
    ),
    "onnx": tuple(
        f"{name}:{precision}"
        for precision in ("fp32", "int8")
        for name in (
            "onnx_latency_ms@{batch_sizes}",
            "onnx_file_mb",
            "onnx_bits_changed",
            "onnx_map",
            "onnx_map_change",
        )
    ),
}
#: Of two metrics together, see ``bench.execution.cell_records``: its name, and what it is the sum of.
WHOLE, PARTS = "query_ms@1", ("latency_ms@1", "search_ms@1")
#: The index that names of numbers do not spell out, and what an exact one does not have.
EXACT, INEXACT = ":flat", "search_recall:"


def given(params: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
    """Full names, those of unseen classes among them, as far as the suite's own metrics give them.

    Args:
        params: of a cell, as records hold them.
        rule: its protocol.
    """
    sided = bool(params["dataset"].get("unseen_classes"))
    found = [name for metric, its in params["measure"].items() for name in _of(metric, its, rule, sided)]
    return [*found, WHOLE] if set(PARTS) <= set(found) else found


def measured_by(base: str) -> list[str]:
    """The suite's metrics without which no record has a number of that name, without cut and variant."""
    if base == base_name(WHOLE):
        return [name for part in PARTS for name in measured_by(base_name(part))]
    known = {base_name(name): metric for metric, names in NAMES.items() for name in names} | {"map": "map"}
    return [known[base]] if base in known else []


def _of(metric: str, params: Mapping[str, Any], rule: Mapping[str, Any], sided: bool) -> Iterator[str]:
    names = list(NAMES.get(metric, ()))
    if metric == "map":
        from bench.hamming.measures import map_name, map_rules  # in here, as it loads faiss

        k = None if rule["k"] == "all" else rule["k"]
        names = [map_name(k, *one) for one in map_rules(rule["ties"], rule["normalizer"])]
    # Interfaces need not be inherited from.
    by_side = getattr(METRICS.get(metric), "by_side", Metric.by_side)
    sides = ("", *SIDES) if by_side and sided else ("",)
    for name in names:
        several = [params[one] for one in re.findall("{(.*?)}", name)]
        for values in itertools.product(*several):
            full = re.sub("{.*?}", "{}", name).format(*values)
            if not (full.startswith(INEXACT) and full.endswith(EXACT)):
                yield from (with_side(full.removesuffix(EXACT), side) for side in sides)
