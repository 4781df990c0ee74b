"""Whether all of a results folder is as it was written: its grid, records, and what lies beside them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import RecordError, UsageError
from bench.results import records, soundness
from bench.results.folder import ResultsFolder, grid_index, similar
from bench.results.records import Record
from bench.storage import sealed
from bench.storage.inspection import inspect, is_store
from bench.storage.keys import KEY_DIGITS

#: What lies beside a record, in words.
_PARTS = {
    "per_query": "scores by query",
    "split": "splits",
    "examples": "examples",
    "pictures": "pictures",
    "log": "logs",
}


@dataclass
class Verified:
    """What was found of a folder.

    Attributes:
        whole: kind of file in words -> how many are as they were written.
        unsealed: kind of file -> how many of those hold no digests, as earlier releases wrote them.
        left_out: what records have digests of and the folder has no place for, as in a copy without logs.
        faults: file, what is wrong with it, and the cure.
    """

    whole: Counter[str] = field(default_factory=Counter)
    unsealed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def verify(folder: Path, kinds: Iterable[str]) -> Verified:
    """Look at every file of a results folder, or of a cache, that has a digest somewhere.

    Args:
        kinds: of stages, whose artifacts a cache has.

    Raises:
        UsageError: it is neither.
    """
    place, found, kinds = ResultsFolder(folder), Verified(), tuple(kinds)
    if place.all_records() or os.path.lexists(place.index):
        _results(place, found)
        _artifacts(place.weights, kinds, found)
    elif is_store(folder, kinds):
        _artifacts(folder, kinds, found)
    else:
        what = "neither results nor a cache" if folder.is_dir() else "no such folder"
        raise UsageError(f"{folder}: {what}{similar(folder) or '; give the folder of a run'}")
    return found


def _artifacts(root: Path, kinds: Iterable[str], found: Verified) -> None:
    there = inspect(root, kinds)
    found.whole["artifacts"] += there.whole
    found.unsealed["artifacts"] += there.unsealed
    found.faults += there.faults


def _results(place: ResultsFolder, found: Verified) -> None:
    try:
        grid_index(place)
        _count(place.index, "grids", found)
    except RecordError as error:
        found.faults.append(str(error))
    splits: set[Path] = set()
    for stem in sorted(_left_alone(place)):
        found.faults.append(f"{place.record(stem)}: {records.LOST}; {records.AGAIN}")
    for path in place.all_records():
        try:
            record = records.load(path)
        except RecordError as error:
            found.faults.append(str(error))
            continue
        _count(path, "records", found)
        faults = soundness.faults(place, record, path.stem)
        found.faults += [fault for fault in faults if fault not in found.faults]  # a split is many records'
        _count_beside(place, record, path.stem, splits, found)


def _left_alone(place: ResultsFolder) -> set[str]:
    """Stems of what lies beside a record that is not there; logs of whole runs go by other names."""
    beside = [*place.all_scores(), *place.all_logs()]
    named = {path.stem for path in beside if re.search(rf"-[0-9a-f]{{{KEY_DIGITS}}}$", path.stem)}
    return named - {path.stem for path in place.all_records()}


def _count(path: Path, kind: str, found: Verified) -> None:
    found.whole[kind] += 1
    found.unsealed[kind] += sealed.state(path.read_bytes()) == "unsealed"


def _count_beside(
    place: ResultsFolder, record: Record, stem: str, splits: set[Path], found: Verified
) -> None:
    for part, path in place.beside(record, stem).items():
        if part not in record.beside or path in splits:
            continue
        try:
            content = soundness.content(place, record, stem, part)
        except RecordError:
            continue
        (found.left_out if content is None else found.whole)[_PARTS[part]] += 1
        if part == "split":
            splits.add(path)
