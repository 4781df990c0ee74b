"""``worker``: make records of a grid together with other machines that share its folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import Number, checkpoints_option, grid_options, listed, other_grid_options, verb
from bench.cli.saying import say
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.execution.run import Outcome


@click.command()
@grid_options
@click.option("--out", type=click.Path(path_type=Path), help="Results folder [default: results/<grid name>].")
@click.option("--overwrite", type=click.Choice(["missing", "failed"]), default="missing", show_default=True,
              help="missing: run cells without a record; failed: and those that failed before.")  # fmt: skip
@click.option("--timings", is_flag=True, help="Take the timings of the grid on this machine, while no other "
              "worker of it works; without, they are left to a worker that does.")  # fmt: skip
@click.option("--lease", type=Number(1), default=60.0, show_default=True, metavar="SECONDS",
              help="Others may make what is at work here after so long without a sign of life.")  # fmt: skip
@click.option("--stages", callback=listed, metavar="KIND,...", help="Make stages of these kinds only, "
              "timings is one of them, and end when none is to come [default: all but timings].")  # fmt: skip
@click.option("--patience", type=Number(1), metavar="SECONDS",
              help="End after so long without anything to do [default: wait for others].")  # fmt: skip
@checkpoints_option
@other_grid_options
@verb
def worker(grid: Path, out: Path | None, **options: Any) -> int:
    """Make a share of a grid, with every other worker on the same folders.

    Start it as often as you like, on any machine that sees the same --out and the same cache (BENCH_CACHE):
    each worker makes what no other one does, and ends when nothing is left. One that dies loses what it was
    at; another takes it over.
    """
    from bench.execution import session

    if options["timings"] and options["stages"]:
        raise UsageError("--timings: name timings in --stages instead")
    outcome = session.run(grid, out, executor="workers", **options)
    cells = len(outcome.plan.selected)
    text = f"{outcome.present + outcome.ok} of {cells} cells ok in {outcome.out}"
    made = f"{outcome.stages_run} {'stage' if outcome.stages_run == 1 else 'stages'} made here"
    say(f"{text}; {made}" if outcome.attempted else f"{text}; nothing to do, every cell has a record")
    for label, slugs in (("failed", outcome.failed), ("skipped", outcome.skipped)):
        for slug in slugs:
            say(f"{label}: {slug}")
    left = [f"{count} {share}" for share, count in sorted(outcome.left.items())]
    if outcome.untimed and not options["stages"]:
        say(_timings(outcome, grid, options))
    elif outcome.untimed:
        left.append(f"timings of {_cells(len(outcome.untimed))}")
    if left:
        say(f"left to other workers: {', '.join(left)}")
    if outcome.exit_code:
        say("their records hold the reason; --overwrite failed runs them again", err=True)
    return outcome.exit_code


def _timings(outcome: Outcome, grid: Path, options: dict[str, Any]) -> str:
    """Which timings are left, and who takes them."""
    from bench.results import commands

    count = len(outcome.untimed)
    cells = f"{_cells(count)} {'waits' if count == 1 else 'wait'}"
    roles = (role for cell in outcome.untimed for role, leaf in cell.leaves.items() if leaf.timed)
    what = ", ".join(sorted({role.removeprefix("measure/") for role in roles}))
    if outcome.timers:
        return f"{cells} for {what}, taken by: {'; '.join(outcome.timers)}"
    # The same cells: those of the grid alone would be others.
    names = {"--set": "overrides", "--only": "only", "--skip": "skip", "--include": "plugins"}
    same = [
        part for name, option in names.items() for value in options[option] for part in (name, str(value))
    ]
    same += ["--limit", str(options["limit"])] if options["limit"] else []
    command = commands.take_timings(grid, outcome.out, *same)
    return f"{cells} for {what}; on the machine whose times are wanted, run: {command}"


def _cells(count: int) -> str:
    return f"{count} {'cell' if count == 1 else 'cells'}"
