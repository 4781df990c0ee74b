"""``doctor``: what is at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bench.cli.options import data_root_option, include_option, verb
from bench.cli.saying import say

#: What stands before a finding, by its verdict.
MARKS = {"ok": "", "doubt": "note: ", "bad": "will not work: "}


@click.command()
@click.option("--cluster", type=click.Path(path_type=Path), multiple=True, metavar="DIR",
              help="Instead: whether machines can share this folder, and which schedulers there are; "
              "repeatable.")  # fmt: skip
@data_root_option
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def doctor(cluster: Sequence[Path], data_root: Path | None, plugins: Sequence[Path], as_json: bool) -> int:
    """Show what is installed, which devices there are, and which data and weights are at hand."""
    if cluster:
        return _of_cluster(cluster, as_json)
    from bench import registry
    from bench.cli.diagnosis import examine
    from bench.data import loading

    registry.include_all(plugins)
    findings = examine(data_root or loading.default_root())
    if as_json:
        say(json.dumps(findings, indent=1))
    else:
        for section, lines in findings.items():
            say(section)
            for name, text in lines.items():
                say(f"  {name}: {text}")
    return 0


def _of_cluster(folders: Sequence[Path], as_json: bool) -> int:
    """1 if something will not work."""
    from bench.cli.cluster_diagnosis import examine

    findings = examine(folders)
    if as_json:
        found = {section: list(map(asdict, lines)) for section, lines in findings.items()}
        say(json.dumps(found, indent=1))
    else:
        for section, lines in findings.items():
            say(section)
            for line in lines:
                say(f"  {line.name}: {MARKS[line.verdict]}{line.text}")
    return 1 if any(line.verdict == "bad" for lines in findings.values() for line in lines) else 0
