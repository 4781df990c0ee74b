"""Whether what lies beside a record is what it was when that was written, and says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import RecordError
from bench.results import catalogue, records
from bench.results.entries import ENTRIES
from bench.results.records import Record
from bench.storage.sealed import read_bytes, sha256, unix_lines

if TYPE_CHECKING:
    from bench.results.folder import ResultsFolder

#: How far the mean of scores that are kept as float32 may be from what they were.
ROUNDED = 1e-5

#: Of what lies beside a record: whose line ends may become others on the way.
_TEXTS = {"split", "examples", "log"}

#: Of what lies beside a record: what no number comes of, so that whoever copies results may leave it out.
_FOR_EYES = {"examples", "pictures", "log"}

#: Accuracies of the suite are means over queries; those of others may be anything.
_MEANS = {entry.name for entry in ENTRIES if entry.role == "accuracy"}


def content(place: ResultsFolder, record: Record, stem: str, part: str) -> bytes | None:
    """What lies beside a record; None where nothing was kept, or its kind was left out as a whole.

    Args:
        part: a name of ``ResultsFolder.beside``.

    Raises:
        RecordError: it cannot be read, is lost, or is not what it was when the record was written.
    """
    path, digest = place.beside(record, stem)[part], record.beside.get(part)
    try:
        found = read_bytes(path)
    except FileNotFoundError as error:
        emptied = part in _FOR_EYES and path.parent.exists() and not any(path.parent.iterdir())
        if digest is None or emptied or not path.parent.exists():
            return None
        raise RecordError(f"{path}: {records.LOST}; {records.AGAIN}") from error
    except OSError as error:
        raise RecordError(f"{path}: damaged ({error.strerror}); delete it and run again") from error
    as_written = sha256(found) == digest or (part in _TEXTS and sha256(unix_lines(found)) == digest)
    if digest is not None and not as_written:
        raise RecordError(f"{path}: {records.CHANGED}; {records.AGAIN}")
    return found


def faults(place: ResultsFolder, record: Record, stem: str) -> list[str]:
    """What is wrong with a record and what lies beside it: file, what it is, and the cure."""
    found = []
    for part in place.beside(record, stem):
        try:
            if part == "per_query":
                check(place, record, stem)
            elif part in record.beside:
                content(place, record, stem, part)
        except RecordError as error:
            found.append(str(error))
    return found


def scores(place: ResultsFolder, record: Record, stem: str) -> dict[str, NDArray[np.float64]]:
    """Scores by query beside a record, float64 (q,) each, by full metric name; empty where none were kept.

    Raises:
        RecordError: the file is damaged, lost, or is not what it was when the record was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    found = content(place, record, stem, "per_query")
    try:
        kept = {} if found is None else load(found)
        return {name: values.astype(np.float64) for name, values in kept.items()}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{place.scores(stem)}: damaged ({error}); delete it and run again") from error


def check(place: ResultsFolder, record: Record, stem: str) -> None:
    """Refuse a record whose accuracy is not the mean of its scores, as in one that somebody has edited.

    Raises:
        RecordError: it is not, or its scores are not as they were written.
    """
    name = record.accuracy
    if not record.finished or name is None:
        return
    kept = scores(place, record, stem).get(name)
    if kept is None or catalogue.base_name(name) not in _MEANS:
        return
    answered, value = kept[np.isfinite(kept)], record.metrics[name].value
    if len(answered) and abs(answered.mean() - value) > ROUNDED:
        raise RecordError(
            f"{place.record(stem)}: {name} is {value:.4f}, and the mean of its scores by query "
            f"{answered.mean():.4f}; {records.AGAIN}"
        )
