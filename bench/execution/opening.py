"""How a folder becomes the results folder of a plan, beside or in place of what it was, and tidy."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError
from bench.planning.plan import Plan
from bench.results.folder import ResultsFolder, index_of
from bench.results.grid_index import GridIndex
from bench.storage import atomic
from bench.storage.claims import Claims
from bench.storage.left_behind import tidy_files, tidy_store
from bench.storage.store import Store

#: Seconds after which nobody is still writing a small file into a folder that it is not at work on yet.
SETTLED = 60.0


def open_folder(plan: Plan, out: Path, *, replace: bool, add: bool) -> None:
    """Make ``out`` the results folder of a plan; what it says already is not written again.

    Args:
        replace: whether it may have been that of another grid, whose cells no report shows then.
        add: whether the cells of the plan come to those that it has.

    Raises:
        UsageError: it cannot be written, or is another grid's.
    """
    index, earlier = _index(plan), index_of(out)
    if earlier is not None and set(earlier.grids) - {plan.name} and not replace:
        if not add:
            raise UsageError(
                f"{out}: the results of {_other(earlier, plan)}; name another --out, or pass --add, which "
                "shows the cells of both, or --replace-grid, which leaves its records there and out of all "
                "reports"
            )
        index = earlier.with_grid(index)
    elif earlier is not None and add:  # of an earlier form of this grid
        index = earlier.with_grid(index)
    atomic.write_changed(ResultsFolder(out).index, index.text())
    for name, text in splits(plan):
        atomic.write_changed(ResultsFolder(out).split(name), text)


def splits(plan: Plan) -> Iterator[tuple[str, str]]:
    """Name and text of the manifest of every split."""
    for name, manifest in plan.manifests.items():
        yield name, json.dumps(manifest) + "\n"


def _index(plan: Plan) -> GridIndex:
    cells = {cell.key: cell.slug for cell in plan.cells}
    return GridIndex.of(plan.name, plan.pareto, cells, plan.description, plan.entries, plan.curves)


def _other(earlier: GridIndex, plan: Plan) -> str:
    """Whose the results are that a folder has, for who wants to put those of ``plan`` there."""
    named = " and ".join(f"'{name}'" for name in earlier.grids)
    if plan.name in earlier.grids:
        return f"several grids, {named}, and not of '{plan.name}' alone"
    return f"another grid, {named}, and not of '{plan.name}'"


def tidy(out: Path, store: Store, *, alone: bool) -> None:
    """Remove what killed runs have left in the results and in the cache, as far as that may be written."""
    place = ResultsFolder(out)
    older_than = place.index.stat().st_mtime - SETTLED
    tidy_files([place.path, place.split("").parent], older_than)
    if alone:
        tidy_files(place.written)
        with contextlib.suppress(OSError):
            Claims(place.at_work, store.claims.lease).clear()
            place.at_work.rmdir()
    with contextlib.suppress(UsageError):
        tidy_store(store)
