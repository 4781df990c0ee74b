"""``compare``: what differs between two results, or two methods of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import FOLDER, verb
from bench.cli.saying import say
from bench.errors import BenchError, UsageError


@click.command()
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER, required=False)
@click.option("--a", "only_a", multiple=True, metavar="KEY=VALUE",
              help="Only these cells of A, for example method=none; within one folder without those that --b "
              "names more narrowly.")  # fmt: skip
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
    from bench.results.folder import few, readable_results

    if b is None and not (only_a or only_b):
        raise UsageError("compare needs B, a second results folder, or --a and --b to compare parts of A")
    base = readable_results(a)
    new = base if b is None else readable_results(b)
    faults = few(list(dict.fromkeys([*base.faults, *new.faults])))
    try:
        result = compare(
            base, new, metric=metric, cost=cost, base_only=filters(only_a), new_only=filters(only_b)
        )
    except BenchError as error:
        if not faults:
            raise
        raise UsageError("\n".join([*faults, f"of what is left: {error}"])) from error
    say(compare_text.as_json(result) if as_json else compare_text.text(result))
    if faults:
        raise UsageError("\n".join([*faults, "what is left was compared"]))
