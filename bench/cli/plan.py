"""``plan``: what a run would do."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from bench.cli.options import cluster_option, grid_options, verb
from bench.cli.saying import say
from bench.errors import UsageError

log = logging.getLogger(__name__)


@click.command()
@grid_options
@cluster_option
@click.option("--out", type=click.Path(path_type=Path),
              help="With --cluster: whose records count [default: results/<grid name>].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def plan(grid: Path, cluster: Path | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Show cells and stages of a grid, what is cached, and the expected time and disk; starts nothing."""
    from bench.cli.cluster_text import cluster_summary, cluster_text
    from bench.cli.plan_text import plan_summary, plan_text
    from bench.execution.cluster import load_cluster
    from bench.execution.cluster_plan import expected
    from bench.execution.session import RunOptions, prepare
    from bench.planning import advice, edited
    from bench.planning.stage import walk
    from bench.published import load_published
    from bench.results.folder import ResultsFolder

    if out is not None and cluster is None:
        raise UsageError("--out: of a plan with --cluster; without, no record counts")
    file = load_cluster(cluster) if cluster else None
    planned, machine = prepare(grid, RunOptions(**options), fetch=False)
    stages = walk(leaf for cell in planned.selected for leaf in cell.leaves.values())
    for line in (*advice.warnings(planned), *edited.warnings(stages.values(), machine.store)):
        log.warning("warning: %s", line)
    summary = plan_summary(planned, machine.store, machine.job_hardware, machine.jobs, load_published())
    text = plan_text(summary) if not as_json else ""
    if file is not None:
        folder = out or ResultsFolder.of_grid(planned.name).path
        asked = expected(planned, file, machine.store, folder, options["threads"])
        summary["cluster"] = cluster_summary(asked)
        text = f"{text}\n\n{cluster_text(summary['cluster'])}"
    say(json.dumps(summary, indent=1) if as_json else text)
