"""The verbs that read results: report, compare and check. None of them needs torch or a plug-in."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli_options import Number, verb
from bench.errors import UsageError

log = logging.getLogger(__name__)

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folders", type=_FOLDER, nargs=-1, metavar="[FOLDER]...")
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where to write it [default: FOLDER/report].")
@click.option("--within", type=Number(0), default=0.02, show_default=True, metavar="X",
              help="Recommend the smallest student whose accuracy is within X of the best.")  # fmt: skip
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "svg", "pdf"]),
              help="Of the charts; may be given several times [default: all, if they are few].")  # fmt: skip
@verb
def report(folders: Sequence[Path], out: Path | None, within: float, formats: Sequence[str]) -> None:
    """Make web page, tables and Pareto charts from the records in FOLDER [default: the last one run into]."""
    from bench.comparison.finding import findings
    from bench.environment import default_threads
    from bench.report.render import render

    # Whatever a report reads lives until its end: to look for garbage in it takes a third of the time.
    gc.disable()
    try:
        beside = default_threads() - 1
        some = folders or [_latest_results()]
        made = render(some, within, out=out, formats=formats, processes=beside, find=findings)
    finally:
        gc.enable()
    for line in (*made.findings, *made.advice, *made.paths):
        click.echo(line)
    if made.problems:
        rest = f"; everything else is in {made.paths[0].parent}"
        raise UsageError("\n".join(made.problems) + rest)


@click.command()
@click.argument("a", type=_FOLDER)
@click.argument("b", type=_FOLDER, required=False)
@click.option("--a", "only_a", multiple=True, metavar="KEY=VALUE",
              help="Only these cells of A, for example method=none.")  # fmt: skip
@click.option("--b", "only_b", multiple=True, metavar="KEY=VALUE",
              help="Only these cells of B [B: A itself, when --a or --b is given].")  # fmt: skip
@click.option("--metric", default="map", show_default=True, help="The accuracy to compare.")
@click.option("--cost", help="The cost of the Pareto front [default: macs].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def compare(
    a: Path,
    b: Path | None,
    only_a: Sequence[str],
    only_b: Sequence[str],
    metric: str,
    cost: str | None,
    as_json: bool,
) -> None:
    """Is B better than A? Results folders, or parts of them, paired by configuration, seed and query."""
    from bench.comparison import compare_text
    from bench.comparison.choosing import filters
    from bench.comparison.compare import compare
    from bench.results.records import load_results

    if b is None and not (only_a or only_b):
        raise UsageError("compare needs B, a second results folder, or --a and --b to compare parts of A")
    base = load_results(a)
    new = base if b is None else load_results(b)
    result = compare(base, new, metric=metric, cost=cost, base_only=filters(only_a), new_only=filters(only_b))
    click.echo(compare_text.as_json(result) if as_json else compare_text.text(result))


@click.command()
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--baseline", type=_FOLDER, required=True, help="The results to hold FOLDER against.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME",
              help="An accuracy to judge; may be repeated [default: each cell's own].")  # fmt: skip
@click.option("--tolerance", type=Number(0), metavar="X",
              help="Fall of accuracy to allow [default: what the baseline's noise explains].")  # fmt: skip
@click.option("--sees", type=Number(0, included=False), default=0.05, show_default=True,
              metavar="X", help="Fall of accuracy that a baseline should show; warns of one that does not, "
              "refuses one that does not show three times that.")  # fmt: skip
@click.option("--weak", is_flag=True, help="Accept a baseline that shows less.")
@click.option("--slower", type=Number(1), default=1.25, show_default=True, metavar="RATIO",
              help="Ratio of timings to allow, on the same hardware.")  # fmt: skip
@click.option("--allow-missing", is_flag=True, help="Configurations of the baseline may be absent.")
@click.option(
    "--update", is_flag=True, help="Make FOLDER the baseline; review the change before you commit it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=_FOLDER, metavar="FILE", help="Also write JUnit XML.")
@click.option("--markdown", type=_FOLDER, metavar="FILE",
              help="Also write Markdown; $GITHUB_STEP_SUMMARY gets it, too, where it is set.")  # fmt: skip
@verb
def check(
    folder: Path | None, baseline: Path, metrics: Sequence[str], update: bool, as_json: bool,
    junit: Path | None, markdown: Path | None, **limits: Any,
) -> int:  # fmt: skip
    """Is anything in FOLDER worse than the baseline? Exit 0 no, 3 yes, 4 it cannot be told.

    FOLDER is a results folder [default: the last one run into].
    """
    from bench.comparison import check_text
    from bench.comparison.baseline import write_baseline
    from bench.comparison.check import check
    from bench.comparison.verdicts import Limits
    from bench.results.records import load_results
    from bench.storage import atomic

    candidate, asked = load_results(folder or _latest_results()), Limits(metrics=tuple(metrics), **limits)
    known = (baseline / "grid.json").is_file()
    if update and not known:
        summary, *others = write_baseline(candidate, baseline, asked)
        click.echo(summary)
        click.echo(
            f"{baseline} is made of {candidate.folder}, {len(others)} files; review {summary}", err=True
        )
        return 0
    if not known:
        what = "no baseline in it (no grid.json)" if baseline.is_dir() else "no such folder"
        cure = f"make it with: python -m bench check --baseline {baseline} {candidate.folder} --update"
        raise UsageError(f"{baseline}: {what}; {cure}")
    verdict = check(load_results(baseline), candidate, asked)
    click.echo(check_text.as_json(verdict) if as_json else check_text.text(verdict))
    if junit:
        atomic.write_bytes(junit, check_text.junit(verdict))
    if markdown:
        atomic.write_text(markdown, check_text.markdown(verdict))
    if shared := os.environ.get("GITHUB_STEP_SUMMARY"):
        # A job's steps share that file; the verdict must not hang on it.
        try:
            with Path(shared).open("a", encoding="utf-8") as file:
                file.write(check_text.markdown(verdict))
        except OSError as error:
            log.warning("warning: GITHUB_STEP_SUMMARY %s: cannot be written (%s)", shared, error.strerror)
    if not update:
        return verdict.exit_code
    write_baseline(candidate, baseline, asked)
    click.echo(f"{baseline} is now {candidate.folder}; review it: git diff {baseline}", err=True)
    return 0


def _latest_results() -> Path:
    """The results folder that was run into last."""
    indices = sorted(Path("results").glob("*/grid.json"), key=lambda path: path.stat().st_mtime)
    if not indices:
        raise UsageError("no results folder here; first: python -m bench run --grid grid.yaml")
    return indices[-1].parent
