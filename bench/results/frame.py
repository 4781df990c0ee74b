"""Results as data frames: a row a cell, and a row a configuration over its seeds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.results import catalogue, wording
from bench.results.folder import Results
from bench.results.merge import load_merged
from bench.results.names import Configuration, Names, teachers_of
from bench.results.records import Measured, Record
from bench.results.summary import Estimate, Group, Role, Row, placed, summarise
from bench.types.sizes import sides

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

#: The type of a column does not follow from what is in it, nor from the version of pandas.
_TEXT, _REAL, _WHOLE, _WHOLE_OR_MISSING = "string", "float64", "int64", "Int64"
#: Columns that are always there, with their types: those by which a cell finds its row over seeds, ...
_NAMED = {
    **dict.fromkeys(("group", "role", "configuration", "dataset", "teachers"), _TEXT),
    **dict.fromkeys(("student", "method", "loss"), _TEXT),
    **dict.fromkeys(("bits", "image_size"), _WHOLE),
    "image_width": _WHOLE_OR_MISSING,
}
_JUDGED = {"doubts": _TEXT, "accuracy_name": _TEXT, "accuracy": _REAL}
#: ... of a cell before its metrics and behind them, ...
_CELL = {
    **_NAMED,
    "seed": _WHOLE,
    **dict.fromkeys(("status", "error_stage", "error_type", "error_message", "warnings"), _TEXT),
    **_JUDGED,
}
_RUN = {
    **dict.fromkeys(("device", "gpu", "cpu", "precision", "fingerprint", "python"), _TEXT),
    **dict.fromkeys(("threads", "job_threads"), _WHOLE_OR_MISSING),
    **dict.fromkeys(("commit", "created", "params_json", "cell_key", "key"), _TEXT),
}
#: ... and of a row.
_ROW = {**_NAMED, "limited": "bool", "seeds": _WHOLE, "warned": "bool", **_JUDGED}
_CONDITIONS = dict.fromkeys(("protocol", "conditions"), _TEXT)
#: Names that no metric has.
_TAKEN = {*_CELL, *_RUN, *_ROW, *_CONDITIONS}

_AGAIN = "a newer record of this seed counts in its place"


class LoadedResults(Results):
    """Results as a program reads them.

    ``frame`` and ``summary`` begin with the same columns. ``group`` and ``configuration`` name a row of the
    tables, so that ``frame.merge(summary, on=["group", "configuration"])`` puts it beside each of its cells;
    ``group`` is missing where a cell has no numbers. ``role`` is ``teacher``, ``undistilled``, ``distilled``
    or, of what was measured elsewhere, ``external``; data set, networks, method and loss have the names that
    the grid gives them, and several teachers are joined by ``+``. ``accuracy`` is what is judged, under the
    full name ``accuracy_name``. ``doubts`` says which numbers are not to be relied on
    (``latency_ms@1: unsteady timings``), and is missing where all are.

    Text is pandas' ``string``, also where all is missing. A metric that is called like another column is
    ``metric.NAME``. ``image_size`` is the side of the network's input in pixels, or its height where
    ``image_width`` has its width.
    """

    def frame(self) -> pd.DataFrame:
        """One row a cell that has a record, whatever its status; what a record has not is missing.

        Columns are the cell and how it ended, with its protocol as text (``protocol.NAME``), then every
        metric under its full name (float64; ``NAME_low`` and ``NAME_high`` are the ends of its 95 % interval
        over queries), then where and when it was run, all parameters as JSON, and its keys.
        """
        import pandas as pd  # a third of a second, for those who ask

        cells = _columns(_cells(self), _CELL)
        metrics = _columns(metric_values(_metrics(record)) for record in self.records)
        runs = _columns(map(_run_values, self.records), _RUN)
        types = {**dict.fromkeys(metrics, _REAL), **_CELL, **_RUN}
        frame = _frame({**cells, **metrics, **runs}, types)
        frame["created"] = pd.to_datetime(frame["created"], format="ISO8601", utc=True, errors="coerce")
        return frame

    def summary(self) -> pd.DataFrame:
        """One row a configuration over its seeds, as in tables; rows of two groups are not comparable.

        Columns are the configuration, then every metric under its full name: its mean (float64), and where
        there are 95 % intervals their ends (``NAME_low``, ``NAME_high``), half their length
        (``NAME_half_width``), what they are over (``NAME_over``: ``seeds``, or ``queries`` where there is one
        seed) and the number of seeds (``NAME_n``); then protocol and machine of the group.
        """
        rows = [(group, row) for group in summarise(self).groups for row in group.rows]
        uncertain = {name for _, row in rows for name, one in row.estimates.items() if one.interval}
        cells = _columns((_row_values(group, row) for group, row in rows), _ROW)
        metrics = _columns(_estimates(row, uncertain) for _, row in rows)
        conditions = _columns(
            ({"protocol": group.protocol_words, "conditions": group.conditions} for group, _ in rows),
            _CONDITIONS,
        )
        types = {**dict.fromkeys(metrics, _REAL), **_ROW, **_CONDITIONS}
        types |= {f"{_column(name)}_over": _TEXT for name in uncertain}
        types |= {f"{_column(name)}_n": _WHOLE_OR_MISSING for name in uncertain}
        return _frame({**cells, **metrics, **conditions}, types)


def load(*folders: str | Path) -> LoadedResults:
    """The results in ``folders`` as one, see ``merge.merged``; those of the last run where none is named.

    Cells of the grid without a record are in ``missing``; what other records there are, in ``left_out``. Both
    are logged as warnings.

    Raises:
        UsageError: nothing was run into a folder, or there is none.
        RecordError: one of their files cannot be read.
    """
    for folder in folders:
        if not isinstance(folder, str | Path):
            raise UsageError(f"load: {folder!r} is not the path of a folder; pass several as load('a', 'b')")
    found = load_merged(*folders)
    if count := len(found.missing):
        log.warning("missing: %d cell%s of the grid without a record", count, "s" * (count > 1))
    return LoadedResults(**{field.name: getattr(found, field.name) for field in fields(found)})


def cell_values(record: Record) -> dict[str, Any]:
    """The cell of a record, how it ended, and its protocol: plain values by column."""
    cell, error = record.cell, record.error
    height, width = sides(cell.image_size)
    return {
        "dataset": cell.dataset,
        "teachers": "+".join(cell.teachers),
        "student": cell.student,
        "method": cell.method,
        "loss": cell.loss,
        "bits": cell.bits,
        "seed": cell.seed,
        "image_size": height,
        **({"image_width": width} if width != height else {}),
        "status": record.status,
        "error_stage": error.stage if error else None,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "warnings": " ".join(f"{sentence}." for sentence in record.warnings) or None,
        **{f"protocol.{name}": plain(value) for name, value in cell.protocol.items()},
    }


def metric_values(
    metrics: Mapping[str, Measured], low: str = "_low", high: str = "_high"
) -> dict[str, float]:
    """Every metric by its name, with the ends of its interval under the name and ``low`` or ``high``."""
    values = {}
    for name, metric in metrics.items():
        values[name] = metric.value
        if metric.interval is not None:
            values[name + low], values[name + high] = metric.interval
    return values


def plain(value: Any) -> Any:
    """Lists and mappings as JSON; the rest as it is."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _cells(results: Results) -> Iterable[dict[str, Any]]:
    """What every record begins with."""
    name, teachers = Names(results.records), teachers_of(results.records)
    rows = [(group.slug, row) for group in summarise(results).groups for row in group.rows]
    # By identity: machines that time nothing give records of one cell the same key.
    groups = {id(record): slug for slug, row in rows for record in (*row.records, *row.older)}
    older = {id(record) for _, row in rows for record in row.older}
    for record in results.records:
        values = {name: metric.value for name, metric in record.metrics.items()}
        role, configuration = placed(record, name, teachers)
        yield {
            **_named(groups.get(id(record)), role, configuration),
            **cell_values(record),
            **_judged(values, [record], [_AGAIN] if id(record) in older else []),
        }


def _metrics(record: Record) -> dict[str, Measured]:
    return {_column(name): metric for name, metric in record.metrics.items()}


def _named(group: str | None, role: Role, configuration: Configuration) -> dict[str, Any]:
    return {"group": group, "role": role, "configuration": str(configuration)}


def _judged(values: Mapping[str, float], records: Sequence[Record], doubts: Sequence[str]) -> dict[str, Any]:
    """What the accuracy is and what numbers leave to doubt, that of any seed."""
    accuracy = catalogue.full_name("map", values)
    marked = dict.fromkeys(
        f"{name}: {wording.said(mark)}"
        for record in records
        for name, metric in record.metrics.items()
        if (mark := wording.doubt(metric))
    )
    return {
        "doubts": "; ".join([*doubts, *marked]) or None,
        "accuracy_name": accuracy,
        "accuracy": None if accuracy is None else values[accuracy],
    }


def _run_values(record: Record) -> dict[str, Any]:
    environment = record.environment
    git = environment.get("git")
    return {
        **{name: plain(environment.get(name)) for name in _RUN},
        **{name: _whole(environment.get(name)) for name in ("threads", "job_threads")},
        "commit": git.get("commit") if isinstance(git, dict) else None,
        "created": record.created,
        "params_json": json.dumps(record.params, sort_keys=True),
        "cell_key": record.cell_key,
        "key": record.key,
    }


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and abs(value) < 2**63 else None


def _row_values(group: Group, row: Row) -> dict[str, Any]:
    cell = cell_values(row.records[0])
    return {
        **{name: cell[name] for name in _NAMED if name in cell},
        **_named(group.slug, row.role, row.configuration),
        "limited": group.limited,
        "seeds": row.seeds,
        "warned": row.warned,
        **_judged({name: one.value for name, one in row.estimates.items()}, row.records, []),
    }


def _estimates(row: Row, uncertain: set[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, one in row.estimates.items():
        values |= {_column(name): one.value, **(_spread(_column(name), one) if name in uncertain else {})}
    return values


def _spread(name: str, one: Estimate) -> dict[str, Any]:
    low, high = one.interval or (None, None)
    over = None if one.interval is None else "seeds" if one.n > 1 else "queries"
    found = {"low": low, "high": high, "half_width": one.half_width, "over": over, "n": one.n}
    return {f"{name}_{what}": value for what, value in found.items()}


def _columns(lines: Iterable[Mapping[str, Any]], fixed: Iterable[str] = ()) -> dict[str, list[Any]]:
    """The values of every ``fixed`` name and of those that a line has, in the order in which they come."""
    lines = list(lines)
    names = dict.fromkeys([*fixed, *(name for line in lines for name in line)])
    return {name: [line.get(name) for line in lines] for name in names}


def _column(metric: str) -> str:
    """What the column of a metric is called, by its full name."""
    return f"metric.{metric}" if metric in _TAKEN else metric


def _frame(columns: Mapping[str, list[Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Columns as a data frame; what has no type is text."""
    import pandas as pd

    def typed(values: list[Any], kind: str) -> pd.Series[Any]:
        if kind == _TEXT:
            values = [None if value is None else str(value) for value in values]
        return pd.Series(values, dtype=kind)

    return pd.DataFrame({name: typed(values, types.get(name, _TEXT)) for name, values in columns.items()})
