"""The suite's own metrics: which are measured unasked, and every number that they give.

Numbers are in the order in which reports show them. A line is name, title, unit, role and noise, then
whatever is not as in most; see ``MetricEntry``.
"""

from __future__ import annotations

from bench.types import MetricEntry

#: Plug-ins that measure unless the grid says otherwise, each where it applies, in the order of records.
DEFAULT_METRICS = (
    "map",
    "revisited",
    "reid",
    "videos",
    "precision_at_k",
    "recall_at_k",
    "precision_hamming2",
    "map_hamming2",
    "pr_curve",
    "distinct_codes",
    "params",
    "macs",
    "weights",
    "latency",
    "peak_memory",
    "search",
)

#: What is charted unless the grid says otherwise, where it was measured.
DEFAULT_CHARTS = (("map", "macs"), ("map", "latency_ms"), ("map", "params"))

ENTRIES = (
    # Accuracies
    MetricEntry("map", "mAP", "", "accuracy", "seeded", at="rank", main="map"),
    MetricEntry(
        "map_rescored", "mAP, rescored", "", "accuracy", "seeded", at="rank", beside="map",
        definition="{title}: mean average precision after features have ordered the first images that codes "
        "find, as many as the number says.",
    ),
    MetricEntry("map_hamming2", "mAP within radius 2", "", "accuracy", "seeded"),
    MetricEntry("precision_at_k", "precision", "", "accuracy", "seeded", at="rank"),
    MetricEntry("recall_at_k", "recall", "", "accuracy", "seeded", at="rank"),
    MetricEntry("precision_hamming2", "precision within radius 2", "", "accuracy", "seeded"),
    MetricEntry("recall_hamming2", "recall within radius 2", "", "accuracy", "seeded"),
    MetricEntry("pr_curve", "area under precision-recall", "", "accuracy", "seeded"),
    MetricEntry(
        "map_revisited", "mAP", "", "accuracy", "seeded", main="map_revisited:medium", beside="map_revisited",
        definition="{title}: mean average precision as Revisited Oxford and Paris define it; junk is left "
        "out of the ranking.",
    ),
    MetricEntry("mp_at_k", "precision", "", "accuracy", "seeded", at="rank", beside="map_revisited"),
    MetricEntry(
        "map_reid", "mAP", "", "accuracy", "seeded", main="map_reid",
        definition="{title}: mean average precision without images of the query's identity by its own "
        "camera.",
    ),
    MetricEntry("cmc", "CMC", "", "accuracy", "seeded", at="rank", beside="map_reid"),
    MetricEntry(
        "map_videos", "mAP", "", "accuracy", "seeded", at="rank", main="map_videos@all", beside="map_videos",
        definition="{title}: mean average precision over videos by Chamfer similarity of frames, divided by "
        "the near-duplicates found.",
    ),
    # What the codes are like
    MetricEntry("distinct_codes", "distinct codes", "codes", "diagnostic", "seeded"),
    MetricEntry("commonest_code", "share of the commonest code", "", "diagnostic", "seeded"),
    MetricEntry("tied_pairs", "tied pairs", "", "diagnostic", "seeded"),
    # The network
    MetricEntry(
        "params", "parameters", "parameters", "cost", "exact", prefixes=("M",),
        shown=("table", "paper", "headline", "compare"),
    ),
    MetricEntry(
        "params_before", "parameters before pruning", "parameters", "diagnostic", "exact", prefixes=("M",),
        shown=("table",),
    ),
    MetricEntry(
        "params_folded", "parameters, folded", "parameters", "cost", "exact", prefixes=("M",),
        shown=("table",), long_title="parameters with normalisations folded",
        definition="Folded: with batch normalisation folded into the convolutions before it, as deployed.",
    ),
    MetricEntry(
        "params_thop", "parameters by thop", "parameters", "diagnostic", "exact", prefixes=("M",),
        judged=False,
    ),
    MetricEntry(
        "macs", "MACs", "multiply-adds", "cost", "exact", prefixes=("G", "M"),
        shown=("table", "paper", "headline", "compare"), long_title="multiply-adds per image",
        definition="MACs: per image, one multiply-add = 1 (FLOPs = 2 × MACs).",
        short_definition="A multiply-add (MAC) is one product and its sum.",
    ),
    MetricEntry(
        "macs_before", "MACs before pruning", "multiply-adds", "diagnostic", "exact", prefixes=("G", "M"),
        shown=("table",),
    ),
    MetricEntry(
        "macs_folded", "MACs, folded", "multiply-adds", "cost", "exact", prefixes=("G", "M"),
        shown=("table",), long_title="multiply-adds per image with normalisations folded",
    ),
    MetricEntry(
        "macs_fvcore", "MACs by fvcore", "multiply-adds", "diagnostic", "exact", prefixes=("G", "M"),
        judged=False,
    ),
    MetricEntry(
        "macs_torch", "MACs by torch", "multiply-adds", "diagnostic", "exact", prefixes=("G", "M"),
        judged=False,
    ),
    MetricEntry(
        "macs_thop", "MACs by thop", "multiply-adds", "diagnostic", "exact", prefixes=("G", "M"),
        judged=False,
    ),
    MetricEntry(
        "flops", "FLOPs", "floating-point operations", "diagnostic", "exact", prefixes=("G", "M"),
        long_title="floating-point operations per image",
    ),
    MetricEntry(
        "latency_ms", "latency", "ms", "cost", "timed", at="batch", shown=("table", "paper", "headline"),
        definition="Latency: median time of one batch after warm-up.",
    ),
    MetricEntry(
        "latency_ms_folded", "latency, folded", "ms", "cost", "timed", at="batch", shown=("table",),
        long_title="latency with normalisations folded",
    ),
    MetricEntry("throughput_ips", "throughput", "images/s", "cost", "timed", at="batch", judged=False),
    # Network and search
    MetricEntry(
        "query_ms", "network + search", "ms", "cost", "timed", at="batch", shown=("headline",), judged=False,
        definition="Network + search: latency of one image plus one exact search over the database.",
    ),
    MetricEntry("search_ms", "search", "ms", "cost", "timed", at="batch"),
    MetricEntry("search_qps", "search rate", "queries/s", "cost", "timed", judged=False),
    MetricEntry("search_recall", "search recall", "", "accuracy", "seeded"),
    # Memory and energy
    MetricEntry("weights_mb", "weights", "MB", "cost", "exact", shown=("table", "paper")),
    MetricEntry("weights_mb_folded", "weights, folded", "MB", "cost", "exact"),
    MetricEntry("peak_memory_mb", "peak memory", "MB", "cost", "timed", at="batch"),
    MetricEntry("energy_j", "energy", "J/image", "cost", "timed", at="batch"),
    MetricEntry("code_bytes", "code", "bytes", "cost", "exact", shown=("headline", "compare")),
    MetricEntry("index_bytes", "index", "bytes", "cost", "exact"),
    # Deployment in ONNX Runtime
    MetricEntry("onnx_latency_ms", "ONNX latency", "ms", "cost", "timed", at="batch"),
    MetricEntry("onnx_file_mb", "ONNX file", "MB", "cost", "exact"),
    MetricEntry("onnx_map", "ONNX mAP", "", "accuracy", "seeded"),
    MetricEntry("onnx_map_change", "change of mAP in ONNX", "", "accuracy", "seeded"),
    MetricEntry("onnx_bits_changed", "bits changed in ONNX", "", "diagnostic", "seeded"),
)  # fmt: skip
