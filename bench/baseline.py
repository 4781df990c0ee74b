"""Baselines of the gate: the numbers that are judged and nothing else, in files that a person can review."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from safetensors.numpy import save as tensors
from tabulate import tabulate

from bench import atomic, records
from bench.check import OTHERS
from bench.errors import UsageError
from bench.records import Metric, Record, Results
from bench.report import wording
from bench.report.rows import Row, summarise

SUMMARY = "baseline.md"


def write_baseline(results: Results, folder: Path) -> list[Path]:
    """Make ``folder`` the baseline that ``results`` is; what it held before is replaced.

    It is a results folder like any other, without what changes from run to run.

    Returns:
        The files written, the summary first.

    Raises:
        UsageError: some cells have no numbers, or saw only a part of the data.
    """
    unfinished = [record for record in results.records if record.status != "ok"]
    if unfinished or results.missing or not results.records:
        count = len(unfinished) + len(results.missing)
        raise UsageError(
            f"{results.folder}: {count} cells have no numbers, so this is no baseline; "
            "run the grid again, with --overwrite failed for those that failed"
        )
    if any(record.cell.protocol.get("limit") for record in results.records):
        raise UsageError(f"{results.folder}: made with --limit, so this is no baseline; run the whole grid")
    seeds = Counter(record.cell.seed for record in results.records)
    files: dict[str, bytes] = {SUMMARY: _summary(results).encode()}
    for record in results.records:
        stem = results.stems[record.key]
        files[f"records/{stem}.json"] = records.text(_kept(record)).encode()
        if len(seeds) == 1 and (scores := results.per_query(record)):
            # Only without other seeds does the gate fall back on the noise of queries.
            small = {name: values.astype(np.float32) for name, values in scores.items()}
            files[f"{records.PER_QUERY}/{stem}.safetensors"] = tensors(small)
    for part in ("records", records.PER_QUERY):
        shutil.rmtree(folder / part, ignore_errors=True)
    for name, content in files.items():
        atomic.write_bytes(folder / name, content)
    cells = {record.cell_key: results.stems[record.key].rpartition("-")[0] for record in results.records}
    records.save_index(folder, results.name, results.pareto, cells)
    return [folder / name for name in files]


def _kept(record: Record) -> Record:
    """Without the stages and whatever the gate does not judge."""
    metrics = {
        name: metric.model_copy(update={"detail": _conditions(metric)})
        for name, metric in record.metrics.items()
        if name == record.accuracy
        or (metric.noise == "exact" and name.partition("@")[0] not in OTHERS)
        or (metric.noise == "timed" and metric.samples)
    }
    return record.model_copy(update={"metrics": metrics, "stages": {}, "per_query": {}})


def _conditions(metric: Metric) -> dict[str, object]:
    kept = ("device", "threads", "precision", "batch_size", "noisy", "queries", "database")
    return {name: metric.detail[name] for name in kept if name in metric.detail}


def _summary(results: Results) -> str:
    """One line per configuration: what a reviewer looks at first."""
    rows = [row for group in summarise(results).groups for row in group.rows]
    lines = [
        [f"{row.configuration.dataset}: {row.configuration}", *_accuracy(row), row.seeds, *_costs(row)]
        for row in rows
    ]
    heads = ("configuration", "accuracy", "mean", "sd over seeds", "seeds", "parameters", "MACs")
    table = tabulate(
        [[_plain(cell) for cell in line] for line in lines], heads, tablefmt="github", disable_numparse=True
    )
    return f"# Baseline {_plain(wording.one_line(results.name))}\n\n{table}\n"


def _accuracy(row: Row) -> tuple[str, str, str]:
    name = row.records[0].accuracy
    if name is None:
        return "", "", ""
    values = [record.metrics[name].value for record in row.records]
    spread = f"{np.std(values, ddof=1):.4f}" if len(values) > 1 else "unknown"
    return name, f"{np.mean(values):.4f}", spread


def _costs(row: Row) -> list[str]:
    return [
        f"{row.estimates[name].value:,.0f}" if name in row.estimates else "" for name in ("params", "macs")
    ]


def _plain(value: object) -> str:
    return str(value).replace("|", "/").replace("<", "(").replace(">", ")")
