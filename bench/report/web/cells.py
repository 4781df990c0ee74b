"""What the pages of cells show: their settings, numbers, curves, stages and the end of its log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np
from markupsafe import Markup

from bench.report.tables.columns import EXTERNAL_NOTE
from bench.results import catalogue, tuning, wording
from bench.results.records import EXTERNAL, Measured, Record, StageInfo

LOG_LINES = 200

_STEPS = {"distill": "Step 1: distillation", "finetune": "Step 2: hashing"}
_CURVES = {"radius": "by Hamming radius", "rank": "by rank"}
_CELL = ("student", "method", "loss", "bits", "seed", "image_size")
_KNOWN_ELSEWHERE = ("dataset", "student", "method", "bits", "seed")
#: Above the environment of what was measured elsewhere, which says nothing of where it was made.
_JUDGED_ON = "Environment of the judging"
_CONDITIONS = ("device", "precision", "threads")
_UNREADABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\n\t -~\xa0-\ud7ff\ue000-\U0010ffff]")


class CellPages:
    """Prepares the pages of one report's cells.

    A thousand cells share most of their settings and the words for their metrics: those are escaped once.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], list[str]] = {}

    def context(self, record: Record, log: str) -> dict[str, Any]:
        """The parts of a cell's page that come from its record, for the template ``cell.html``.

        Args:
            record: of any status.
            log: what was logged while the cell was run.
        """
        cell, stages = record.cell, record.stages
        settings = {"dataset": cell.dataset, "teachers": cell.teachers or "none"}
        settings |= {name: getattr(cell, name) for name in _CELL}
        if record.status == EXTERNAL:
            settings = {name: value for name, value in settings.items() if name in _KNOWN_ELSEWHERE}
        lines = log.splitlines()
        return {
            "record": record,
            "error": record.error,
            "note": EXTERNAL_NOTE if record.status == EXTERNAL else "",
            "warnings": [wording.one_line(sentence) for sentence in record.warnings],
            "blocks": {
                "Cell": self._pairs(settings),
                "Protocol": self._pairs(cell.protocol),
                "Parameters, all of them": self._pairs(record.params),
                _JUDGED_ON if record.status == EXTERNAL else "Environment": self._pairs(record.environment),
            },
            "stages": _joined(starmap(self._stage, _brief(record).items())),
            "seconds": sum(stage.seconds or 0.0 for stage in stages.values() if not stage.cached),
            "metrics": _joined(starmap(self._metric, record.metrics.items())),
            "headline": _headline(record),
            "charts": {"training": list(_training(record)), "recall": list(_recall(record))},
            "log": _UNREADABLE.sub("", "\n".join(lines[-LOG_LINES:])),
            "log_cut": len(lines) > LOG_LINES,
        }

    def _keep(self, kind: str, identity: object, make: Callable[[], str]) -> list[str]:
        """What ``make`` returns, split at tabs; made once for everything that looks the same."""
        key = kind, repr(identity)
        if key not in self._kept:
            self._kept[key] = str(make()).split("\t")
        return self._kept[key]

    def _pairs(self, values: Mapping[str, Any]) -> Markup:
        """Settings as entries of a description list."""
        return _joined(
            self._keep(f"pairs {name}", value, partial(_entries, {name: value}))[0]
            for name, value in values.items()
        )

    def _stage(self, name: str, stage: StageInfo) -> str:
        """A row of the table of stages."""
        seconds = "" if stage.seconds is None else f"{stage.seconds:.1f}"
        work = "taken from the cache" if stage.cached else "done for this cell"
        make = partial(_stage_words, name, stage.summary)
        head, middle, tail = self._keep("stage", (name, stage.summary), make)
        return f"{head}{seconds}{middle}{work}{tail}"

    def _metric(self, name: str, metric: Measured) -> str:
        """A row of the table of metrics."""
        divisor, unit = wording.unit(name, metric.unit, [metric.value])
        places = 4 if not unit else wording.decimals([metric.value / divisor])
        value = f"{metric.value / divisor:.{places}f}"
        ends = [f"{end / divisor:.{places}f}" for end in metric.interval or ()]
        told = [metric.detail.get(fact) for fact in _CONDITIONS] if metric.noise == "timed" else []
        make = partial(_metric_words, name, unit, metric)
        head, middle, tail = self._keep("metric", (name, unit, metric.noise, told), make)
        marked = f"{value} {wording.doubt(metric)}".rstrip()
        return f"{head}{marked}{middle}{' to '.join(ends)}{tail}"


def _brief(record: Record) -> dict[str, StageInfo]:
    """The stages, a tuning without all of its trials."""
    found = record.stages.get(tuning.STAGE)
    if found is None:
        return record.stages
    summary = tuning.told(found.summary, tuning.studies_of(record))
    return {**record.stages, tuning.STAGE: found.model_copy(update={"summary": summary})}


def _joined(parts: Iterable[str]) -> Markup:
    """Parts that hold escaped text and numbers alone."""
    return Markup("".join(parts))  # noqa: S704


def _entries(values: Mapping[str, Any]) -> Markup:
    line = Markup("<div><dt>{}</dt><dd>{}</dd></div>\n")
    return Markup("").join(line.format(*entry) for entry in _flat(values))


def _stage_words(name: str, summary: Mapping[str, Any]) -> Markup:
    """A row of the table of stages, with tabs in place of seconds and work."""
    told = ", ".join(" ".join(entry) for entry in _flat(summary))
    row = Markup('<tr><th scope="row">{}<td class="num">\t<td>\t<td class="wide">{}</tr>\n')
    return row.format(_text(name), told)


def _metric_words(name: str, unit: str, metric: Measured) -> Markup:
    """A row of the table of metrics, with tabs in place of value and interval."""
    rule = wording.ranking_rule(name)
    title = catalogue.title(name) + (f" ({rule[0]} ties, ÷ {rule[1]})" if rule else "")
    conditions = wording.conditions(metric) if metric.noise == "timed" else ""
    row = Markup('<tr><th scope="row">{}<td class="num">\t<td>{}<td>\t<td>{}<td><code>{}</code></tr>\n')
    kind = ": ".join(filter(None, [metric.noise, conditions]))
    return row.format(wording.one_line(title), wording.one_line(unit), kind, _text(name))


def _headline(record: Record) -> list[tuple[str, str, str]]:
    """Title, value and a note: of the accuracy with its tie bounds, and of the main costs."""
    found = []
    if main := record.metric("map"):
        name, metric = main
        base = name.partition(":")[0]
        bounds = [record.metric(f"{base}:{order}") for order in ("worst", "best")]
        notes = []
        if metric.interval:
            notes.append("95 % interval over queries {:.3f} to {:.3f}".format(*metric.interval))
        if all(bounds):
            low, high = (bound[1].value for bound in bounds if bound)
            notes.append(f"{low:.3f} in the worst and {high:.3f} in the best order of ties")
        found.append((catalogue.title(name), f"{metric.value:.3f}", "; ".join(notes)))
    for cost in catalogue.shown_in("headline"):
        if entry := record.metric(cost):
            name, metric = entry
            divisor, unit = wording.unit(name, metric.unit, [metric.value])
            value = metric.value / divisor
            places = 0 if value.is_integer() else wording.decimals([value])
            mark = wording.doubt(metric)
            note = wording.advice(mark) if mark else wording.conditions(metric)
            found.append((catalogue.title(name), f"{value:.{places}f} {unit}", note))
    return found


def _training(record: Record) -> Iterator[dict[str, Any]]:
    """By training: every quantity that was watched, one value per epoch, None where it was not taken."""
    for name, stage in record.stages.items():
        if not stage.history:
            continue
        names = dict.fromkeys(key for epoch in stage.history for key in epoch)
        series = {key: [_short(epoch.get(key)) for epoch in stage.history] for key in names}
        yield {
            "title": _STEPS.get(name, _text(name)),
            "rate": series.pop("lr", None),
            "scores": {key: series.pop(key) for key in names if key.startswith("val_")},
            "terms": series,
        }


def _recall(record: Record) -> Iterator[dict[str, Any]]:
    """Precision-recall curves, with those of the best and the worst tie order where they were kept."""
    for along, words in _CURVES.items():
        metric = record.metrics.get(f"pr_curve:{along}")
        if metric is None:
            continue
        keys = [along, "precision", "recall"]
        for ties in ("best", "worst"):
            keys += [f"precision_{ties}_ties", f"recall_{ties}_ties"]
        lists = {key: _points(metric.detail.get(key)) for key in keys}
        if lists["recall"] and len(lists["recall"]) == len(lists["precision"]) == len(lists[along]):
            yield {"title": words, "along": along, "area": f"{metric.value:.3f}", **lists}


def _points(values: object) -> list[float]:
    """A curve with four decimal places; none where ``values`` is no list of numbers."""
    if not isinstance(values, list):
        return []
    try:
        points = np.asarray(values, dtype=float).round(4)
    except (TypeError, ValueError, OverflowError):
        return []
    return [*points.tolist()] if points.ndim == 1 and np.isfinite(points).all() else []


def _short(value: float | None) -> float | None:
    """A number with five digits, as a curve needs no more."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as ``loss.lr`` and text; empty ones are left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield from _flat({str(i): one for i, one in enumerate(value)}, f"{name}.")
        elif isinstance(value, list):
            yield _text(name), ", ".join(_text(one) for one in value)
        elif value is not None:
            yield _text(name), _text(value)


def _text(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else wording.one_line(text)
