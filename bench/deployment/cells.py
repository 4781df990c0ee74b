"""Which cell is meant, by what a person types or by the advice that a report gives."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.comparison.choosing import require_metric
from bench.errors import BenchError, UsageError, did_you_mean
from bench.report.tables.columns import nobody, recommendation
from bench.results import commands, comparable, records
from bench.results.catalogue import SIZES, base_name
from bench.results.folder import HOME, Results, ResultsFolder, all_folders, load_results
from bench.results.fronts import WITHIN, Front, front_of
from bench.results.records import Record
from bench.results.summary import summarise
from bench.results.wording import one_line
from bench.storage.keys import KEY_DIGITS, readable

log = logging.getLogger(__name__)

#: Digits of a key that a person must type at least.
LEAST_DIGITS = 6
#: Cells that a message lists.
LISTED = 5


@dataclass(frozen=True)
class FoundCell:
    """The cell that is meant.

    Attributes:
        results: the folder that it stands in, with its record alone where the present grid has no such cell.
        record: of a cell that has finished.
        why: why this one, in a sentence.
    """

    results: Results
    record: Record
    why: str

    @property
    def path(self) -> Path:
        """The file of its record."""
        return self.results.path(self.record)

    @property
    def doubts(self) -> list[str]:
        """What a person must know to trust its numbers, a sentence each."""
        sentences = [one_line(sentence) for sentence in self.record.warnings]
        if comparable.limited(self.record.cell.protocol):
            sentences.append("it saw only a part of the data (--limit): its numbers compare with nothing")
        return sentences


def find_cell(
    cell: str | None, best: Path | None = None, within: float = WITHIN, cost: str = SIZES[0]
) -> FoundCell:
    """The cell that ``cell`` names, or the recommended student of the folder ``best``.

    A cell goes by the file of its record; by the first six digits or more of its record's or its own key; or
    by its readable name, that of the record's file with or without the digits at its end. Keys and names are
    looked up in the folder before them, ``results/quick/NAME``, or else in all results folders below
    ``results``.

    Args:
        cell: None where ``best`` is given.
        best: a results folder.
        within: how much less accurate than the best student the recommended one may be.
        cost: what the recommended one costs least of, full or short name of a metric.

    Raises:
        UsageError: nothing, more than one thing, or a cell without a network is meant.
        RecordError: a record cannot be read.
    """
    if (cell is None) == (best is None):
        raise UsageError("name one cell, or the recommended student by --best RESULTS, and not both")
    found = _best(best, within, cost) if best is not None else _named(str(cell))
    record = found.record
    if record.status != "ok":
        why, cure = "", ""
        if record.error:
            why = one_line(f": {record.error.stage}: {record.error.message}")
            again = commands.run_again(found.results.home(record).path, "--overwrite", "failed")
            cure = f"; run it again: {again}"
        raise UsageError(f"{found.path}: {record.status}, so there is no network{why}{cure}")
    return found


# -- The recommended student ---------------------------------------------------------------------


def _fronts(results: Results, within: float, cost: str) -> list[Front]:
    """Of the groups that have that cost."""
    fronts = (front_of(group, "map", cost, within) for group in summarise(results).groups)
    return [front for front in fronts if front]


def offers(results: Results) -> list[str]:
    """The recommended student of each group of comparable cells, each with the command that takes it away."""
    measured = {base_name(name) for record in results.records for name in record.metrics}
    cost = next((name for name in SIZES if name in measured), "")
    fronts = _fronts(results, WITHIN, cost) if cost else []
    found = [(front, front.recommended.records) for front in fronts if front.recommended]
    if len(found) == 1:
        ((front, seeds),) = found
        options = () if cost == SIZES[0] else ("--cost", cost)
        best = commands.export(results, seeds[0]) and commands.export_best(results.folder, *options)
        return [_offer(front, best)]
    lines = [
        f"{front.group.title}: {_offer(front, commands.export(results, seeds[0]))}" for front, seeds in found
    ]
    return lines if len(lines) <= LISTED else [*lines[:LISTED], "more recommended students: see the report"]


def _offer(front: Front, command: str) -> str:
    sentence = recommendation(front)
    return f"{sentence.removesuffix('.')}; take it away: {command}" if command else sentence


def _best(folder: Path, within: float, cost: str) -> FoundCell:
    results = load_results(folder)
    finished = [record for record in results.records if record.status == "ok"]
    if not finished:
        raise UsageError(f"{folder}: no cell has finished, so there is no student to recommend")
    require_metric(cost, finished, accuracy=False)
    fronts = _fronts(results, within, cost)
    found = [(front, front.recommended.records) for front in fronts if front.recommended]
    if not found:
        why = "; ".join(dict.fromkeys(map(nobody, fronts)))
        raise UsageError(
            f"{folder}: no student is recommended: {why}; name a cell nevertheless, as in: "
            f"{commands.export(results, finished[0])}"
        )
    if len(found) > 1:
        lines = [f"{front.group.title}: {commands.export(results, seeds[0])}" for front, seeds in found]
        raise UsageError(
            f"{folder}: {len(found)} groups of comparable cells have a recommended student each; take one: "
            f"{'; '.join(_few(lines))}"
        )
    ((front, seeds),) = found
    # Which seed is best by its queries is no reason to take it: that would be a choice on the query set.
    first, of = seeds[0].cell.seed, len(seeds)
    lowest = f" Seed {first}, the lowest of {of}: none is chosen by its own accuracy." if of > 1 else ""
    return FoundCell(results, seeds[0], recommendation(front) + lowest)


# -- By file, key or name ------------------------------------------------------------------------


def _named(text: str) -> FoundCell:
    path = Path(text)
    if path.is_file():
        return _of_file(path)
    if ResultsFolder(path).index.is_file():
        best = commands.export_best(path)
        raise UsageError(f"{text}: a results folder; name a cell of it, or take the recommended one: {best}")
    folder, name = path.parent, path.name.removesuffix(".json")
    if folder == ResultsFolder(folder.parent).record("").parent:
        folder = folder.parent  # a record that is not there, but perhaps one of nearly the same name
    several = [load_results(folder)] if folder != Path() else list(_everywhere())
    matching = [(results, *found) for results in several for found in _matching(results, name)]
    if not matching:
        raise UsageError(_unknown(text, name, several))
    if len(matching) > 1:
        paths = [commands.typed(results.path(record)) for results, record, _ in matching]
        raise UsageError(
            f"'{one_line(text)}' may be each of {len(paths)} cells; give more of it, or one of: "
            f"{', '.join(_few(paths))}"
        )
    return FoundCell(*matching[0])


def _of_file(path: Path) -> FoundCell:
    record, folder = records.load(path), path.parent.parent
    if path.parent != ResultsFolder(folder).record("").parent or not ResultsFolder(folder).index.is_file():
        raise UsageError(f"{path}: a record in no results folder; name a cell of a folder that was run into")
    results = load_results(folder)
    if results.stems.get(record.key) == path.stem:
        return FoundCell(results, record, "The record that was named.")
    why = "The record that was named, which is of no cell of the present grid."
    return FoundCell(replace(results, records=[record], stems={record.key: path.stem}), record, why)


def _everywhere() -> Iterator[Results]:
    """All results folders below ``HOME`` that can be read."""
    if not (folders := all_folders()):
        raise UsageError(f"no results folder below {HOME}; give the path of a record, or FOLDER/NAME")
    for folder in folders:
        try:
            yield load_results(folder)
        except BenchError as error:
            log.warning("warning: not searched: %s", error)


def _matching(results: Results, name: str) -> Iterator[tuple[Record, str]]:
    """The records that go by ``name``, and why."""
    digits = re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},}}", name.lower())
    for record in results.records:
        keys = {"record": record.key, "cell": record.cell_key}
        if readable(name) in _names(results, record):
            yield record, "The cell of that name."
        elif digits and (whose := [kind for kind, key in keys.items() if key.startswith(name.lower())]):
            yield record, f"The cell whose {whose[0]} key begins with {name.lower()}."


def _names(results: Results, record: Record) -> tuple[str, str]:
    """What a cell is called: the file of its record, with the digits at its end and without."""
    stem = results.stems[record.key]
    return stem, re.sub(rf"-[0-9a-f]{{{KEY_DIGITS}}}$", "", stem)


def _unknown(text: str, name: str, several: Sequence[Results]) -> str:
    where = commands.typed(several[0].folder) if len(several) == 1 else f"{len(several)} folders below {HOME}"
    if any(readable(name) == readable(slug) for results in several for slug in results.missing):
        return f"'{one_line(text)}': this cell has no record yet; run its grid first"
    names = list(dict.fromkeys(_names(one, record)[1] for one in several for record in one.records))
    around = [whole for whole in names if readable(name) in whole]
    hint = f"; these contain it: {', '.join(_few(around))}" if around else did_you_mean(readable(name), names)
    rule = f"; names are those of record files, keys have {LEAST_DIGITS} digits or more of 0-9a-f"
    return f"no cell of {where} is called '{one_line(name)}'{hint or rule}"


def _few(texts: Sequence[str]) -> list[str]:
    rest = len(texts) - LISTED
    return [*texts[:LISTED], *([f"and {rest} more"] if rest > 0 else [])]
