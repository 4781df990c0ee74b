"""Every cell in one line, whatever its status, for programs: CSV and Parquet at full precision."""

from __future__ import annotations

import csv as text_format
import importlib.util
import io
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.results.frame import cell_values, metric_values, plain
from bench.results.names import Names
from bench.results.records import Record
from bench.results.wording import one_line

#: What a spreadsheet takes for the start of a formula; their full-width forms are folded to these.
_FORMULA = ("=", "+", "-", "@")
_INTEGERS = ("bits", "seed", "image_size", "image_width", "threads")


class CellTable:
    """One line per record, in both formats; of records of several folders, each says of which it is.

    Args:
        records: in the order of lines.
        origins: the folders that cells come from; empty where there is only one.
        chances: by the identity of a record, what its row has beside the cell's own metrics.
    """

    def __init__(
        self,
        records: list[Record],
        origins: Callable[[Sequence[Record]], str] = lambda _: "",
        chances: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        chances = chances or {}
        name = Names(records)
        self._lines = [
            {
                "configuration": str(name(record)),
                **({"folder": folder} if (folder := origins([record])) else {}),
                **_line(record, chances.get(id(record), {})),
            }
            for record in records
        ]
        self._columns = list(dict.fromkeys(column for line in self._lines for column in line))
        self._metrics = {column for record in records for column in _metrics(record)}
        self._metrics.update(column for more in chances.values() for column in more)

    def csv(self) -> str:
        """The table as text that is safe to open in a spreadsheet."""
        buffer = io.StringIO()
        writer = text_format.writer(buffer, lineterminator="\n")
        writer.writerow([_safe(column) for column in self._columns])
        writer.writerows([_safe(line.get(column)) for column in self._columns] for line in self._lines)
        return buffer.getvalue()

    def parquet(self) -> bytes | None:
        """The table with types: counts as integers, metrics as doubles, the rest as text.

        Text is as recorded, since nothing takes a Parquet column for formulas.

        Returns:
            None where pyarrow (extra ``parquet``) is not installed.
        """
        if importlib.util.find_spec("pyarrow") is None:
            return None
        import pyarrow as pa
        from pyarrow import parquet as parquet_format

        def array(column: str) -> Any:
            values = [line.get(column) for line in self._lines]
            if column in _INTEGERS:
                return pa.array([None if value is None else int(value) for value in values], pa.int64())
            if column in self._metrics:
                return pa.array(values, pa.float64())
            return pa.array([None if value is None else str(value) for value in values], pa.string())

        buffer = io.BytesIO()
        parquet_format.write_table(pa.table({column: array(column) for column in self._columns}), buffer)
        return buffer.getvalue()


def _line(record: Record, more: Mapping[str, float]) -> dict[str, Any]:
    facts = ("device", "gpu", "cpu", "threads", "precision", "git")
    return {
        **cell_values(record),
        **_metrics(record),
        **more,
        "params_json": json.dumps(record.params, sort_keys=True),
        **{name: plain(record.environment.get(name)) for name in facts},
        "created": record.created,
        "cell_key": record.cell_key,
        "key": record.key,
    }


def _metrics(record: Record) -> dict[str, float]:
    return metric_values(record.metrics, low=" low", high=" high")


def _safe(value: Any) -> Any:
    """Numbers as they are; text in one line that no spreadsheet takes for a formula.

    The leading quote is what OWASP's page on CSV injection advises. Tabs and carriage returns, which it
    names too, do not survive ``one_line``.
    """
    if value is None or isinstance(value, int | float):
        return value
    text = one_line(value)
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]).startswith(_FORMULA) else text
