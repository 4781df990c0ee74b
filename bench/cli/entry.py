"""How codes from elsewhere get a record: what it is called, beside what it stands, and in which order."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import environment
from bench.cli.evaluation import Judged
from bench.data.array_names import SIDES, Side
from bench.data.labelled_codes import LabelledCodes
from bench.errors import DataError, UsageError
from bench.results import external
from bench.results.external import Peer
from bench.results.records import Measured
from bench.storage.keys import canonical_json
from bench.types import RankingRule

#: As many ids are told at most.
_MOST_IDS = 3

_USUAL = {"k": "all", "ties": "expected", "normalizer": "relevant"}


@dataclass(frozen=True)
class Entry:
    """A record that is to be written.

    Attributes:
        out: the results folder.
        name: of the method.
        costs: those that were stated.
        dataset: its name, where there is no ``peer``.
        peer: beside which cells it stands.
    """

    out: Path
    name: str
    seed: int
    costs: Mapping[str, Measured]
    dataset: str
    peer: Peer | None

    @classmethod
    def of(
        cls, out: Path, codes: Path, *, name: str | None, seed: int | None, costs: Sequence[str],
        dataset: str | None, like: Path | None,
    ) -> Entry:  # fmt: skip
        """Check all that can be checked before anything is read.

        Raises:
            UsageError: what is asked for cannot be.
        """
        if not (name or "").strip():
            raise UsageError("--out needs --name, what the method is called in reports")
        if dataset and like:
            raise UsageError("--dataset: the cells of --like say which data set it is; leave it out")
        external.check_folder(out)
        stated = external.stated_costs(costs)
        peer = external.peer_of(like) if like else None
        return cls(out, str(name).strip(), seed or 0, stated, dataset or codes.stem, peer)

    def check(self, found: Judged) -> None:
        """Raise UsageError where the labels are not those of the peer's data set."""
        if self.peer:
            self.peer.check(_measured(found))

    def save(self, found: Judged) -> Path:
        """Write the record.

        Raises:
            UsageError: the folder holds something else, or cannot be written.
        """
        file, metrics = found.file, _measured(found)
        size = file.database.shape[1] * file.database.itemsize
        code = Measured(value=size, unit="bytes", higher_is_better=False, noise="exact")
        record = external.external_record(
            self.name,
            self.seed,
            file.bits,
            file.similarity,
            {**metrics, external.CODE_BYTES: code, **self.costs},
            dataset=self.dataset,
            rule=dataclasses.asdict(found.rule) | {"k": found.rule.k or "all"},
            peer=self.peer,
            digests={"codes": _digest(file.query, file.database), "truth": _truth(file)},
            environment=environment.describe("cpu", environment.default_threads(), ""),
            warnings=found.warnings,
        )
        order = slice(None) if file.query_ids is None else np.argsort(file.query_ids)
        return external.save_external(self.out, record, found.scores[found.main][order])


def _measured(found: Judged) -> dict[str, Measured]:
    return {name: Measured.model_validate(dataclasses.asdict(one)) for name, one in found.metrics.items()}


def rule_of(asked: Mapping[str, Any], peer: Peer | None) -> RankingRule:
    """The ranking rule that was asked for; what was not is usual, or that of a peer.

    Raises:
        UsageError: the peer has another one.
    """
    usual = {name: peer.record.cell.protocol.get(name) if peer else _USUAL[name] for name in _USUAL}
    rule: dict[str, Any] = {name: usual[name] if asked[name] is None else asked[name] for name in _USUAL}
    for name, value in rule.items():
        if value != usual[name] and peer:
            raise UsageError(f"--{name} {value}: the cells of --like have {usual[name]}; leave it out")
    return RankingRule(**{**rule, "k": None if rule["k"] == "all" else rule["k"]})


def in_order_of(peer: Peer, file: LabelledCodes) -> LabelledCodes:
    """The rows of ``file`` in the order in which the suite has its images.

    Raises:
        DataError: they are other images than those of the peer's split.
    """
    if file.database_labels is None:
        raise DataError(f"{file.path}: lists of neighbours; {peer.name} is judged by labels")
    orders = {side: _order(peer, file, side) for side in SIDES}
    query, database = orders["query"], orders["database"]
    return dataclasses.replace(
        file,
        query=file.query[query],
        query_labels=file.query_labels[query],
        query_ids=None if file.query_ids is None else file.query_ids[query],
        database=file.database[database],
        database_labels=file.database_labels[database],
        database_ids=None if file.database_ids is None else file.database_ids[database],
    )


def _order(peer: Peer, file: LabelledCodes, side: Side) -> Any:
    """How the rows of one side are to be sorted."""
    wanted, ids, rows = getattr(peer, side), getattr(file, f"{side}_ids"), len(getattr(file, side))
    if rows != len(wanted):
        raise DataError(f"{file.path}: {rows} {side} rows, but {peer.name} has {len(wanted)} images there")
    if ids is None:
        if side == "database":
            return slice(None)
        raise DataError(
            f"{file.path}: no {side}_ids, the place of each row's image in the data set, which pair queries; "
            f"of {peer.name} they are {_some(wanted)}, in any order; which is which: python -m bench data "
            "prepare --grid GRID --list images.csv"
        )
    if ids.dtype.kind not in "iu":
        raise DataError(f"{file.path}: {side}_ids are texts; images of {peer.name} go by their numbers")
    if not np.array_equal(np.sort(ids), wanted):
        stray = np.setdiff1d(ids, wanted)
        more = f" and {len(stray) - 1} more" if len(stray) > 1 else ""
        is_no = f"are no {side} images" if more else f"is no {side} image"
        raise DataError(
            f"{file.path}: id {stray[0]}{more} of {side}_ids {is_no} of {peer.name}; those are "
            f"{_some(wanted)}"
        )
    return np.argsort(ids)


def _some(numbers: NDArray[np.int64]) -> str:
    """All of a few numbers, or the first of many."""
    first = ", ".join(map(str, numbers[:_MOST_IDS]))
    return first if len(numbers) <= _MOST_IDS else f"{first}, ... ({len(numbers)} of them)"


def _truth(file: LabelledCodes) -> str:
    """The same for files of the same queries and answers, whose scores compare query by query."""
    ids = file.query_ids
    order = slice(None) if ids is None else np.argsort(ids)
    names = [] if ids is None else [str(one) for one in ids[order].tolist()]
    named = np.frombuffer(canonical_json(names).encode(), np.uint8)
    if file.database_labels is None:
        answers = np.sort(file.query_labels.astype(np.int64), axis=1)
        return _digest(named, answers[order], np.array(len(file.database)))
    # The order of the database is in no score but one, and its labels as a whole say what there is to find.
    labels, counts = np.unique(_plain(file.database_labels), axis=0, return_counts=True)
    return _digest(named, _plain(file.query_labels)[order], labels, counts)


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels in the same form whatever type holds them."""
    return labels.astype(np.int64) if labels.ndim == 1 else (labels != 0).astype(np.uint8)


def _digest(*arrays: NDArray[Any]) -> str:
    """sha256 of arrays and their shapes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(str(array.shape).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
