"""Codes and embeddings made elsewhere, with what says which of them answer which: files of any usual layout.

Whatever could be two things is refused, and the message names the option that decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.array_files import ArrayFile, open_arrays
from bench.data.array_names import BITS, NEIGHBOURS, SIDES, Side, listed, roles_of
from bench.errors import BenchError, DataError, UsageError
from bench.hamming import scan
from bench.hamming.codes import PACKED_BYTES, holds_bytes, packed_with_length, same_width
from bench.hamming.relevance import describe, holds_only, relevance
from bench.types import Similarity

#: How ann-benchmarks calls what vectors are compared by.
_SIMILARITIES: dict[str, Similarity] = {
    "": "cosine",
    "hamming": "cosine",
    "angular": "cosine",
    "euclidean": "l2",
}
#: Megabytes of embeddings that are looked at at a time.
_PIECE_MB = 64
#: What to do with a row that is not of numbers alone.
_MEND_ROW = "; encode that image again, or leave it out of codes, labels and ids"


@dataclass(frozen=True)
class Reading:
    """What somebody says of a file that says too little of itself.

    Attributes:
        bits: length of the codes.
        binarize: whether embeddings, and real values called codes, become codes by their signs.
        similarity: by which embeddings are compared; None as the file says, or by cosine.
        arrays: role of ``array_names.ROLES`` -> the array that has it.
    """

    bits: int | None = None
    binarize: bool = False
    similarity: Similarity | None = None
    arrays: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledCodes:
    """What a file has to say.

    Attributes:
        query, database: packed uint8 (q, bytes) and (n, bytes), or float32 embeddings (q, d) and (n, d).
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes); or, with None
            for the database, int (q, m): the items that answer each query.
        bits: of the codes; 0 for embeddings.
        similarity: of embeddings, which have length 1 where it is a cosine.
        query_ids, database_ids: text or whole numbers, each once; None where the file has none.
        notes: what was taken for granted, a sentence each.
    """

    path: Path
    query: NDArray[Any]
    database: NDArray[Any]
    query_labels: NDArray[Any]
    database_labels: NDArray[Any] | None
    bits: int
    similarity: Similarity
    query_ids: NDArray[Any] | None
    database_ids: NDArray[Any] | None
    notes: tuple[str, ...]


def read_codes(path: Path, how: Reading | None = None) -> LabelledCodes:
    """Read codes or embeddings, and labels or lists of true neighbours.

    Args:
        path: an ``.npz`` file, HDF5 as ann-benchmarks writes it, a folder of ``.npy`` files, or what the
            names of some begin with.
        how: what the file leaves open.

    Raises:
        DataError: whatever is wrong with the file, in one line with a cure.
        UsageError: ``how`` contradicts itself.
        MissingPackageError: it is HDF5, and h5py is not installed.
    """
    how = how or Reading()
    if how.binarize and how.similarity:
        raise UsageError("--binarize makes codes, which have Hamming distances; leave --distance out")
    file = open_arrays(path)
    roles, rest = roles_of(file, how.arrays)
    kind, truth = _kind(file, roles, how), _truth(file, roles)
    optional = [role for role in ("query_ids", "database_ids", BITS) if role in roles]
    needed = [*(f"{side}_{kind}" for side in SIDES), *truth, *optional]
    aside = [*rest, *(name for role, name in roles.items() if role not in needed)]
    arrays = file.read([roles[role] for role in needed])
    try:
        found = _checked({role: arrays[roles[role]] for role in needed}, kind, how, file)
    except BenchError as error:
        raise DataError(f"{path}: {error}") from error
    return replace(found, notes=(*found.notes, *([f"left aside: {', '.join(aside)}"] if aside else [])))


def _checked(values: Mapping[str, NDArray[Any]], kind: str, how: Reading, file: ArrayFile) -> LabelledCodes:
    """What arrays by their roles hold, in the form in which it is judged."""
    sides = {side: _matrix(values[f"{side}_{kind}"], f"{side} {kind}") for side in SIDES}
    notes: list[str] = []
    similarity: Similarity = "cosine"
    query: NDArray[Any]
    database: NDArray[Any]
    if how.binarize and all(values.dtype.kind != "f" for values in sides.values()):
        raise BenchError(
            f"--binarize is for real values, and these are {describe(sides['query'])}; leave it out"
        )
    if kind == "codes" or how.binarize:
        query, database, bits = _codes(sides, _length(values.get(BITS), how.bits), notes, how.binarize)
    elif how.bits:
        raise BenchError("these are embeddings, which have no --bits; --binarize sign makes codes of them")
    else:
        similarity, bits = how.similarity or _similarity(file.distance), 0
        query, database = _embeddings(sides, similarity)
    if NEIGHBOURS in values:
        query_labels, database_labels = values[NEIGHBOURS], None
    else:
        query_labels, database_labels = (_labels(values[f"{side}_labels"]) for side in SIDES)
    relevance(query_labels, database_labels, len(query), len(database))
    query_ids, database_ids = (
        _ids(values.get(f"{side}_ids"), f"{side}_ids", len(part))
        for side, part in zip(SIDES, (query, database), strict=True)
    )
    return LabelledCodes(
        path=file.path,
        query=query,
        database=database,
        query_labels=query_labels,
        database_labels=database_labels,
        bits=bits,
        similarity=similarity,
        query_ids=query_ids,
        database_ids=database_ids,
        notes=tuple(notes),
    )


# -- Which arrays ------------------------------------------------------------------------------------


def _kind(file: ArrayFile, roles: Mapping[str, str], how: Reading) -> str:
    """``codes`` or ``embeddings``: what both sides have, codes first unless embeddings are asked for."""
    first = ("embeddings", "codes") if how.binarize or how.similarity else ("codes", "embeddings")
    for kind in first:
        if all(f"{side}_{kind}" in roles for side in SIDES):
            if kind == "codes" and how.similarity:
                raise UsageError(f"{file.path}: --distance is for embeddings, and there are codes alone")
            return kind
    started = next((kind for kind in first if any(f"{side}_{kind}" in roles for side in SIDES)), "codes")
    raise _absent(file, [role for side in SIDES if (role := f"{side}_{started}") not in roles])


def _truth(file: ArrayFile, roles: Mapping[str, str]) -> list[str]:
    """What says what answers a query: labels of both sides, or else lists of neighbours."""
    labels = [f"{side}_labels" for side in SIDES]
    if all(role in roles for role in labels):
        return labels
    if NEIGHBOURS in roles:
        return [NEIGHBOURS]
    raise _absent(file, [role for role in labels if role not in roles])


def _absent(file: ArrayFile, roles: list[str]) -> DataError:
    return DataError(
        f"{file.path}: no {' and no '.join(roles)}; it has {listed(file)}; if one of them is that, say so: "
        f"--array {roles[0]}=NAME"
    )


# -- What is in them ---------------------------------------------------------------------------------


def _matrix(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind not in "biuf":
        raise BenchError(f"{name} must be numbers, not {describe(values)}; write them as such")
    if not values.size:
        raise BenchError(f"there are no {name} ({describe(values)}); write a row for each image")
    if values.ndim != 2:
        cure = (
            "if they are of one image, reshape(1, -1)" if values.ndim < 2 else f"reshape({len(values)}, -1)"
        )
        raise BenchError(f"{name} must have a row for each image, not {describe(values)}; {cure}")
    return values


def _length(stored: NDArray[Any] | None, stated: int | None) -> int | None:
    """The code length that the file or somebody says."""
    if stored is None:
        return stated
    if stored.size != 1 or stored.dtype.kind not in "iu":
        raise BenchError(f"bits must be the length of the codes, a whole number, not {describe(stored)}")
    bits = int(stored.reshape(-1)[0])
    if stated is not None and stated != bits:
        raise BenchError(f"it says that codes have {bits} bits; leave --bits {stated} out")
    return bits


def _codes(
    sides: Mapping[Side, NDArray[Any]], bits: int | None, notes: list[str], binarize: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Packed codes of both sides, and their length."""
    for side, values in sides.items():
        _refuse_nan(values, side)
    if not binarize:
        sides = {side: _plain_bits(values, side, notes) for side, values in sides.items()}
    small = [values for values in sides.values() if values.dtype == np.uint8]
    if bits is None and small and all(holds_only(values, 0, 1) for values in small):
        columns = small[-1].shape[1]
        raise BenchError(
            f"uint8 codes of 0 and 1 alone may be packed or not; say --bits {columns} if a column is a bit, "
            f"--bits {8 * columns} if it is a byte of eight"
        )
    if bits is None and len(small) == 2:
        notes.append(f"packed codes without bits: taken to have {8 * small[0].shape[1]}")
    return packed_with_length(sides["query"], sides["database"], bits)


def _plain_bits(values: NDArray[Any], side: Side, notes: list[str]) -> NDArray[Any]:
    """Codes whose form is plain from their values: 0 and 1 of any type that is not a byte are bits."""
    if values.dtype != np.uint8 and holds_only(values, 0, 1):
        return np.asarray(values > 0)
    if values.dtype.kind != "f" or holds_only(values, -1, 1):
        return values
    if holds_bytes(values):
        raise BenchError(f"{side} codes are whole numbers held as {describe(values)}{PACKED_BYTES}")
    zeros = np.count_nonzero(values == 0)
    if zeros + np.count_nonzero(np.abs(values) == 1) < values.size:
        raise BenchError(
            f"{side} codes are real values ({describe(values)}); say --binarize sign to take their signs, "
            f"or call them {side}_embeddings to have them compared as they are"
        )
    notes.append(f"{zeros} of {values.size} values of {side} codes are 0, neither -1 nor +1: taken for +1")
    return values


def _refuse_nan(values: NDArray[Any], side: Side) -> None:
    if values.dtype.kind != "f":
        return
    for part in scan.chunks(len(values), 2 * values.shape[1], _PIECE_MB):
        lacking = np.isnan(values[part]).any(axis=1)
        if lacking.any():
            raise BenchError(
                f"row {part.start + int(lacking.argmax())} of the {side} codes holds NaN{_MEND_ROW}"
            )


def _similarity(distance: str) -> Similarity:
    if distance not in _SIMILARITIES:
        raise BenchError(f"its vectors are compared by '{distance}', which is not known here; say --distance")
    return _SIMILARITIES[distance]


def _embeddings(
    sides: Mapping[Side, NDArray[Any]], similarity: Similarity
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    query, database = (_vectors(values, side, similarity) for side, values in sides.items())
    if query.shape[1] != database.shape[1]:
        raise BenchError(
            f"query embeddings have {query.shape[1]} dimensions, database embeddings {database.shape[1]}"
            + same_width(query, database)
        )
    return query, database


def _vectors(values: NDArray[Any], side: Side, similarity: Similarity) -> NDArray[np.float32]:
    """float32 (n, d), of length 1 for a cosine."""
    vectors = np.empty(values.shape, np.float32)
    for part in scan.chunks(len(values), 12 * values.shape[1], _PIECE_MB):
        exact = values[part].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(exact, axis=1, keepdims=True)
            divisors = np.where(lengths == 0, 1, lengths) if similarity == "cosine" else 1
            vectors[part] = exact / divisors
        finite = np.isfinite(vectors[part]).all(axis=1, keepdims=True) & np.isfinite(lengths)
        bad = ~finite | ((lengths == 0) & (similarity == "cosine"))
        if bad.any():
            first = int(bad.argmax())
            empty = "has length 0, so that it has no cosine; --distance l2 needs none"
            large = f"holds what is no number, or too large for float32{_MEND_ROW}"
            what = empty if lengths[first] == 0 else large
            raise BenchError(f"row {part.start + first} of the {side} embeddings {what}")
    return vectors


def _labels(values: NDArray[Any]) -> NDArray[Any]:
    """Labels as they are judged; a column of classes is a list of them, and 3.0 is a class."""
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    whole = flat.dtype.kind == "f" and flat.ndim == 1 and bool((np.abs(flat) < 2**53).all())
    if whole and np.array_equal(flat, np.floor(flat)):
        return flat.astype(np.int64)
    return flat


def _ids(values: NDArray[Any] | None, role: str, count: int) -> NDArray[Any] | None:
    if values is None:
        return None
    if values.shape != (count,) or values.dtype.kind not in "iuSU":
        raise BenchError(f"{role} must be {count} whole numbers or texts, not {describe(values)}")
    if len(np.unique(values)) < count:
        raise BenchError(f"{role} has some twice; an id names one image")
    return values
