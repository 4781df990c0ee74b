"""``check``: the regression gate. It needs neither torch nor a plug-in."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import FOLDER, Number, verb
from bench.cli.saying import say
from bench.errors import UsageError

log = logging.getLogger(__name__)


@click.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--baseline", type=FOLDER, required=True, help="The results to hold FOLDER against.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME",
              help="An accuracy to judge, and for --update to keep; may be repeated [default: each "
              "cell's own].")  # fmt: skip
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
@click.option("--junit", type=FOLDER, metavar="FILE", help="Also write JUnit XML.")
@click.option("--markdown", type=FOLDER, metavar="FILE",
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
    from bench.results.folder import ResultsFolder, latest_folder, load_results
    from bench.storage import atomic

    candidate, asked = load_results(folder or latest_folder()), Limits(metrics=tuple(metrics), **limits)
    index = ResultsFolder(baseline).index
    known = index.is_file()
    if update and not known:
        summary, *others = write_baseline(candidate, baseline, asked)
        say(summary)
        say(f"{baseline} is made of {candidate.folder}, {len(others)} files; review {summary}", err=True)
        return 0
    if not known:
        what = f"no baseline in it (no {index.name})" if baseline.is_dir() else "no such folder"
        cure = f"make it with: python -m bench check --baseline {baseline} {candidate.folder} --update"
        raise UsageError(f"{baseline}: {what}; {cure}")
    verdict = check(load_results(baseline), candidate, asked)
    say(check_text.as_json(verdict) if as_json else check_text.text(verdict))
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
    say(f"{baseline} is now {candidate.folder}; review it: git diff {baseline}", err=True)
    return 0
