"""``export``: take the student of a cell away."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import FOLDER, Number, data_root_option, include_option, verb
from bench.cli.saying import say

log = logging.getLogger(__name__)


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="[CELL] DIR", type=str)
@click.option("--best", type=FOLDER, metavar="RESULTS",
              help="In place of CELL: the recommended student of this results folder.")  # fmt: skip
@click.option("--within", type=Number(0), metavar="X",
              help="With --best: how much less accurate than the best it is [default: 0.02].")  # fmt: skip
@click.option("--cost", metavar="METRIC",
              help="With --best: what it costs least of [default: macs].")  # fmt: skip
@click.option("--precision", type=click.Choice(["fp32", "int8"]), default="fp32", show_default=True,
              help="Of the network; int8 is calibrated on training images.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=100), metavar="N",
              help="Compare codes of at most N queries and N database images [default: all].")  # fmt: skip
@click.option("--tolerance", nargs=2, type=Number(0), metavar="BITS ACCURACY", default=None,
              help="Share of bits that may differ, and how far the accuracy may be from the cell's [default: "
              "0.001 0.005; int8: 0.1 0.02; of cells in bf16: 0.02 0.02].")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace an older bundle in DIR.")
@click.option("--zip", "zipped", is_flag=True, help="Also pack it into DIR.zip.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_root_option
@include_option
@verb
def export(places: Sequence[str], best: Path | None, within: float | None, cost: str | None, as_json: bool,
           data_root: Path | None, tolerance: tuple[float, float] | None, plugins: Sequence[Path],
           **options: object) -> None:  # fmt: skip
    """Write the student of a cell to the folder DIR: codes from image bytes, without torch.

    CELL is a record, or its key or readable name, as results/quick/NAME or among all results. The bundle
    encodes the cell's images before anybody has it; one that makes other codes is an error, and not written.
    """
    from bench.deployment.cells import find_cell
    from bench.results import commands
    from bench.results.catalogue import SIZES
    from bench.results.fronts import WITHIN

    if len(places) != (1 if best else 2):
        raise click.UsageError("give CELL and DIR, or --best RESULTS and DIR")
    if best is None and (within is not None or cost is not None):
        raise click.UsageError("--within and --cost choose the student of --best; leave them out")
    within, cost = WITHIN if within is None else within, cost or SIZES[0]
    cell, folder = find_cell(None if best else places[0], best, within, cost), Path(places[-1])
    log.info("%s\n%s", cell.path, cell.why)
    for sentence in cell.doubts:
        log.warning("warning: %s", sentence)

    # Torch is imported here and not above: a typo should cost a second.
    from bench import environment, registry
    from bench.data import loading
    from bench.deployment.card import agreement_lines
    from bench.deployment.export import ExportOptions
    from bench.deployment.export import export as make
    from bench.deployment.proof import Tolerance

    registry.include_all(plugins)
    asked = ExportOptions(
        data_root=data_root or loading.default_root(),
        tolerance=Tolerance(*tolerance) if tolerance else None,
        threads=environment.default_threads(),
        **options,  # type: ignore[arg-type]
    )
    exported = make(cell, folder, asked)
    if as_json:
        say(json.dumps({"bundle": str(folder), **exported.bundle.to_json()}, indent=1))
        return
    say(f"{folder}: {exported.bundle.name}")
    for name, found in agreement_lines(exported.agreement, exported.bundle.bits).items():
        say(f"  {name}: {found}")
    if exported.packed:
        say(f"the same in one file: {exported.packed}")
    log.info("encode images with it: %s", commands.encode(folder))
