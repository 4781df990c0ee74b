"""Results as data frames: a row a cell, and a row a configuration over its seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.results.folder import Results
from bench.results.merge import load_merged
from bench.results.names import Names
from bench.results.records import Record
from bench.results.summary import Estimate, Group, Row, Summary, summarise

if TYPE_CHECKING:
    import pandas as pd

#: Numbers of threads are whole, but not every record has them.
_THREADS = ("threads", "job_threads")


class LoadedResults(Results):
    """Results as a program reads them."""

    def frame(self) -> pd.DataFrame:
        """One row a cell that has a record, whatever its status; see ``cells_frame``."""
        return cells_frame(self.records)

    def summary(self) -> pd.DataFrame:
        """One row a configuration over its seeds, as in tables; see ``summary_frame``."""
        return summary_frame(summarise(self))


def load(*folders: str | Path) -> LoadedResults:
    """The results in ``folders`` as one, see ``merge.merged``; those of the last run where none is named.

    Raises:
        UsageError: nothing was run into a folder, there is none, or a metric is known as something else.
        RecordError: one of their files cannot be read.
    """
    found = load_merged(*folders)
    return LoadedResults(**{field.name: getattr(found, field.name) for field in fields(found)})


def cells_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row a record, whatever its status; what a record has not is missing.

    Columns are the configuration as reports name it and the cell, then every metric under its full name
    (float64; ``NAME_low`` and ``NAME_high`` are the ends of its interval over queries), then where and when
    it was run, all parameters as JSON, and its keys.
    """
    import pandas as pd  # a third of a second, for those who ask

    name = Names(list(records))
    cells = _columns({"configuration": str(name(record)), **cell_values(record)} for record in records)
    metrics = _columns(metric_values(record) for record in records)
    runs = _columns(_run_values(record) for record in records)
    types = {**dict.fromkeys(metrics, "float64"), **dict.fromkeys(_THREADS, "Int64")}
    frame = _frame({**cells, **metrics, **runs}, types)
    if "created" in frame:
        frame["created"] = pd.to_datetime(frame["created"], format="ISO8601", utc=True, errors="coerce")
    return frame


def summary_frame(summary: Summary) -> pd.DataFrame:
    """One row a configuration, in the groups and the order of the tables; two groups are not comparable.

    Columns are the configuration, then every metric under its full name: its mean (float64), and where there
    are intervals their ends (``NAME_low``, ``NAME_high``), half their length (``NAME_half_width``) and the
    number of seeds behind them (``NAME_n``); then protocol and machine of the group.
    """
    rows = [(group, row) for group in summary.groups for row in group.rows]
    uncertain = {name for _, row in rows for name, one in row.estimates.items() if one.interval}
    cells = _columns(_row_values(group, row) for group, row in rows)
    metrics = _columns(_estimates(row, uncertain) for _, row in rows)
    conditions = _columns(
        {"protocol": group.protocol_words, "conditions": group.conditions} for group, _ in rows
    )
    types = {**dict.fromkeys(metrics, "float64"), **{f"{name}_n": "Int64" for name in uncertain}}
    return _frame({**cells, **metrics, **conditions}, types)


def cell_values(record: Record) -> dict[str, Any]:
    """The cell of a record, how it ended, and its protocol: plain values by column."""
    cell, error = record.cell, record.error
    return {
        "dataset": cell.dataset,
        "teachers": "+".join(cell.teachers),
        "student": cell.student,
        "method": cell.method,
        "loss": cell.loss,
        "bits": cell.bits,
        "seed": cell.seed,
        "image_size": cell.image_size,
        "status": record.status,
        "error_stage": error.stage if error else None,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "warnings": " ".join(f"{sentence}." for sentence in record.warnings) or None,
        **{f"protocol.{name}": plain(value) for name, value in cell.protocol.items()},
    }


def metric_values(record: Record, low: str = "_low", high: str = "_high") -> dict[str, float]:
    """Every metric by its full name, with the ends of its interval under the name and ``low`` or ``high``."""
    values = {}
    for name, metric in record.metrics.items():
        values[name] = metric.value
        if metric.interval is not None:
            values[name + low], values[name + high] = metric.interval
    return values


def plain(value: Any) -> Any:
    """Lists and mappings as JSON; the rest as it is."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _run_values(record: Record) -> dict[str, Any]:
    environment = record.environment
    git = environment.get("git")
    facts = ("device", "gpu", "cpu", "precision", "fingerprint", "python")
    return {
        **{name: plain(environment.get(name)) for name in facts},
        **{name: _whole(environment.get(name)) for name in _THREADS},
        "commit": git.get("commit") if isinstance(git, dict) else None,
        "created": record.created,
        "params_json": json.dumps(record.params, sort_keys=True),
        "cell_key": record.cell_key,
        "key": record.key,
    }


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and abs(value) < 2**63 else None


def _row_values(group: Group, row: Row) -> dict[str, Any]:
    named = row.configuration
    return {
        "group": group.slug,
        "limited": group.limited,
        "configuration": str(named),
        "dataset": named.dataset,
        "student": named.student,
        "method": named.method,
        "loss": named.loss,
        "bits": named.bits,
        "image_size": row.image_size,
        "role": row.role,
        "seeds": row.seeds,
        "warned": row.warned,
    }


def _estimates(row: Row, uncertain: set[str]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, one in row.estimates.items():
        values |= {name: one.value, **(_spread(name, one) if name in uncertain else {})}
    return values


def _spread(name: str, one: Estimate) -> dict[str, float | None]:
    low, high = one.interval or (None, None)
    found = {"low": low, "high": high, "half_width": one.half_width, "n": one.n}
    return {f"{name}_{what}": value for what, value in found.items()}


def _columns(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values of every name that a line has, names in the order in which they come."""
    lines = list(lines)
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: [line.get(name) for line in lines] for name in names}


def _frame(columns: Mapping[str, list[Any]], types: Mapping[str, Any]) -> pd.DataFrame:
    """``columns`` as a data frame; what has no type is typed as pandas does it."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=types.get(name)) for name, values in columns.items()})
