"""``doctor``: what is at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import data_root_option, include_option, verb


@click.command()
@data_root_option
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def doctor(data_root: Path | None, plugins: Sequence[Path], as_json: bool) -> int:
    """Show what is installed, which devices there are, and which data and weights are at hand."""
    from bench import registry
    from bench.cli.diagnosis import examine
    from bench.data import loading

    registry.include_all(plugins)
    findings = examine(data_root or loading.default_root())
    if as_json:
        click.echo(json.dumps(findings, indent=1))
    else:
        for section, lines in findings.items():
            click.echo(section)
            for name, text in lines.items():
                click.echo(f"  {name}: {text}")
    return 0
