"""Write the report of a results folder: web page, tables and charts, from its records alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from bench import atomic
from bench.records import load_results
from bench.report import tables
from bench.report.cell_table import CellTable
from bench.report.chart_files import ChartFiles
from bench.report.fronts import front_of
from bench.report.rows import summarise
from bench.report.web import site

log = logging.getLogger(__name__)

#: What earlier reports may have left behind.
_OURS = ("table.*", "pareto_*.*", "cells/*.html", "examples/*.webp", "assets/*")


def render(
    folder: Path, within: float = 0.02, *, formats: Sequence[str] = (), processes: int = 0
) -> list[Path]:
    """Write ``<folder>/report``: ``index.html`` with a page per cell, tables, Pareto charts, all records.

    The same records give the same bytes. Files of an earlier report that are no longer made are removed.

    Args:
        folder: a results folder.
        within: loss of accuracy that a recommended smaller student may bring.
        formats: of the charts, see ``ChartFiles``.
        processes: to draw charts in beside this one, see ``ChartFiles``.

    Returns:
        The files for people, ``index.html`` first. Without a finished cell there are no charts.

    Raises:
        UsageError: nothing was run into ``folder``, or it cannot be written.
        RecordError: a record cannot be read.
    """
    with ChartFiles(processes) as charts:
        results = load_results(folder)
        if results.superseded:
            log.warning("%d records of earlier versions of this grid are left out", results.superseded)
        summary = summarise(results)
        drawn = {
            group.slug: {
                pair: front for pair in results.pareto if (front := front_of(group, *pair, within=within))
            }
            for group in summary.groups
        }
        names = charts.start(summary, drawn, formats)
        fronts = {slug: list(found.values()) for slug, found in drawn.items()}
        cells = CellTable(results.records)
        parquet = cells.parquet()
        files = {
            "table.csv": cells.csv().encode(),
            **({"table.parquet": parquet} if parquet else {}),
            "table.md": tables.markdown(summary, fronts).encode(),
            "table.tex": tables.latex(summary, fronts).encode(),
        }
        pages = site(summary, results, within=within, downloads=[*files, *names])
        files |= charts.contents()
    target = folder / "report"
    for name, content in (pages | files).items():
        atomic.write_bytes(target / name, content)
    written = {target / name for name in pages | files}
    for stale in {path for pattern in _OURS for path in target.glob(pattern)} - written:
        stale.unlink()
    return [target / name for name in ("index.html", *files)]
