"""``measure``: the cost card of one model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import Number, include_option, verb
from bench.cli.saying import say

if TYPE_CHECKING:
    from bench.types.sizes import ImageSize

LEAST, MOST = 16, 2048


def _input_size(context: click.Context, option: click.Parameter, text: str) -> ImageSize:
    from bench.types.sizes import of_sides, sides

    try:
        height, width = sides(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    for side in (height, width):
        if not LEAST <= side <= MOST:
            raise click.BadParameter(f"{side} is not in the range {LEAST}<=x<={MOST}.")
    return of_sides(height, width)


@click.command()
@click.argument("model")
@click.option("--image-size", callback=_input_size, default="224", show_default=True, metavar="SIZE",
              help="Input side in pixels, or height and width as 320x160.")  # fmt: skip
@click.option("--bits", type=click.IntRange(1, 4096), default=16, show_default=True, help="Code length.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--variant", "variants", multiple=True,
              type=click.Choice(["fp32", "bf16", "channels_last", "compile"]),
              help="Also time the same weights deployed this way.")  # fmt: skip
@click.option("--budget", type=Number(0, included=False), default=10.0, show_default=True,
              metavar="SECONDS", help="How long one timing may take, warm-up included; it ends earlier "
              "where its median is steady.")  # fmt: skip
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def measure(model: str, as_json: bool, device: str, plugins: Sequence[Path], **options: Any) -> None:
    """The cost card of one model with a hash head: parameters, MACs, latency, size."""
    from bench import environment, registry
    from bench.cli.cost_card import cost_card, cost_text

    registry.include_all(plugins)
    card = cost_card(model, device=environment.chosen_device(device), **options)
    say(json.dumps(card, indent=1) if as_json else cost_text(card))
