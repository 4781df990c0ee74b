"""Which cells have a record in a results folder, by one look at the names in it."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

from bench.errors import RecordError
from bench.planning.plan import Cell
from bench.results import records
from bench.results.folder import ResultsFolder
from bench.results.records import Record

log = logging.getLogger(__name__)


class Recorded:
    """The records that are in ``out`` at this moment.

    Args:
        anywhere: whether a record with timings of other hardware is one of the cell, too.
    """

    def __init__(self, out: Path, *, anywhere: bool = False) -> None:
        self._place = ResultsFolder(out)
        self._stems = {path.stem for path in self._place.all_records()}
        self._alike: dict[str, list[str]] = defaultdict(list)
        if anywhere:
            for stem in sorted(self._stems):
                self._alike[stem.rpartition("-")[0]].append(stem)

    def has(self, cell: Cell) -> bool:
        """Whether there is one, of whatever use."""
        return _stem(cell) in self._stems or self._elsewhere(cell) is not None

    def of(self, cell: Cell) -> Record | None:
        """The cell's record; None if there is none, or none that can be used."""
        return self._load(_stem(cell)) if _stem(cell) in self._stems else self._elsewhere(cell)

    def _elsewhere(self, cell: Cell) -> Record | None:
        found = map(self._load, self._alike.get(_stem(cell).rpartition("-")[0], ()))
        return next((record for record in found if record and record.cell_key == cell.key), None)

    def _load(self, stem: str) -> Record | None:
        try:
            return records.load(self._place.record(stem))
        except RecordError as error:
            log.warning("%s; the cell is run again", error)
            return None


def _stem(cell: Cell) -> str:
    return Path(cell.record_file).stem
