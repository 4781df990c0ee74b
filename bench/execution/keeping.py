"""Copies of networks and codes beside the records, so that the cells that matter outlive the cache."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.planning.schema import Keep
from bench.planning.stage import TRUNK
from bench.results.folder import Results, ResultsFolder, load_results
from bench.results.fronts import front_of
from bench.results.records import Record
from bench.results.summary import summarise
from bench.stages.kept import found_stage
from bench.storage.artifact_index import INDEX
from bench.storage.store import Store

log = logging.getLogger(__name__)

#: Stages whose artifacts may be kept of a cell.
_KINDS = ("distill", "finetune", "fit", "encode")


@dataclass(frozen=True)
class Kept:
    """What lies in ``folder`` now: networks and codes of so many cells."""

    folder: Path
    cells: int
    bytes: int


def keep(which: Keep, cache: Store, out: Path) -> Kept | None:
    """Make the kept weights of a results folder those of the cells that the grid wants kept.

    What is there already is not copied again, and what is wanted no more is removed. Whatever goes wrong is
    logged: by then a run has done its work.

    Args:
        which: none, what is on the fronts, or all; with none, what is there stays as it is.
        cache: where networks and codes come from.
        out: the results folder.

    Returns:
        What is kept; None where nothing is to be, or where it went wrong.
    """
    if which == "none":
        return None
    place = Store(ResultsFolder(out).weights)
    try:
        with cache.lock(place.root):  # another run into the folder must not remove what this one keeps
            return _keep(which, cache, place, load_results(out))
    except OSError as error:
        log.warning("warning: %s: weights are not kept: %s", place.root, error.strerror or error)
    except BenchError as error:
        log.warning("warning: weights are not kept: %s", error)
    return None


def _keep(which: Keep, cache: Store, place: Store, results: Results) -> Kept:
    finished = [record for record in results.records if record.status == "ok"]
    wanted = finished if which == "all" else list(_on_fronts(results))
    lost = [record for record in wanted if not (_is_kept(record, place) or _copied(record, cache, place))]
    if lost:
        log.warning(
            "warning: %d of %d networks are not kept, as the cache does not have them any more, %s for one; "
            "--overwrite always makes them anew",
            len(lost),
            len(wanted),
            results.stems[lost[0].key],
        )
    keys = {record.stages[kind].key for record in wanted for kind in _KINDS if kind in record.stages}
    size = 0
    for path in sorted(place.root.glob(f"*/*/{INDEX}")):
        index = place.index(path.parent) or {}
        if index.get("key") in keys:
            size += sum(file["bytes"] for file in index["files"].values())
        else:
            shutil.rmtree(path.parent)
    return Kept(place.root, len(wanted) - len(lost), size)


def _on_fronts(results: Results) -> Iterator[Record]:
    """All seeds of the rows on the fronts of the grid's charts, and of the students that are recommended."""
    seen = set()
    for group in summarise(results).groups:
        for pair in results.pareto:
            if front := front_of(group, *pair):
                for row in (*front.standing("front"), *filter(None, [front.recommended])):
                    yield from (record for record in row.records if record.key not in seen)
                    seen |= {record.key for record in row.records}


def _is_kept(record: Record, place: Store) -> bool:
    """Whether everything of a cell is there by name and size; checksums are looked at by who uses it."""
    encode = _kept_index(place, "encode", record.stages["encode"].key) if "encode" in record.stages else None
    return encode is not None and all(
        _kept_index(place, *one) for one in encode["inputs"].items() if one[0] != TRUNK
    )


def _kept_index(place: Store, kind: str, key: str) -> dict[str, Any] | None:
    """The index of an artifact whose files have the sizes that it says."""
    folder = place.find(kind, key)
    index = folder and place.index(folder)
    if not folder or not index:
        return None
    files = ((folder / name, file["bytes"]) for name, file in index["files"].items())
    return index if all(path.is_file() and path.stat().st_size == size for path, size in files) else None


def _copied(record: Record, cache: Store, place: Store) -> bool:
    """Copy the network and the codes of a cell; whether the cache has them."""
    found = found_stage(record, [cache])
    if found is None:
        return False
    _, encode = found
    # The codes last: what they were made from is there whenever they are.
    for stage in (*encode.inputs.values(), encode):
        cache.copy(cache.path(*stage.place), place)
    return True
