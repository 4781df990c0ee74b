"""``run``: make the records of a grid."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from bench.cli.options import checkpoints_option, cluster_option, grid_options, other_grid_options, verb
from bench.cli.saying import say

log = logging.getLogger(__name__)


@click.command()
@grid_options
@click.option("--out", type=click.Path(path_type=Path), help="Results folder [default: results/<grid name>].")
@click.option("--overwrite", type=click.Choice(["missing", "failed", "unsteady", "always"]),
              default="missing", show_default=True, help="missing: run cells without a record; failed: also "
              "those that failed; unsteady: also those with unsteady timings, which are taken again without "
              "training; always: make everything anew.")  # fmt: skip
@checkpoints_option
@click.option("--executor", type=click.Choice(["local", "workers", "slurm", "ray"]), default="local",
              show_default=True, help="local: this machine; workers: with every `worker` on the same "
              "folders; slurm: workers that Slurm is asked for, as --cluster says; ray: nodes of a Ray "
              "cluster, with folders of their own.")  # fmt: skip
@cluster_option
@click.option(
    "--wait", is_flag=True, help="Stay until the cluster's workers are done, and show what they make."
)
@click.option("--address", metavar="HOST:PORT",
              help="The Ray cluster [default: $RAY_ADDRESS or the one of this machine].")  # fmt: skip
@other_grid_options
@verb
def run(grid: Path, out: Path | None, **options: Any) -> int:
    """Train, measure and record every cell of a grid; cells that have a record are skipped."""
    from bench.execution import session
    from bench.results import commands
    from bench.results.folder import ResultsFolder

    outcome = session.run(grid, out, **options)
    plan, out = outcome.plan, outcome.out
    if outcome.jobs:
        from bench.cli.cluster_text import submitted

        say(submitted(outcome))
        return outcome.exit_code
    text = f"{outcome.present + outcome.ok} of {len(plan.selected)} cells ok in {out}"
    if not outcome.attempted:
        text += "; nothing to do, every cell has a record"
    elif not outcome.stages_run and outcome.ok == outcome.attempted:
        text += "; all from cache"
    say(text)
    for label, slugs in (("failed", outcome.failed), ("skipped", outcome.skipped)):
        for slug in slugs:
            say(f"{label}: {slug}")
    for sentence, count in outcome.warnings.items():
        say(f"warning: {_cells(count)}: {sentence}")
    if kept := outcome.kept:
        what = f"networks and codes of {_cells(kept.cells)}"
        say(f"kept: {what} in {kept.folder}, {kept.bytes / 1e6:.1f} MB")
    if said := _findings(out):
        chosen = {cell.key for cell in plan.selected}
        rest = [cell for cell in plan.cells if cell.key not in chosen]
        if any(ResultsFolder(out).record(Path(cell.record_file).stem).is_file() for cell in rest):
            said = [f"what all cells in {out} say, those of other runs among them:", *said]
        say("\n".join(said))
    say(f"tables, charts and web page of them: {commands.report(out)}", err=True)
    if outcome.exit_code:
        say("their records hold the reason; --overwrite failed runs them again", err=True)
    return outcome.exit_code


def _cells(count: int) -> str:
    return f"{count} {'cell' if count == 1 else 'cells'}"


def _findings(out: Path) -> list[str]:
    """What the records in ``out`` say. Whatever is wrong with them, a run has done its work by then."""
    from bench.comparison.finding import findings
    from bench.deployment.cells import offers
    from bench.results.folder import load_results

    try:
        results = load_results(out)
        return [*findings(results), *offers(results)]
    except Exception as error:
        log.warning("warning: nothing is said of %s: %s", out, error)
        log.debug("traceback", exc_info=error)
        return []
