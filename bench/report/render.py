"""Write the report of a results folder: tables and charts, from its records alone."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from bench import atomic
from bench.records import load_results
from bench.report import tables
from bench.report.plots import pareto_chart
from bench.report.rows import Summary, summarise
from bench.report.styles import Styles

log = logging.getLogger(__name__)


def render(folder: Path) -> list[Path]:
    """Write ``<folder>/report``: ``table.csv``, ``table.md``, ``table.tex`` and the Pareto charts.

    The same records give the same bytes. Charts of an earlier report that are no longer drawn are removed.

    Returns:
        The files written. Without a finished cell they are the tables alone, which say so.

    Raises:
        UsageError: nothing was run into ``folder``, or it cannot be written.
        RecordError: a record cannot be read.
    """
    results = load_results(folder)
    if results.superseded:
        log.warning("%d records of earlier versions of this grid are left out", results.superseded)
    summary = summarise(results)
    files = {
        "table.csv": tables.csv(results.records).encode(),
        "table.md": tables.markdown(summary).encode(),
        "table.tex": tables.latex(summary).encode(),
        **_charts(summary, results.pareto),
    }
    target = folder / "report"
    for name, content in files.items():
        atomic.write_bytes(target / name, content)
    for stale in set(target.glob("pareto_*.*")) - {target / name for name in files}:
        stale.unlink()
    return [target / name for name in files]


def _charts(summary: Summary, pairs: list[tuple[str, str]]) -> dict[str, bytes]:
    styles = Styles(summary.groups)
    charts = {}
    for accuracy, cost in pairs:
        for group in summary.groups:
            parts = [accuracy, cost] + [group.slug] * (len(summary.groups) > 1)
            stem = re.sub(r"[^\w@.-]", "-", f"pareto_{'_'.join(parts)}", flags=re.ASCII)
            for form, content in pareto_chart(summary.name, group, accuracy, cost, styles).items():
                charts[f"{stem}.{form}"] = content
    return charts
