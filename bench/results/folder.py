"""A results folder: where everything in it lies, and how it is read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.errors import RecordError, UsageError, did_you_mean
from bench.results import catalogue, records, soundness
from bench.results.grid_index import GridIndex
from bench.results.records import Examples, Record
from bench.storage import atomic
from bench.storage.keys import file_name, readable
from bench.types import MetricEntry

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Where folders are made, and looked for, if nobody says where.
HOME = Path("results")
#: Files that a message names.
MOST_LINES = 10


@dataclass(frozen=True)
class ResultsFolder:
    """Where things lie below ``path``, whether they are there or not.

    What belongs to one cell goes by its ``stem``, the name of its record without ending.
    """

    path: Path

    @classmethod
    def of_grid(cls, name: str) -> ResultsFolder:
        """The folder of the grid called ``name``, if nobody says where."""
        return cls(HOME / name)

    @property
    def index(self) -> Path:
        """Which cells the present grid consists of; a folder without it holds no results."""
        return self.path / "grid.json"

    @property
    def report(self) -> Path:
        """The folder of its report."""
        return self.path / "report"

    @property
    def training_speed(self) -> Path:
        """What training costs beside the plain way, where somebody has measured it."""
        return self.path / "perf_train.json"

    @property
    def weights(self) -> Path:
        """Networks and codes of the cells whose weights the grid keeps, laid out like a store."""
        return self.path / "weights"

    def record(self, stem: str) -> Path:
        """The record of a cell."""
        return self.path / "records" / f"{stem}.json"

    def scores(self, stem: str) -> Path:
        """The accuracy that a cell is judged by, query by query."""
        return self.path / "per_query" / f"{stem}.safetensors"

    def examples(self, stem: str, ending: str = ".json") -> Path:
        """Queries of a cell with their first results: ``.json`` says which, ``.webp`` shows them."""
        return self.path / "examples" / f"{stem}{ending}"

    def log(self, stem: str) -> Path:
        """What was logged, of a cell or of a whole run."""
        return self.path / "logs" / f"{stem}.log"

    @property
    def failures(self) -> Path:
        """Why stages have failed, for other workers that need them."""
        return self.path / "failures"

    @property
    def jobs(self) -> Path:
        """Logs of workers that a cluster was asked for, and which those are."""
        return self.path / "jobs"

    @property
    def at_work(self) -> Path:
        """Claims of the runs and workers that are at work on it; there while they are."""
        return self.path / "at-work"

    def split(self, name: str) -> Path:
        """The manifest of a split."""
        return self.path / "splits" / f"{name}.json"

    def beside(self, record: Record, stem: str) -> dict[str, Path]:
        """What may lie beside a record and have a digest in it, by the name that it goes by there."""
        protocol = record.cell.protocol
        return {
            "per_query": self.scores(stem),
            "split": self.split(file_name(str(protocol.get("split")), str(protocol.get("manifest")))),
            "examples": self.examples(stem),
            "pictures": self.examples(stem, ".webp"),
            "log": self.log(stem),
        }

    @property
    def written(self) -> list[Path]:
        """The folders that runs write files into while they are at work on it."""
        files = (self.record(""), self.scores(""), self.examples(""), self.log(""))
        return [*(file.parent for file in files), self.failures]

    def all_records(self) -> list[Path]:
        """Every record that is there, in the order of names."""
        return _beside(self.record("*"))

    def all_scores(self) -> list[Path]:
        """Every file of scores by query that is there, in the order of names."""
        return _beside(self.scores("*"))

    def all_logs(self) -> list[Path]:
        """Every log that is there, of cells and of whole runs, in the order of names."""
        return _beside(self.log("*"))


def _beside(pattern: Path) -> list[Path]:
    return sorted(pattern.parent.glob(pattern.name))


@dataclass(frozen=True)
class Results:
    """One results folder, or several as one: the grid that was run and its records.

    Attributes:
        folder: where it was read from; of several, the first.
        name: the grid's name.
        pareto: pairs of axes to chart, accuracy first, from the grid.
        curves: accuracies with what they are drawn over, see ``bench.results.curves``.
        records: those of the present grid, in file-name order.
        missing: slugs of cells that have no record yet.
        left_out: what other records there are, in words -> how many.
        stems: record key -> name of the record's file, without ``.json``.
        cells: cell key -> slug of the present grid.
        homes: record key -> folder, where that is not ``folder``.
        descriptions: what the grid is for, of several each; empty where it does not say.
        faults: what cannot be believed and is left out: file, what is wrong with it, and the cure.
    """

    folder: Path
    name: str
    pareto: list[tuple[str, str]]
    records: list[Record]
    missing: list[str]
    left_out: dict[str, int] = field(default_factory=dict)
    stems: dict[str, str] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)
    descriptions: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    curves: list[tuple[str, str]] = field(default_factory=list)

    def __repr__(self) -> str:
        """One line: records are long."""
        count = Counter(record.status for record in self.records)
        ended = ", ".join(f"{number} {status}" for status, number in sorted(count.items())) or "no records"
        return f"<{type(self).__name__} {self.name!r} in {', '.join(map(str, self.folders))}: {ended}>"

    @property
    def folders(self) -> list[Path]:
        """Every folder that records come from, ``folder`` first."""
        return list(dict.fromkeys([self.folder, *self.homes.values()]))

    def home(self, record: Record) -> ResultsFolder:
        """The folder that a record comes from."""
        return ResultsFolder(self.homes.get(record.key, self.folder))

    def origins(self, records: Iterable[Record]) -> str:
        """The folders that ``records`` come from; empty where there is only one."""
        if len(set(self.homes.values())) < 2:
            return ""
        return ", ".join(dict.fromkeys(str(self.homes[record.key]) for record in records))

    def path(self, record: Record) -> Path:
        """The file of a record."""
        return self.home(record).record(self.stems[record.key])

    def per_query(self, record: Record) -> dict[str, NDArray[np.float64]]:
        """Scores by query, float64 (q,) each, by full metric name; empty where none were kept.

        They are kept as float32; a query without an answer has NaN.

        Raises:
            RecordError: the file is damaged, or is not what the record knows.
        """
        return soundness.scores(self.home(record), record, self.stems[record.key])

    def examples(self, record: Record) -> Examples | None:
        """Queries with their first results; None where none were kept.

        Raises:
            RecordError: the file is damaged, or is not what the record knows.
        """
        content = self._beside(record, "examples")
        try:
            return None if content is None else Examples.model_validate_json(content)
        except ValidationError as error:
            path = self.home(record).examples(self.stems[record.key])
            raise RecordError(f"{path}: damaged; delete it and run again") from error

    def sprite(self, record: Record) -> bytes:
        """The pictures of ``examples``, a WebP image; empty where there are none.

        Raises:
            RecordError: the file is not what the record knows.
        """
        return self._beside(record, "pictures") or b""

    def log(self, record: Record) -> str:
        """What was logged while the cell was run; empty where nothing is left.

        Raises:
            RecordError: the file is not what the record knows.
        """
        return (self._beside(record, "log") or b"").decode("utf-8", "replace")

    def split(self, record: Record) -> bytes:
        """The manifest of the split that a cell was judged on; empty where it was not kept.

        Raises:
            RecordError: the file is not what the record knows.
        """
        return self._beside(record, "split") or b""

    def noted(self, read: Callable[[Record], T], record: Record, otherwise: T) -> T:
        """What ``read`` finds of a record; ``otherwise``, and one more of ``faults``, where it is damaged."""
        try:
            return read(record)
        except RecordError as error:
            self.faults.append(str(error))
            return otherwise

    def _beside(self, record: Record, part: str) -> bytes | None:
        return soundness.content(self.home(record), record, self.stems[record.key], part)


def save_index(folder: Path, name: str, pareto: list[tuple[str, str]], cells: dict[str, str],
               description: str = "", metrics: Sequence[MetricEntry] = (),
               curves: Sequence[tuple[str, str]] = ()) -> None:  # fmt: skip
    """Write ``grid.json`` of the present grid."""
    index = GridIndex.of(name, pareto, cells, description, metrics, curves)
    atomic.write_changed(ResultsFolder(folder).index, index.text())


def load_results(folder: Path) -> Results:
    """Read a results folder written by ``run``, all of it.

    Raises:
        UsageError: there is no such folder, or nothing was run into it.
        RecordError: some of its files cannot be believed, a line each.
    """
    results = readable_results(folder)
    if results.faults:
        raise RecordError("\n".join(few(results.faults)))
    return results


def readable_results(folder: Path) -> Results:
    """Read what can be believed of a results folder; ``faults`` says what cannot.

    Raises:
        UsageError: there is no such folder, or nothing was run into it.
        RecordError: the grid that it is of cannot be read.
    """
    place = ResultsFolder(folder)
    if not place.index.is_file():
        there = folder.is_dir()
        what = f"no results in it (no {place.index.name})" if there else "no such folder"
        make = f"; make it with: python -m bench run --grid GRID --out {folder}"
        cure = make if there else similar(folder) or make
        raise UsageError(f"{folder}: {what}{cure}")
    index = grid_index(place)
    _learn(index.metrics, str(place.index.resolve()))
    cells, faults = index.cells, []
    found: dict[str, Record] = {}
    stems = [path.stem for path in place.all_records()]
    for stem in stems:
        try:
            record = records.load(place.record(stem))
            soundness.check(place, record, stem)
            found[stem] = record
        except RecordError as error:
            faults.append(str(error))
    current = {stem: record for stem, record in found.items() if record.cell_key in cells}
    present = {record.cell_key for record in current.values()}
    unknown = {_slug(stem) for stem in stems if stem not in found}
    return Results(
        folder=folder,
        name=index.name,
        pareto=index.pareto,
        records=list(current.values()),
        missing=[slug for key, slug in cells.items() if key not in present and readable(slug) not in unknown],
        left_out=_left_out([stem for stem in found if stem not in current], cells),
        stems={record.key: stem for stem, record in current.items()},
        cells=cells,
        descriptions=[index.description] if index.description else [],
        faults=faults,
        curves=index.curves,
    )


def few(lines: Sequence[str]) -> list[str]:
    """The first of many lines, and how many more there are."""
    rest = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"and {rest} more"] if rest > 0 else [])]


def grid_index(place: ResultsFolder) -> GridIndex:
    """What ``grid.json`` says.

    Raises:
        RecordError: it cannot be believed.
    """
    try:
        return GridIndex.model_validate(records.opened(place.index.read_bytes()))
    except ValidationError as error:
        raise RecordError(f"{place.index}: {records.fault(error)}; run the grid again") from error
    except records.ChangedError as error:
        raise RecordError(f"{place.index}: {error}; run the grid again") from error
    except records.UNREADABLE as error:
        raise RecordError(f"{place.index}: not readable ({error}); run the grid again") from error


def _slug(stem: str) -> str:
    """The readable part of a record's name."""
    return stem.rpartition("-")[0]


def similar(path: Path) -> str:
    """``; did you mean 'quick'?``, of the results folders and JSON files beside ``path``, if any is alike."""
    indices = path.parent.glob(str(ResultsFolder(Path("*")).index))
    there = [*(index.parent for index in indices), *path.parent.glob("*.json")]
    return did_you_mean(path.name, (one.name for one in there))


def _learn(declared: list[MetricEntry], source: str) -> None:
    """Make known what a plug-in said of its metrics when it was run; a later version may say otherwise."""
    for one in declared:
        if differing := catalogue.contradiction(one, source):
            log.warning("warning: %s; it is shown as that says", differing)
        else:
            catalogue.learn([one], source)


def index_of(folder: Path) -> GridIndex | None:
    """What the results in a folder are of; None where there are none, or none that can be read."""
    try:
        return grid_index(ResultsFolder(folder))
    except RecordError:
        return None


def latest_folder() -> Path:
    """The results folder below ``HOME`` that was run into last.

    Raises:
        UsageError: there is none.
    """
    if not (folders := all_folders()):
        raise UsageError("no results folder here; first: python -m bench run --grid grid.yaml")
    return folders[-1]


def all_folders() -> list[Path]:
    """The results folders below ``HOME``, in the order in which they were run into."""
    indices = HOME.glob(str(ResultsFolder(Path("*")).index))
    return [index.parent for index in sorted(indices, key=lambda index: index.stat().st_mtime)]


def _left_out(stems: list[str], cells: dict[str, str]) -> dict[str, int]:
    """Why records are none of the present grid's, as far as the names of their files tell."""
    present = {readable(slug) for slug in cells.values()}
    reasons = (
        "of an earlier version of a cell (its parameters, data or plug-ins were others)"
        if _slug(stem) in present
        else "of cells that the grid does not have (another grid's, or taken out of it)"
        for stem in stems
    )
    return dict(Counter(reasons))
