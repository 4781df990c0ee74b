"""Write the report of results folders: web page, tables and charts, from their records alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import atomic
from bench.errors import UsageError, did_you_mean
from bench.merge import merged
from bench.metric_names import resolve
from bench.records import Results, load_results
from bench.report import tables
from bench.report.cell_table import CellTable
from bench.report.chart_files import ChartFiles
from bench.report.columns import front_title, recommendation
from bench.report.fronts import Front, front_of
from bench.report.rows import Group, summarise
from bench.report.web import site
from bench.report.wording import one_line

log = logging.getLogger(__name__)

#: What earlier reports may have left behind.
_OURS = ("table.*", "pareto_*.*", "cells/*.html", "examples/*.webp", "assets/*")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        paths: the files for people, ``index.html`` first.
        advice: which student to take: by group its title, and a line for each front.
        problems: what the grid asks for and nobody can draw.
    """

    paths: list[Path]
    advice: list[str]
    problems: list[str]


def render(
    folders: Sequence[Path],
    within: float = 0.02,
    *,
    out: Path | None = None,
    formats: Sequence[str] = (),
    processes: int = 0,
) -> Report:
    """Write a report: ``index.html`` with a page per cell, tables, Pareto charts, all records.

    The same records give the same bytes. Files of an earlier report that are no longer made are removed.
    Without a finished cell there are no charts.

    Args:
        folders: results folders, at least one.
        within: loss of accuracy that a recommended smaller student may bring.
        out: where to write; None = ``report`` in the only folder.
        formats: of the charts, see ``ChartFiles``.
        processes: to draw charts in beside this one, see ``ChartFiles``.

    Raises:
        UsageError: nothing was run into a folder, there are several and no ``out``, or it cannot be written.
        RecordError: a record cannot be read.
    """
    if out is None and len(folders) > 1:
        raise UsageError("a report of several folders needs --out DIR")
    target = out or folders[0] / "report"
    with ChartFiles(processes) as charts:
        results = merged([load_results(folder) for folder in folders])
        for why, count in results.left_out.items():
            log.warning("left out: %d record%s %s", count, "s" * (count > 1), why)
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
    # Somebody else's folder is left as it is, but for the files that are written.
    ours = out is None or all((target / name).is_file() for name in ("index.html", "records.zip"))
    for name, content in (pages | files).items():
        atomic.write_bytes(target / name, content)
    written = {target / name for name in pages | files}
    stale = {path for pattern in _OURS for path in target.glob(pattern)} - written if ours else ()
    for path in stale:
        path.unlink()
    return Report(
        [target / name for name in ("index.html", *files)],
        [line for group in summary.groups for line in _advice(group, fronts[group.slug])],
        list(_not_drawn(results)),
    )


def _advice(group: Group, fronts: list[Front]) -> list[str]:
    lines = [f"  {front_title(front)}: {recommendation(front)}" for front in fronts if front.recommended]
    return [group.title, *lines] if lines else []


def _not_drawn(results: Results) -> Iterator[str]:
    """Axes of the grid's charts that no finished cell has."""
    finished = [record for record in results.records if record.status == "ok"]
    known = dict.fromkeys(name for record in finished for name in record.metrics)
    for name in dict.fromkeys(name for pair in results.pareto for name in pair):
        if finished and resolve(name, known) is None:
            hint = did_you_mean(name, known) or ";"
            yield (
                f"report: pareto: no record has the metric '{one_line(name)}'{hint} there are: "
                f"{', '.join(map(one_line, known))}"
            )
