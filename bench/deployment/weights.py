"""Where the network of a cell is, or the command that makes it anew."""

from __future__ import annotations

from collections.abc import Iterator

from bench.deployment.cells import FoundCell
from bench.errors import UsageError
from bench.planning.points import KEYS
from bench.planning.stage import Stage
from bench.results import commands
from bench.results.wording import one_line
from bench.stages.kept import found_stage
from bench.storage.store import Store, default_root


def stage_of(cell: FoundCell) -> tuple[Store, Stage]:
    """The store that has a cell's codes and network, and its ``encode`` stage, see ``kept.found_stage``.

    What was kept with the results comes before the cache.

    Raises:
        UsageError: they are in neither; the message says which command makes them anew.
    """
    place = cell.results.home(cell.record)
    stores = Store(place.weights), Store(default_root())
    if found := found_stage(cell.record, stores):
        return found
    if "encode" not in cell.record.stages:
        raise UsageError(
            f"{cell.path}: the record names no stages, as in baselines, which hold numbers alone; name a "
            "cell of a folder that was run into"
        )
    kept, cache = (store.root for store in stores)
    again = commands.run_again(place.path, "--overwrite", "always", *_filters(cell))
    grid = f"GRID: the file of grid '{one_line(cell.results.name)}'"
    raise UsageError(
        f"{cell.path}: its network is neither in {kept} nor in the cache {cache}; make it anew: {again} "
        f"({grid}, where 'report: {{keep: front}}' keeps the networks on its fronts)"
    )


def _filters(cell: FoundCell) -> Iterator[str]:
    """Options of ``run`` that leave this cell alone of its folder, but for others of the same names."""
    others = [record.cell for record in cell.results.records]
    # Of cells without a record nothing is known but that they are others.
    all_keys = bool(cell.results.missing) or cell.record.cell_key not in cell.results.cells
    for key, field in KEYS.items():
        own = getattr(cell.record.cell, field)
        if all_keys or any(getattr(other, field) != own for other in others):
            for value in own if isinstance(own, list) else [own]:
                yield from ("--only", f"{key}={value}")
    if limit := cell.record.cell.protocol.get("limit"):
        yield from ("--limit", str(limit))
