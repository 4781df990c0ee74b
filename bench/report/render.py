"""Write the report of results folders: web page, tables and charts, from their records alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.errors import UsageError, did_you_mean
from bench.report.charts.curve_files import curve_files
from bench.report.charts.files import ChartFiles
from bench.report.charts.rank_files import rank_files
from bench.report.fronts_json import cell_chances, fronts_json
from bench.report.tables import text as tables
from bench.report.tables.cells import CellTable
from bench.report.tables.columns import front_title, nobody, recommendation, recommended
from bench.report.web.curves import CurveView
from bench.report.web.site import site
from bench.results import commands
from bench.results.catalogue import base_name
from bench.results.curves import Curve, Gains, curves_of
from bench.results.entries import DEFAULT_CHARTS
from bench.results.folder import Results, ResultsFolder, few, readable_results
from bench.results.fronts import WITHIN, Front, front_of
from bench.results.merge import load_merged
from bench.results.published import Beside, Published, beside
from bench.results.ranks import Ranks
from bench.results.summary import Group, Summary, summarise
from bench.results.tuning_curves import tuning_curves
from bench.results.wording import one_line
from bench.storage import atomic
from bench.storage.left_behind import tidy_files

#: In a report's folder: the files that were made, so that those that are no longer made can go.
_MADE = ".files.json"
#: Seconds after which no report is still being written.
_LONGEST_REPORT = 600.0
#: What reports before that may have left behind in a folder of their own.
_OURS = ("table.*", "fronts.json", "ranks_*.*", "pareto_*.*", "curve_*.*", "cells/*.html", "examples/*.webp")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        paths: the files for people, ``index.html`` first.
        findings: what the records say, in a few sentences.
        advice: which student to take: by group its title, a line for each front, and the commands to do it.
        problems: what is not in it as it cannot be believed, and what the grid asks for and nobody can draw.
    """

    paths: list[Path]
    findings: list[str]
    advice: list[str]
    problems: list[str]


def render(
    folders: Sequence[Path],
    within: float = WITHIN,
    *,
    out: Path | None = None,
    formats: Sequence[str] = (),
    processes: int = 0,
    find: Callable[[Results], list[str]] = lambda _: [],
    gains: Callable[[Curve, Results], Gains] = lambda *_: {},
    rank: Callable[[Summary], Ranks | None] = lambda _: None,
    judge: Callable[[Sequence[Front], Results], list[Front]] = lambda fronts, _: [*fronts],
    published: Published | None = None,
) -> Report:
    """Write a report: ``index.html`` with a page per cell, tables, Pareto charts, all records.

    The same records in the same place give the same bytes. An earlier report stays whole where there is no
    room for this one; its files that are no longer made are removed. Without a finished cell there
    are no charts.

    Args:
        folders: results folders, at least one.
        within: loss of accuracy that a recommended smaller student may bring.
        out: where to write; None = ``report`` in the only folder.
        formats: of the charts, see ``ChartFiles``.
        processes: to draw charts in beside this one, see ``ChartFiles``.
        find: what the records say, in words for the top of the page; ``bench.comparison.finding.findings``.
        gains: what distillation adds along a curve; ``bench.comparison.gains.gains``.
        rank: ranks configurations over data sets, to be drawn; ``bench.comparison.ranks.ranks``.
        judge: gives the fronts of a group their chances; ``bench.comparison.front_places.with_chances``.
        published: what to set beside the rows, charted where it has the same accuracy; None: nothing.

    Raises:
        UsageError: nothing was run into a folder, there are several and no ``out``, or it cannot be written.
        RecordError: the grid of a folder cannot be read.
    """
    if out is None and len(folders) > 1:
        raise UsageError("a report of several folders needs --out DIR")
    target = out or ResultsFolder(folders[0]).report
    with ChartFiles(processes) as charts:
        results = load_merged(*folders, load=readable_results)
        summary = summarise(results)
        own = {group.slug: beside(published, group) for group in summary.groups} if published else {}
        drawn = {
            group.slug: _fronts(group, results, own.get(group.slug), within, judge)
            for group in summary.groups
        }
        names = charts.start(summary, drawn, formats, own)
        found_curves, not_curves = curves_of(results)
        tuned = tuning_curves(summary)
        curves = [(curve, gains(curve, results)) for curve in found_curves]
        curves += [(curve, {}) for curve in tuned]
        pictures = curve_files(summary, [curve for curve, _ in curves], formats)
        fronts = {slug: list(found.values()) for slug, found in drawn.items()}
        every = [front for some in fronts.values() for front in some]
        cells = CellTable(results.records, results.origins, cell_chances(every))
        parquet = cells.parquet()
        files = {
            "table.csv": cells.csv().encode(),
            **({"table.parquet": parquet} if parquet else {}),
            "table.md": tables.markdown(
                summary, fronts, partial(commands.export, results), results.origins, own, curves
            ).encode(),
            "table.tex": tables.latex(summary, fronts, own).encode(),
            **({"fronts.json": judged.encode()} if (judged := fronts_json(every)) else {}),
            **pictures.files,
            **rank_files(summary.name, rank(summary), formats),
        }
        said = find(results)
        pages = site(
            summary,
            results,
            within=within,
            downloads=[*files, *names],
            findings=said,
            published=own,
            fronts=fronts,
            curves=[
                CurveView(curve, added, svg)
                for (curve, added), svg in zip(curves, pictures.drawings, strict=True)
            ],
        )
        files |= charts.contents()
    _replace(target, pages | files, ours=out is None)
    return Report(
        [target / name for name in ("index.html", *files)],
        said,
        [
            *(line for group in summary.groups for line in _advice(group, fronts[group.slug], results)),
            *(line for figures in own.values() for line in _published(figures)),
            *_lacking(summary),
        ],
        [
            *few(list(dict.fromkeys(results.faults))),
            *not_curves,
            *_not_drawn(results, {pair for fronts in drawn.values() for pair in fronts}),
        ],
    )


def _fronts(
    group: Group,
    results: Results,
    own: Beside | None,
    within: float,
    judge: Callable[[Sequence[Front], Results], list[Front]],
) -> dict[tuple[str, str], Front]:
    """The fronts of a group by their axes, those beside published figures among them, with their chances."""
    found = {pair: front for pair in results.pareto if (front := front_of(group, *pair, within=within))}
    found |= own.fronts(results.pareto) if own else {}
    return dict(zip(found, judge([*found.values()], results), strict=True))


def _replace(target: Path, contents: Mapping[str, bytes], *, ours: bool) -> None:
    """Write a report in the place of an earlier one, whose files that are no longer made are removed."""
    earlier = _made_before(target, ours=ours)
    atomic.write_all(target, {**contents, _MADE: (json.dumps(sorted(contents), indent=0) + "\n").encode()})
    for name in sorted(earlier - contents.keys()):
        (target / name).unlink(missing_ok=True)
    # Those of reports that were killed; another one may be at work on the same folder.
    older_than = (target / _MADE).stat().st_mtime - _LONGEST_REPORT
    tidy_files({(target / name).parent for name in contents}, older_than)


def _made_before(target: Path, *, ours: bool) -> set[str]:
    """Files of an earlier report in ``target``, a folder that is ``ours`` alone or may be shared."""
    try:
        names = json.loads((target / _MADE).read_text(encoding="utf-8"))
        return {name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts}
    except (OSError, ValueError, TypeError):
        found = (path for pattern in _OURS for path in target.glob(pattern) if path.is_file())
        return {path.relative_to(target).as_posix() for path in found} if ours else set()


def _advice(group: Group, fronts: list[Front], results: Results) -> list[str]:
    lines = [f"  {front_title(front)}: {recommendation(front)}" for front in fronts if front.recommended]
    if fronts and not lines and any(row.role in {"undistilled", "distilled"} for row in group.rows):
        lines = [f"  no student is recommended: {nobody(fronts[0])}"]
    for name, record in recommended(fronts).items():
        if command := commands.export(results, record):
            lines.append(f"  take {name} away: {command}")
    if group.limited:
        lines = ["  nothing is ranked: these cells saw only a part of the data"]
    return [group.title, *lines] if lines else []


def _published(own: Beside) -> Iterator[str]:
    """What stands beside a group, and what does not."""
    known = len(own.figures)
    many = "1 published figure stands" if known == 1 else f"{known or 'no'} published figures stand"
    yield f"{own.group.title}: {many} beside these rows"
    yield from (f"  {line}" for line in own.notes)


def _lacking(summary: Summary) -> Iterator[str]:
    """What the report does not show."""
    if not summary.groups:
        yield "no cell has numbers yet, so there is nothing to rank"
    if summary.unfinished:
        lost = len(summary.unfinished)
        many = "1 cell failed or was" if lost == 1 else f"{lost} cells failed or were"
        yield f"{many} skipped; the report says why"
    if summary.missing:
        yield f"{len(summary.missing)} cells have not been run yet"


def _not_drawn(results: Results, drawn: set[tuple[str, str]]) -> Iterator[str]:
    """Charts that the grid asks for and that nobody can draw: axes that are none, or that never meet."""
    finished = [record for record in results.records if record.finished]
    known = dict.fromkeys(name for record in finished for name in record.metrics)
    for accuracy, cost in results.pareto if finished else ():
        where = f"report: pareto: [{one_line(accuracy)}, {one_line(cost)}]"
        found = [
            next(filter(None, (record.metric(name) for record in finished)), None)
            for name in (accuracy, cost)
        ]
        if (accuracy, cost) in DEFAULT_CHARTS and found[0] and not found[1]:
            continue  # the grid may have switched it off
        absent = [name for name, metric in zip((accuracy, cost), found, strict=True) if metric is None]
        if absent:
            hint = did_you_mean(absent[0], [*known, *map(base_name, known)]) or ";"
            named = ", ".join(map(one_line, known))
            yield f"{where}: no record has the metric '{one_line(absent[0])}'{hint} there are: {named}"
        elif found[0] and found[0][1].noise != "seeded":
            yield f"{where}: {one_line(found[0][0])} is no accuracy; write the accuracy first, then the cost"
        elif found[0] and found[1] and found[0][0] == found[1][0]:
            yield f"{where}: both axes are {one_line(found[0][0])}; name a cost to set against it"
        elif (accuracy, cost) not in drawn:
            yield f"{where}: no configuration has both"
