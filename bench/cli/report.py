"""``report``: web page, tables and charts."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import FOLDER, Number, verb
from bench.cli.saying import say
from bench.errors import UsageError


@click.command()
@click.argument("folders", type=FOLDER, nargs=-1, metavar="[FOLDER]...")
@click.option("--out", type=FOLDER, metavar="DIR", help="Where to write it [default: FOLDER/report].")
@click.option("--within", type=Number(0), default=0.02, show_default=True, metavar="X",
              help="Recommend the smallest student whose accuracy is within X of the best.")  # fmt: skip
@click.option("--format", "formats", multiple=True, type=click.Choice(["png", "svg", "pdf"]),
              help="Of the charts; may be given several times [default: all, if they are few].")  # fmt: skip
@click.option("--published", "with_published", is_flag=True,
              help="Set beside the rows what others published by the same protocol and metric.")  # fmt: skip
@verb
def report(
    folders: Sequence[Path], out: Path | None, within: float, formats: Sequence[str], with_published: bool
) -> None:
    """Make web page, tables and Pareto charts from the records in FOLDER [default: the last one run into]."""
    from bench.comparison.finding import findings
    from bench.comparison.front_places import with_chances
    from bench.comparison.gains import gains
    from bench.comparison.ranks import ranks
    from bench.environment import default_threads
    from bench.report.render import render
    from bench.results.folder import latest_folder

    known = None
    if with_published:
        from bench.published import load_published

        known = load_published()
    # Whatever a report reads lives until its end: to look for garbage in it takes a third of the time.
    gc.disable()
    try:
        beside = default_threads() - 1
        some = folders or [latest_folder()]
        made = render(
            some,
            within,
            out=out,
            formats=formats,
            processes=beside,
            find=findings,
            gains=gains,
            judge=with_chances,
            rank=ranks,
            published=known,
        )
    finally:
        gc.enable()
    for line in (*made.findings, *made.advice, *made.paths):
        say(line)
    if made.problems:
        rest = f"; everything else is in {made.paths[0].parent}"
        raise UsageError("\n".join(made.problems) + rest)
