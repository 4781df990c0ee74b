"""``plan``: what a run would do."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from bench.cli.options import grid_options, verb

log = logging.getLogger(__name__)


@click.command()
@grid_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def plan(grid: Path, as_json: bool, **options: Any) -> None:
    """Show cells and stages of a grid, what is cached, and the expected time and disk; starts nothing."""
    from bench.cli.plan_text import plan_summary, plan_text
    from bench.execution.session import RunOptions, prepare
    from bench.planning import advice

    planned, machine = prepare(grid, RunOptions(**options), fetch=False)
    for line in advice.warnings(planned):
        log.warning("warning: %s", line)
    summary = plan_summary(planned, machine.store, machine.job_hardware, machine.jobs)
    click.echo(json.dumps(summary, indent=1) if as_json else plan_text(summary))
