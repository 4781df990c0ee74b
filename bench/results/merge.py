"""Several results folders as one, for reports over more than one grid and for notebooks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.results import comparable
from bench.results.folder import Results, latest_folder, load_results
from bench.results.records import Record
from bench.storage.keys import canonical_json

log = logging.getLogger(__name__)

_TWICE = "of cells that another folder has, too, finished or newer"


def load_merged(*folders: str | Path, load: Callable[[Path], Results] = load_results) -> Results:
    """The results in ``folders`` as one, see ``merged``; those of the last run where none is named.

    Logs how many records are left out, and why.

    Args:
        load: reads a folder; ``readable_results`` where those that cannot be believed may be left out.

    Raises:
        UsageError: nothing was run into a folder, or there is none.
        RecordError: one of their files cannot be read.
    """
    results = merged([load(Path(folder)) for folder in folders or [latest_folder()]])
    for why, count in results.left_out.items():
        log.warning("left out: %d record%s %s", count, "s" * (count > 1), why)
    return results


def merged(several: Sequence[Results]) -> Results:
    """The records of all of ``several``, at least one; of the same cell on the same machine, the newest.

    What was measured beside it makes no other cell, and a plug-in's version neither: two records of one
    seed must not count as two seeds.
    """
    if len(several) == 1:
        return several[0]
    newest: dict[str, tuple[Record, Results]] = {}
    left_out: Counter[str] = Counter()
    for results in several:
        left_out.update(results.left_out)
        for record in results.records:
            identity = _identity(record)
            present = newest.get(identity)
            if present is not None:
                left_out[_TWICE] += 1
            if present is None or _worth(present[0]) < _worth(record):
                newest[identity] = record, results
    kept = list(newest.values())
    cells = {key: slug for results in several for key, slug in results.cells.items()}
    done = {_slug(record, results) for record, results in kept}
    return Results(
        folder=several[0].folder,
        name=" + ".join(dict.fromkeys(results.name for results in several)),
        pareto=list(dict.fromkeys(pair for results in several for pair in results.pareto)),
        records=[record for record, _ in kept],
        missing=[
            slug
            for slug in dict.fromkeys(slug for one in several for slug in one.missing)
            if slug not in done
        ],
        left_out=dict(left_out),
        stems={record.key: results.stems[record.key] for record, results in kept},
        cells=cells,
        homes={record.key: results.folder for record, results in kept},
        descriptions=list(dict.fromkeys(text for results in several for text in results.descriptions)),
        faults=[fault for results in several for fault in results.faults],
        curves=list(dict.fromkeys(pair for results in several for pair in results.curves)),
    )


def _worth(record: Record) -> tuple[bool, str]:
    """A finished record counts more than a failed one, then a newer one more than an older."""
    return record.finished, record.created


def _identity(record: Record) -> str:
    settings, machine = comparable.settings(record), comparable.machine(record)
    return canonical_json([record.cell.model_dump(), settings, machine])


def _slug(record: Record, results: Results) -> str:
    return results.cells.get(record.cell_key, "")
