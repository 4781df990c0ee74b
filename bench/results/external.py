"""Records of what was measured elsewhere: codes that somebody brought, beside the cells of a protocol.

Such a record has the accuracies that the suite finds for the codes, and those costs alone that somebody
stated. Where it is like cells of a run, it has their data set and protocol, and the queries in their order.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as tensors

from bench.errors import RecordError, UsageError, did_you_mean
from bench.results import catalogue, comparable, records, soundness
from bench.results.entries import DEFAULT_CHARTS
from bench.results.folder import Results, ResultsFolder, load_results, save_index, similar
from bench.results.records import EXTERNAL, CellInfo, Measured, Record
from bench.results.wording import one_line
from bench.storage import atomic
from bench.storage.keys import KEY_DIGITS, canonical_json, content_key, file_name
from bench.storage.sealed import sha256
from bench.types import Similarity

log = logging.getLogger(__name__)

#: Where a record says which codes it is of.
CODES = "codes"
#: A cost that nobody need state.
CODE_BYTES = "code_bytes"


@dataclass(frozen=True)
class Peer:
    """A cell of the suite beside which codes from elsewhere are to stand.

    Attributes:
        query, database: int64, the images of the data set that are asked for and searched, ascending.
    """

    record: Record
    query: NDArray[np.int64]
    database: NDArray[np.int64]

    @property
    def name(self) -> str:
        """Data set and split in words."""
        return one_line(f"{self.record.cell.dataset} ({self.record.cell.protocol.get('split')})")

    def check(self, metrics: Mapping[str, Measured]) -> None:
        """Refuse codes whose labels are not those of the data set, as far as numbers show.

        Args:
            metrics: found for the codes.

        Raises:
            UsageError: says which number gives it away.
        """
        for what, ours, theirs in (
            (words, find(metrics), find(self.record.metrics)) for words, find in _GIVEN_AWAY.items()
        ):
            if ours is not None and theirs is not None and abs(ours - theirs) > 1e-9:
                raise UsageError(
                    f"these labels are not those of {self.name}: {what} {ours:g} here and {theirs:g} there"
                )


def _hitless(metrics: Mapping[str, Measured]) -> float | None:
    name = catalogue.full_name("map", metrics)
    return metrics[name].detail.get("hitless") if name else None


def _share(metrics: Mapping[str, Measured]) -> float | None:
    """The precision of returning everything, which no code changes."""
    curve = metrics.get("pr_curve:rank")
    return curve.detail["precision"][-1] if curve else None


#: What labels alone decide.
_GIVEN_AWAY = {
    "queries with nothing to find are": _hitless,
    "the mean share of the database that answers a query is": _share,
}


def peer_of(path: Path) -> Peer:
    """A finished cell that stands for all of a results folder, or that of one record file.

    Raises:
        UsageError: there is none, cells have different protocols, or one that codes and labels do not make.
        RecordError: a file is damaged.
    """
    if path.is_dir():
        folder, found = path, [record for record in load_results(path).records if record.status == "ok"]
    elif path.is_file():
        folder, found = path.parent.parent, [records.load(path)]
    else:
        cure = similar(path) or "; give the folder of a run, or one of its records"
        raise UsageError(f"{path}: no such results folder or record{cure}")
    protocols = {canonical_json([one.cell.dataset, *_settings(one)]): one for one in found}
    if len(protocols) != 1:
        what = f"cells of {len(protocols)} data sets or protocols" if found else "no finished cell"
        raise UsageError(f"{path}: {what}; name the record file of one that is finished")
    record = next(iter(protocols.values()))
    if record.status != "ok" or comparable.limited(record.cell.protocol):
        raise UsageError(f"{path}: a cell that compares with nothing; name one that is whole and finished")
    if catalogue.base_name(record.accuracy or "") != "map":
        raise UsageError(f"{path}: {record.cell.dataset} is not judged by labels alone, and codes are")
    return Peer(record, *_split(folder, record))


def _settings(record: Record) -> tuple[dict[str, Any], Any, Any]:
    """What a record must share with its peers: protocol, settings of the data set, number format."""
    return comparable.protocol(record), record.params.get("dataset", {}), comparable.precision(record)


def _split(folder: Path, record: Record) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and database of a cell, as the manifest that its run left says."""
    protocol = record.cell.protocol
    split, manifest = str(protocol.get("split")), str(protocol.get("manifest"))
    path = ResultsFolder(folder).split(file_name(split, manifest))
    try:
        found = soundness.content(ResultsFolder(folder), record, "", "split")
        if found is None:
            raise UsageError(
                f"{folder}: no manifest of the split in it ({path.name}); name the folder of the run"
            )
        content = records.parse(found)
        if content_key(content)[:KEY_DIGITS] != manifest:
            raise RecordError(f"{path}: not the manifest of {split}; copy it again from where it was run")
        query, database = (
            np.concatenate([np.arange(*run, dtype=np.int64) for run in content[part]])
            for part in ("query", "database")
        )
    except (*records.UNREADABLE, KeyError, TypeError) as error:
        raise RecordError(f"{path}: damaged ({error}); copy it again from where it was run") from error
    return query, database


def stated_costs(texts: Sequence[str]) -> dict[str, Measured]:
    """Read ``NAME=NUMBER`` texts: costs that belong to a network and to no machine.

    Raises:
        UsageError: a text of another form, or a name that is no such cost.
    """
    exact = [one.name for one in catalogue.entries() if (one.role, one.noise) == ("cost", "exact")]
    exact.remove(CODE_BYTES)
    found: dict[str, Measured] = {}
    for text in texts:
        name, equals, number = map(str.strip, text.partition("="))
        known = catalogue.entry(name)
        if not equals:
            raise UsageError(f"--cost {one_line(text)}: write NAME=NUMBER, for example params=3.3e6")
        if known and known.noise == "timed":
            raise UsageError(f"--cost {name}: a timing belongs to its machine; give {', '.join(exact)}")
        if name == CODE_BYTES:
            raise UsageError(f"--cost {name}: the codes themselves say it; leave it out")
        if name in found:
            raise UsageError(f"--cost {name}: given twice; give it once")
        if name not in exact or known is None:
            hint = did_you_mean(name, exact) or ";"
            raise UsageError(f"--cost {one_line(name)}: no such cost{hint} there are {', '.join(exact)}")
        found[name] = _cost(number, name, known.unit)
    return found


def _cost(number: str, name: str, unit: str) -> Measured:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e100:
        raise UsageError(
            f"--cost {name}={one_line(number)}: not a number from 0 on; for example {name}=3.3e6"
        )
    return Measured(value=value, unit=unit, higher_is_better=False, noise="exact", detail={"stated": True})


def external_record(
    name: str, seed: int, bits: int, similarity: Similarity, metrics: Mapping[str, Measured], *, dataset: str,
    rule: Mapping[str, Any], peer: Peer | None, digests: Mapping[str, str],
    environment: Mapping[str, Any], warnings: Sequence[str],
) -> Record:  # fmt: skip
    """What was found for codes from elsewhere.

    Args:
        name: what the method is called.
        seed: of the training, where there were several.
        bits: of the codes; 0 for embeddings.
        similarity: by which embeddings were compared; noted where it is not the suite's own, a cosine.
        metrics: found for the codes, and costs that were stated.
        dataset: the name of the data set, where there is no ``peer``.
        rule: ``k``, ``ties`` and ``normalizer`` of mAP.
        peer: beside which cells it is to stand.
        digests: ``codes`` and ``truth``: sha256 of what was judged, and of what it was judged by.
        environment: of the judging.
    """
    own = {"split": "as given", "manifest": digests["truth"][:KEY_DIGITS], **rule}
    cell = CellInfo(
        dataset=peer.record.cell.dataset if peer else dataset,
        protocol=peer.record.cell.protocol if peer else own,
        teachers=[],
        student=name,
        method=EXTERNAL,
        loss="",
        bits=bits,
        seed=seed,
        image_size=0,
    )
    _, settings, precision = _settings(peer.record) if peer else ({}, {}, None)
    params: dict[str, Any] = {"dataset": settings, "precision": precision}
    identity = content_key([cell.model_dump(), params])
    if not bits and similarity != "cosine":
        params["similarity"] = similarity
    return Record(
        key=content_key([identity, digests]),
        cell_key=identity,
        status=EXTERNAL,
        warnings=list(warnings),
        cell=cell,
        params=params,
        metrics=dict(metrics),
        environment={**environment, "precision": precision, CODES: digests["codes"]},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def check_folder(folder: Path) -> Results | None:
    """What was put into ``folder`` before; None if there is no such folder.

    Raises:
        UsageError: it holds something else.
    """
    place = ResultsFolder(folder)
    if not place.index.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder}: holds other things than results; name a new folder")
        return None
    results = load_results(folder)
    if results.missing or any(record.status != EXTERNAL for record in results.records):
        raise UsageError(
            f"{folder}: the results of a grid, whose next run would leave out all else; name a folder of its "
            f"own, and see both with: python -m bench report {folder} THAT --out DIR"
        )
    return results


def save_external(folder: Path, record: Record, scores: NDArray[np.float64]) -> Path:
    """Put a record into a folder of such, in the place of an earlier one of the same name, bits and seed.

    Args:
        folder: new, or made by this function.
        record: from ``external_record``.
        scores: its accuracy by query, float64 (q,).

    Returns:
        The record's file.

    Raises:
        UsageError: the folder holds something else.
    """
    earlier, place, cell = check_folder(folder), ResultsFolder(folder), record.cell
    code = f"{cell.bits}b" if cell.bits else "float"
    slug = f"{cell.dataset}__{cell.student}__{EXTERNAL}__{code}__s{cell.seed}"
    stem = file_name(slug, record.cell_key)
    replaced = place.record(stem).is_file()
    if record.accuracy:
        kept = tensors({record.accuracy: scores.astype(np.float32)})
        atomic.write_bytes(place.scores(stem), kept)
        record = record.model_copy(update={"beside": {"per_query": sha256(kept)}})
    records.save(record, place.record(stem))
    together = [*(earlier.records if earlier else ()), record]
    learnt = catalogue.learnt(name for one in together for name in one.metrics)
    cells = {**(earlier.cells if earlier else {}), record.cell_key: slug}
    save_index(folder, folder.resolve().name, list(DEFAULT_CHARTS), cells, metrics=learnt)
    log.info("%s %s", "replaced" if replaced else "wrote", place.record(stem))
    return place.record(stem)
