"""What codes from elsewhere are worth: the metrics that records hold, without a grid."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from bench import environment
from bench.data.labelled_codes import LabelledCodes
from bench.errors import BenchError, DataError
from bench.execution import progress
from bench.hamming import cross_check, distance_histograms, scan
from bench.hamming.codes import bins
from bench.hamming.evaluation import check_cut, check_relevant
from bench.hamming.variety import constant_bits
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.results import catalogue, wording
from bench.results.entries import DEFAULT_METRICS
from bench.types import Measurement, MetricValue, RankingRule, Retrieval

log = logging.getLogger(__name__)

#: Of a process that has done nothing but import what this needs, megabytes.
_PROGRAM_MB = 150
#: Bytes for each query and distance that are kept, and that a metric takes for a while; the same for an item
#: of a scan.
_COUNTED_BYTES, _SCORED_BYTES, _SCANNED_BYTES = 60, 160, 200
#: The step before all metrics of codes.
_DISTANCES = "distances"
#: Of ties, whose means bound others.
_ORDERS = ("worst", "best")
#: As many constant bits are told by their places.
_MOST_BITS = 16


@dataclass(frozen=True)
class Judged:
    """What was found for the codes or embeddings of one file.

    Attributes:
        metrics: by the names that records have.
        scores: by those names, float64 (q,), where they are means over queries.
        warnings: sentences that a reader must know to trust the numbers.
        constant_bits: places of the bits that are the same in the whole database; None for embeddings.
        seconds: that judging took.
        peak_mb: the most megabytes that the process has held; None where the system does not say.
    """

    file: LabelledCodes
    rule: RankingRule
    metrics: dict[str, MetricValue]
    scores: dict[str, NDArray[np.float64]]
    warnings: tuple[str, ...]
    constant_bits: tuple[int, ...] | None
    seconds: float
    peak_mb: float | None

    @property
    def main(self) -> str:
        """The accuracy that is judged: mAP under the rule that was asked for."""
        return next(iter(self.metrics))


def judge(file: LabelledCodes, rule: RankingRule) -> Judged:
    """Measure all accuracies of the suite that are found for codes, or for embeddings, and labels.

    Raises:
        DataError: ``k`` goes beyond the database, or nothing is relevant to any query.
    """
    started = time.perf_counter()
    log.info("%s; about %s of memory at most", _sizes(file), _size(_needed_mb(file)))
    for note in file.notes:
        log.info("%s", note)
    try:
        check_cut(rule.k, len(file.database))
        measured = _measured(file, rule)
    except BenchError as error:
        raise DataError(f"{file.path}: {error}") from error
    metrics = {name: value for one in measured for name, value in one.values.items()}
    scores = {name: kept for one in measured for name, kept in one.per_query.items() if name in metrics}
    peak = environment.peak_memory()
    return Judged(
        file=file,
        rule=rule,
        metrics=metrics,
        scores=scores,
        warnings=tuple(dict.fromkeys(sentence for one in measured for sentence in one.warnings)),
        constant_bits=tuple(constant_bits(file.database, file.bits).tolist()) if file.bits else None,
        seconds=time.perf_counter() - started,
        peak_mb=None if peak is None else peak / 1e6,
    )


def _measured(file: LabelledCodes, rule: RankingRule) -> list[Measurement]:
    """What each metric that applies finds; distances of codes are counted once for all."""
    arrays = file.query, file.database, file.query_labels, file.database_labels
    counted = functools.cache(lambda: distance_histograms(*arrays, bits=file.bits))
    known = counted if file.bits else None
    subject = Retrieval(*arrays, file.bits, rule, similarity=file.similarity, histograms=known)
    plugins = dict(_plugins(file))
    found = []
    with progress.steps([_DISTANCES] * bool(file.bits) + list(plugins)) as steps:
        for step in steps:
            if step == _DISTANCES:
                cross_check(file.query, file.database, bits=file.bits)
                check_relevant(int(np.count_nonzero(counted()[1].any(axis=1))), len(file.query))
            else:
                plugin = plugins[step]
                found.append(plugin(plugin.Params()).compute(subject))
                if found[-1].no_number:
                    raise BenchError(f"metric {step} found no number for {found[-1].no_number}")
    detail = next(iter(found[0].values.values())).detail
    check_relevant(detail["queries"] - detail["hitless"], detail["queries"])
    return found


def _plugins(file: LabelledCodes) -> Iterator[tuple[str, type[Metric]]]:
    """Names and classes of the metrics that apply, in the order of records."""
    usual = {name: place for place, name in enumerate(DEFAULT_METRICS)}
    for name in sorted(METRICS.names(), key=lambda name: (usual.get(name, len(usual)), name)):
        plugin = METRICS.get(name)
        fits = plugin.subject == "codes" and plugin.noise == "seeded" and plugin.judges in {"labels", None}
        # Interfaces need not be inherited from.
        features = getattr(plugin, "needs_features", Metric.needs_features)
        if fits and not features and (file.bits or plugin.embeddings):
            yield name, plugin


def _needed_mb(file: LabelledCodes) -> float:
    """Megabytes that judging takes at most, with what was read."""
    queries, items = len(file.query), len(file.database)
    labels = [part for part in (file.query_labels, file.database_labels) if part is not None]
    held = sum(part.nbytes for part in (file.query, file.database, *labels))
    if file.bits:
        # FAISS's own index has a copy, and looking for equal codes sorts one.
        held += 4 * file.database.nbytes
        distances = queries * bins(file.query)
        held += _COUNTED_BYTES * distances
        steps = min(scan.MEMORY_MB, (_SCORED_BYTES * distances + _SCANNED_BYTES * items) / 1e6)
    else:
        held += 2 * file.database.nbytes  # while equal rows are looked for
        held += 2 * (file.query.nbytes + file.database.nbytes) * (file.similarity == "l2")  # in float64
        steps = max(min(scan.MEMORY_MB, _SCORED_BYTES * queries * items / 1e6), _SCORED_BYTES * items / 1e6)
    return _PROGRAM_MB + steps + held / 1e6


# -- For people and for programs ---------------------------------------------------------------------


def as_json(found: Judged) -> str:
    """Everything that was found, and how."""
    file = found.file
    content = {
        "file": str(file.path),
        "queries": len(file.query),
        "database": len(file.database),
        "bits": file.bits,
        "similarity": "hamming" if file.bits else file.similarity,
        "protocol": dataclasses.asdict(found.rule) | {"k": found.rule.k or "all"},
        "metrics": {name: dataclasses.asdict(value) for name, value in found.metrics.items()},
        "constant_bits": found.constant_bits,
        "warnings": found.warnings,
        "notes": file.notes,
        "seconds": found.seconds,
        "peak_memory_mb": found.peak_mb,
    }
    return json.dumps(content, indent=1)


def text(found: Judged) -> str:
    """A table of all accuracies, and below it what to know of them."""
    shown = [name for name, value in found.metrics.items() if name == found.main or _is_shown(name, value)]
    rows = [_row(name, found.metrics[name], found) for name in shown]
    table = tabulate(
        rows, ["accuracy", "mean", "95 % interval", "worst ties", "best ties"],
        disable_numparse=True, colalign=("left", "right", "left", "right", "right"),
    )  # fmt: skip
    lines = [_sizes(found.file), "", table, "", wording.definition(found.main)]
    if hitless := found.metrics[found.main].detail["hitless"]:
        lines.append(f"{_many(hitless, 'query', 'queries')} with nothing to find: they score 0 and count.")
    lines += _of_codes(found)
    lines += [f"Warning: {sentence}." for sentence in found.warnings]
    lines.append(
        f"Took {progress.human_seconds(found.seconds)}"
        + ("." if found.peak_mb is None else f" and {_size(found.peak_mb)} of memory at most.")
    )
    return "\n".join(lines)


def _is_shown(name: str, value: MetricValue) -> bool:
    """Whether a number has a line: an accuracy, and not a bound of another one."""
    entry = catalogue.entry(name)
    accuracy = entry.role == "accuracy" if entry else value.higher_is_better and not value.unit
    return accuracy and name.partition(":")[2].partition(":")[0] not in {"best", "worst"}


def _row(name: str, value: MetricValue, found: Judged) -> list[str]:
    rule = wording.ranking_rule(name)
    title = catalogue.title(name).removesuffix(" (expected)")
    if rule == ("index", "hits") and name != found.main:
        title += " as DeepHash's evaluator prints it"
    bounds = ["", ""] if rule and name != found.main else [_bound(name, order, found) for order in _ORDERS]
    interval = "{:.4f} to {:.4f}".format(*value.interval) if value.interval else ""
    return [title, f"{value.value:.4f}", interval, *bounds]


def _bound(name: str, order: str, found: Judged) -> str:
    """The mean with all ties in the worst or the best order, where that is known."""
    base, _, rest = name.partition(":")
    normalizer = rest.partition(":")[2]
    sibling = found.metrics.get(":".join(filter(None, [base, order, normalizer])))
    bound = sibling.value if sibling else found.metrics[name].detail.get(f"{order}_ties")
    return "" if bound is None else f"{bound:.4f}"


def _of_codes(found: Judged) -> Iterator[str]:
    """What is to be known of the codes themselves."""
    if found.constant_bits is None:
        return
    distinct, commonest = (found.metrics[name].value for name in ("distinct_codes", "commonest_code"))
    items = len(found.file.database)
    common = f"; {100 * commonest:.2g} % have the commonest" if distinct < items else ""
    yield f"{distinct:,.0f} distinct codes among {items:,} items of the database{common}."
    if tied := found.metrics.get("tied_pairs"):
        yield f"{100 * tied.value:.2g} % of the pairs of a relevant and another item are at equal distance."
    yield f"{_constant(found.constant_bits, found.file.bits)} the same in the whole database."


def _constant(places: tuple[int, ...], bits: int) -> str:
    """``2 of 32 bits, 0 and 7, are``; a list that stays short."""
    if not places:
        return "No bit is"
    if len(places) == bits:
        return f"All {bits} bits are" if bits > 1 else "The only bit is"
    shown = ", ".join(map(str, places[:_MOST_BITS]))
    rest = len(places) - _MOST_BITS
    if rest > 0:
        shown += f" and {rest} more"
    return f"{len(places)} of {bits} bits ({shown}) {'is' if len(places) == 1 else 'are'}"


def _sizes(file: LabelledCodes) -> str:
    metric = f"by {wording.SIMILARITIES[file.similarity]}"
    what = (
        f"codes of {file.bits} bits"
        if file.bits
        else f"embeddings of {file.query.shape[1]} dimensions {metric}"
    )
    truth = "lists of neighbours" if file.database_labels is None else "labels"
    queries, items = _many(len(file.query), "query", "queries"), _many(len(file.database), "item", "items")
    return f"{file.path}: {queries} against {items}, {what}, {truth}"


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _size(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"
