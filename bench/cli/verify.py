"""``verify``: is a results folder, or a cache, as it was written? It needs neither torch nor a plug-in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from bench.cli.options import FOLDER, verb
from bench.cli.saying import say


@click.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def verify(folder: Path | None, as_json: bool) -> int:
    """Is all of FOLDER as it was written? Exit 0 yes, 1 no, 2 there are no results.

    FOLDER is a results folder [default: the last one run into], whose records, scores, examples, splits, logs
    and kept networks are looked at, or a cache. Whatever is not as it was written is named.
    """
    from bench.planning.stage import kinds
    from bench.results.folder import latest_folder
    from bench.results.verifying import verify

    place = folder or latest_folder()
    found = verify(place, kinds())
    if as_json:
        say(json.dumps({"folder": str(place), **vars(found)}, indent=1))
        return 1 if found.faults else 0
    for fault in found.faults:
        say(fault)
    older = _listed(found.unsealed)
    whole = "nothing is seen to be changed" if older else "as it was written"
    count = f"{len(found.faults)} not as written" if found.faults else whole
    say(f"{place}: {count}; looked at: {_listed(found.whole) or 'nothing else'}")
    if older:
        say(f"{older} of earlier releases have no digest of themselves: they can be read, no more is known")
    if absent := _listed(found.left_out):
        say(f"not in this folder: {absent}")
    return 1 if found.faults else 0


def _listed(counts: Mapping[str, int]) -> str:
    """``45 records, 1 split``."""
    return ", ".join(f"{n} {kind if n > 1 else kind.removesuffix('s')}" for kind, n in counts.items() if n)
