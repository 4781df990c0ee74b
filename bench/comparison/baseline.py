"""Baselines of the gate: the numbers that are judged and nothing else, in files that a person can review."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save as tensors
from tabulate import tabulate

from bench.comparison.choosing import require_metric
from bench.comparison.judging import COUNTS, accuracies, possible
from bench.comparison.power import FALSE_ALARM, of_interval, of_seeds
from bench.comparison.verdicts import BLIND, Limits
from bench.errors import UsageError
from bench.results import catalogue, comparable, records, wording
from bench.results.folder import Results, ResultsFolder, save_index
from bench.results.records import Measured, Record
from bench.results.summary import Row, summarise
from bench.storage import atomic
from bench.storage.sealed import sha256

log = logging.getLogger(__name__)

SUMMARY = "baseline.md"
#: Seeds of a run in CI, for which a baseline of more says what it would show.
RUN_SEEDS = 3


@dataclass(frozen=True)
class Sight:
    """What a baseline can show of one accuracy of one configuration.

    Attributes:
        metric: full name.
        seeds: of the runs that are meant.
        seen: smallest true fall that they would show, see ``Finding.seen``; None where none would.
    """

    row: Row
    metric: str
    seeds: int
    seen: float | None


def sights(results: Results, limits: Limits) -> list[Sight]:
    """The smallest fall that runs of ``RUN_SEEDS`` seeds would show beside ``results``, line by line.

    With one seed it holds for two runs that answer other queries: of the same ones more would be seen, but
    for what seeds change, which is not known then.
    """
    rows = [row for group in summarise(results).groups for row in group.rows]
    asked = [(row, name) for row in rows for name in accuracies(row.records, limits)]
    found = []
    for row, name in asked:
        metric, seeds = row.metrics[name], min(RUN_SEEDS, row.seeds)
        noise = of_seeds([record for record in row.records if name in record.metrics], name, seeds)
        if noise is None and metric.interval is not None:
            noise = of_interval(metric.value, metric.interval)
        allowance = noise.allowance(len(asked), limits.tolerance) if noise else None
        seen = allowance.seen if allowance else None
        if seen is not None and not possible(name, metric, row.estimates[name].value, seen):
            seen = None
        found.append(Sight(row, name, seeds, seen))
    return found


def write_baseline(results: Results, folder: Path, limits: Limits | None = None) -> list[Path]:
    """Make ``folder`` the baseline that ``results`` is; what it held before is replaced.

    It is a results folder like any other, without what changes from run to run. A warning is logged for
    one that shows large falls alone.

    Args:
        limits: which accuracies are kept, and which falls it has to show.

    Returns:
        The files written, the summary first.

    Raises:
        UsageError: some cells have no numbers, or saw only a part of the data; no record has a metric that
            ``limits`` names; or only falls that are too large for a gate would show.
    """
    limits = limits or Limits()
    unfinished = [record for record in results.records if not record.finished]
    if unfinished or results.missing or not results.records:
        count = len(unfinished) + len(results.missing)
        raise UsageError(
            f"{results.folder}: {count} cells have no numbers, so this is no baseline; "
            "run the grid again, with --overwrite failed for those that failed"
        )
    if any(comparable.limited(record.cell.protocol) for record in results.records):
        raise UsageError(f"{results.folder}: made with --limit, so this is no baseline; run the whole grid")
    for short in limits.metrics:
        require_metric(short, results.records, accuracy=True)
    _check_place(results, folder)
    found = sights(results, limits)
    _check_sight(results, found, limits)
    seeds = Counter(record.cell.seed for record in results.records)
    place = ResultsFolder(folder)
    files = {folder / SUMMARY: _summary(results, found).encode()}
    for record in results.records:
        stem = results.stems[record.key]
        beside, kept = {}, _kept(record, limits)
        # Only without other seeds does the gate fall back on the noise of queries.
        scores = results.per_query(record) if len(seeds) == 1 else {}
        if judged := {name: one.astype(np.float32) for name, one in scores.items() if name in kept.metrics}:
            small = tensors(judged)
            files[place.scores(stem)], beside = small, {"per_query": sha256(small)}
        files[place.record(stem)] = records.text(kept.model_copy(update={"beside": beside})).encode()
    for path in (*place.all_records(), *place.all_scores()):
        path.unlink()
    for path, content in files.items():
        atomic.write_bytes(path, content)
    cells = {record.cell_key: results.stems[record.key].rpartition("-")[0] for record in results.records}
    metrics = catalogue.learnt(name for record in results.records for name in record.metrics)
    save_index(folder, results.name, results.pareto, cells, metrics=metrics, curves=results.curves)
    return list(files)


def _check_place(results: Results, folder: Path) -> None:
    """Refuse to write over anything but an earlier baseline."""
    if folder.resolve() == results.folder.resolve():
        raise UsageError(f"{folder}: these are the results themselves; name another folder for the baseline")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if there and not (folder / SUMMARY).is_file():
        what = (
            "the results of a run" if ResultsFolder(folder).index.is_file() else f"other files ({there[0]})"
        )
        raise UsageError(
            f"{folder}: holds {what} and no baseline; name an empty folder, or an earlier baseline"
        )


def _check_sight(results: Results, found: list[Sight], limits: Limits) -> None:
    """Warn of a baseline that shows too little, and refuse one that shows next to nothing."""
    blind = [one for one in found if not limits.accepts(one.seen, one.row.metrics[one.metric])]
    if blind:
        raise UsageError(
            f"{results.folder}: too weak a baseline: {_lacking(blind, found, limits, BLIND)}; run more "
            "seeds, train so that they differ less, or accept it with --weak"
        )
    if dim := [one for one in found if limits.dim(one.seen, one.row.metrics[one.metric])]:
        log.warning("warning: a weak baseline: %s; more seeds would show more", _lacking(dim, found, limits))
    if alone := [one for one in found if one.row.seeds == 1]:
        log.warning(
            "warning: %d configurations have one seed: how far seeds stray is not known, so that chance may "
            "turn the gate red more often than once in %s runs",
            len(alone),
            f"{1 / FALSE_ALARM:,.0f}",
        )


def _lacking(those: list[Sight], found: list[Sight], limits: Limits, times: float = 1) -> str:
    """``2 of 4 accuracies would not show a fall of 0.15 (3 times --sees), for example ...``."""
    asked = f"{times * limits.sees:g} ({f'{times:g} times ' if times > 1 else ''}--sees)"
    return (
        f"{len(those)} of {len(found)} accuracies would not show a fall of {asked}, for example "
        f"{_said(those[0])}"
    )


def _said(one: Sight) -> str:
    """``no fall of map@all below 0.47 would be seen (cukd_v1 · none · csq · 32 bit, by runs of 3 seeds)``."""
    runs = f"by runs of {one.seeds} seeds" if one.seeds > 1 else "by runs of one seed"
    fall = "no fall" if one.seen is None else f"no fall below {one.seen:.2g}"
    return wording.one_line(f"{fall} of {one.metric} would be seen ({one.row.configuration}, {runs})")


def _kept(record: Record, limits: Limits) -> Record:
    """Without the stages and whatever the gate does not judge."""
    named = {found[0] for short in limits.metrics if (found := record.metric(short))}
    metrics = {
        name: metric.model_copy(update={"detail": _conditions(metric)})
        for name, metric in record.metrics.items()
        if name in {record.accuracy, *named} or (metric.noise != "seeded" and catalogue.is_judged(name))
    }
    return record.model_copy(update={"metrics": metrics, "stages": {}, "per_query": {}})


def _conditions(metric: Measured) -> dict[str, object]:
    kept = ("device", "threads", "precision", "batch_size", "noisy", *COUNTS)
    return {name: metric.detail[name] for name in kept if name in metric.detail}


def _summary(results: Results, found: list[Sight]) -> str:
    """One line per accuracy of a configuration: what a reviewer looks at first."""
    lines = [
        [
            f"{one.row.configuration.dataset}: {one.row.configuration}",
            *_numbers(one),
            one.row.seeds,
            "none" if one.seen is None else f"{one.seen:.4f} ({one.seeds} seed{'s' * (one.seeds > 1)})",
            *_costs(one.row),
        ]
        for one in found
    ]
    heads = ("configuration", "accuracy", "mean", "sd over seeds", "seeds", "smallest fall seen",
             *map(catalogue.title, _sizes()))  # fmt: skip
    table = tabulate(
        [[_plain(cell) for cell in line] for line in lines], heads, tablefmt="github", disable_numparse=True
    )
    note = (
        "Smallest fall seen: the true fall that turns the gate red in 80 of 100 runs of so many seeds, by "
        "the spread of the seeds. Chance alone turns it red in one of "
        f"{1 / FALSE_ALARM:,.0f} runs, unless there is one seed or a tolerance was given."
    )
    return f"# Baseline {_plain(wording.one_line(results.name))}\n\n{table}\n\n{note}\n"


def _numbers(one: Sight) -> tuple[str, str, str]:
    values = [record.metrics[one.metric].value for record in one.row.records]
    spread = f"{np.std(values, ddof=1):.4f}" if len(values) > 1 else "unknown"
    return one.metric, f"{np.mean(values):.4f}", spread


def _costs(row: Row) -> list[str]:
    return [f"{row.estimates[name].value:,.0f}" if name in row.estimates else "" for name in _sizes()]


def _sizes() -> list[str]:
    """What a network is small by, in the order of other tables."""
    return [name for name in catalogue.shown_in("table") if name in catalogue.SIZES]


def _plain(value: object) -> str:
    return str(value).replace("|", "/").replace("<", "(").replace(">", ")")
