"""Which cells have a record in a results folder, by one look at the names in it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.errors import RecordError
from bench.planning.plan import Cell
from bench.results import records, soundness
from bench.results.folder import ResultsFolder
from bench.results.records import Record
from bench.storage.keys import file_name

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
        return _stem(cell) in self._stems or self.of(cell) is not None

    def of(self, cell: Cell) -> Record | None:
        """The cell's record, of several one with numbers; None if there is none that can be used."""
        found = (record for _, record in self._found(cell))
        return min(found, key=lambda record: record.status != "ok", default=None)

    def faults(self, cell: Cell, record: Record) -> list[str]:
        """What is wrong with the cell's record and what lies beside it, a line each; ``of`` has found it."""
        return soundness.faults(self._place, record, file_name(cell.slug, record.key))

    def forget(self, cell: Cell) -> None:
        """Remove a record of no use: by its name it would be taken for one."""
        if _stem(cell) in self._stems:
            self._place.record(_stem(cell)).unlink(missing_ok=True)

    def forget_unfinished(self, cell: Cell) -> None:
        """Remove the cell's records that have no numbers."""
        for stem, record in self._found(cell):
            if record.status != "ok":
                self._place.record(stem).unlink(missing_ok=True)

    def _found(self, cell: Cell) -> Iterator[tuple[str, Record]]:
        """Stem and record of the cell, those of this hardware first."""
        own = _stem(cell)
        alike = [stem for stem in self._alike.get(own.rpartition("-")[0], ()) if stem != own]
        for stem in [*([own] if own in self._stems else []), *alike]:
            record = self._load(stem)
            if record is not None and (stem == own or record.cell_key == cell.key):
                yield stem, record

    def _load(self, stem: str) -> Record | None:
        try:
            return records.load(self._place.record(stem))
        except RecordError as error:
            log.warning("%s; the cell is run again", error)
            return None


def _stem(cell: Cell) -> str:
    return Path(cell.record_file).stem
