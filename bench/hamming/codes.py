"""What people hold as binary codes, brought to one form: packed, eight bits to a byte.

Unpacked codes have a column for each bit: real-valued outputs, whose signs are the bits; integers -1 and +1;
bools; or 0 and 1, if that is said. Anything that numpy can read as an array is taken, a CPU tensor as well.

Real values of which none is negative are one code for everything, and hardly ever meant: the outputs of a
sigmoid or a ReLU, or bytes held as floats. They are refused where chance cannot explain them. A single value
throughout is the output of a collapsed network and is taken for what it is.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.hamming import scan
from bench.hamming.relevance import as_array, describe, holds_only
from bench.hamming.scan import Codes

#: Megabytes of unpacked bits that are looked at at a time.
_PIECE_MB = 16

#: What to do with packed codes of another type.
PACKED_BYTES = "; if they are packed bytes, hold them as uint8: codes.astype(numpy.uint8)"

#: Real values, in two rows or more, that all being positive is no chance.
_NO_CHANCE = 64


def pack_codes(u: ArrayLike, *, bits: int | None = None) -> Codes:
    """Binary codes, packed. A real value is the bit (value >= 0), so that sign(0) = +1.

    Args:
        u: (n, bits): floats, integers -1 and +1 of any type, or bools. 0 and 1 are taken for bits where
            ``bits`` is given; else they are refused, since as signs both would be +1. So are two rows or
            more of floats, 64 values or more, that differ and of which none is negative.
        bits: length of the codes; must be the number of columns, and says that 0 and 1 are bits.

    Returns:
        uint8 (n, ceil(bits / 8)), first bit highest; the last byte is filled up with 0 bits.

    Raises:
        BenchError: something else, or a NaN in it.
    """
    return _packed(_matrix("codes to pack", u), "codes to pack", _length(bits))


def pack_signs(u: NDArray[Any]) -> Codes:
    """``pack_codes`` of what is known to be the output of a network, whatever values it takes.

    Args:
        u: float (n, bits).

    Returns:
        uint8 (n, ceil(bits / 8)).

    Raises:
        BenchError: a NaN in it.
    """
    packed = np.empty((len(u), -(-u.shape[1] // 8)), np.uint8)
    bad = np.zeros(len(u), np.bool_)
    for part in _pieces(u):
        bad[part] = np.isnan(u[part]).any(axis=1)
        packed[part] = np.packbits(u[part] >= 0, axis=1)
    if bad.any():
        raise BenchError(f"{bad.sum()} of {len(bad)} rows to pack hold NaN, the first is row {bad.argmax()}")
    return packed


def first_bits(packed: Codes, bits: int) -> Codes:
    """Packed codes without what follows their first ``bits``: uint8 (n, bytes) -> (n, ceil(bits / 8))."""
    cut = packed[:, : -(-bits // 8)].copy()
    if missing := -bits % 8:
        cut[:, -1] &= 0xFF << missing & 0xFF
    return cut


def packed_pair(query: ArrayLike, database: ArrayLike, bits: int | None) -> tuple[Codes, Codes]:
    """Codes of queries and database, packed, whichever form each of them has.

    uint8 is taken for packed, as it always was. Only where all of it is 0 and 1 could it be unpacked bits
    as well, and ``bits`` has to tell: so many columns are unpacked, an eighth of them packed.

    Args:
        query, database: packed uint8 (q, bytes) and (n, bytes), or unpacked as ``pack_codes`` takes them.
        bits: length of the codes; None where the codes tell.

    Returns:
        uint8 (q, bytes) and (n, bytes); those given, where they were packed.

    Raises:
        BenchError: no codes, different lengths, 0 and 1 without ``bits``, or bits set behind the last of
            ``bits``; says what to pass.
    """
    return packed_with_length(query, database, bits)[:2]


def packed_with_length(query: ArrayLike, database: ArrayLike, bits: int | None) -> tuple[Codes, Codes, int]:
    """``packed_pair`` and the length of the codes: eight bits a byte where nothing says less."""
    bits = _length(bits)
    sides = {
        name: _matrix(f"{name} codes", codes) for name, codes in (("query", query), ("database", database))
    }
    small = [codes for codes in sides.values() if codes.dtype == np.uint8]
    if (
        bits is None
        and any(codes.size for codes in small)
        and all(holds_only(codes, 0, 1) for codes in small)
    ):
        columns = small[-1].shape[1]
        raise BenchError(
            f"uint8 codes of 0 and 1 alone may be packed or not: pass bits={columns} if a column is a bit, "
            f"bits={8 * columns} if it is a byte, or pack them first: pack_codes(codes, bits={columns})"
        )
    lengths, packed = {}, {}
    for name, codes in sides.items():
        whole = codes.dtype == np.uint8 and _is_packed(codes, f"{name} codes", bits)
        packed[name] = codes if whole else _packed(codes, f"{name} codes", bits)
        lengths[name] = 0 if whole else codes.shape[1]
    if all(lengths.values()) and lengths["query"] != lengths["database"]:
        said = f"query codes have {lengths['query']} bits, database codes {lengths['database']}"
        raise BenchError(said + same_width(**sides))
    if packed["query"].shape[1] != packed["database"].shape[1]:
        widths = [codes.shape[1] for codes in packed.values()]
        raise BenchError(
            f"query codes have {widths[0]} bytes, database codes {widths[1]}" + same_width(**sides)
        )
    length = bits or max(lengths.values()) or 8 * packed["query"].shape[1]
    return packed["query"], packed["database"], length


def same_width(query: NDArray[Any], database: NDArray[Any]) -> str:
    """What to do where rows of queries and database are not as long: ``; transpose both``."""
    (queries, wide), (items, broad) = query.shape, database.shape
    if queries == items < max(wide, broad):
        return "; a row must be an image: transpose both"
    for side, turned in (("query", queries == broad), ("database", items == wide)):
        if turned:
            return f"; a row must be an image: transpose those of the {side}"
    return "; have both made by one network"


def _length(bits: object) -> int | None:
    """``bits`` as an int, of whichever integer type it was."""
    try:
        length = None if bits is None else operator.index(bits)  # type: ignore[arg-type]
    except TypeError:
        length = 0
    if isinstance(bits, bool) or (length is not None and length < 1):
        raise BenchError(f"bits must be the code length, a whole number of at least 1, not {bits!r}")
    return length


def _matrix(name: str, codes: ArrayLike) -> NDArray[Any]:
    values = as_array(name, codes)
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "biuf":
        form = "floats, bools or -1 and +1 (n, bits), or uint8 (n, bytes) as pack_codes returns"
        raise BenchError(f"{name} must be {form}, not {describe(values)}")
    return values


def _is_packed(codes: NDArray[Any], name: str, bits: int | None) -> bool:
    """Whether uint8 codes are packed; a single bit has one column either way, but packed it is 0 or 128."""
    if bits is None:
        return True
    columns, width = codes.shape[1], -(-bits // 8)
    if columns not in {bits, width}:
        raise BenchError(
            f"{name} of {bits} bits have {width} columns packed and {bits} unpacked, not {columns}"
            + _turned(codes, bits)
        )
    if columns != width or (bits == 1 and holds_only(codes, 0, 1)):
        return False
    dirty = np.count_nonzero(codes[:, -1] & (0xFF >> (bits - 1) % 8 + 1))
    if dirty:
        raise BenchError(
            f"{dirty} of {len(codes)} {name} have bits set behind the last of {bits}, which would count as "
            "distance; pack them with the first bit highest and 0 bits behind the last, as pack_codes does"
        )
    return True


def _packed(values: NDArray[Any], name: str, bits: int | None) -> Codes:
    columns = values.shape[1]
    if bits is not None and bits != columns:
        cure = PACKED_BYTES if columns == -(-bits // 8) and holds_bytes(values) else _turned(values, bits)
        raise BenchError(f"bits is {bits}, but {name} have {columns} columns, one for each bit{cure}")
    if values.dtype == np.bool_ or (bits is not None and holds_only(values, 0, 1)):
        return _pack(values)
    if values.dtype.kind == "f":
        if values.min(initial=1) == 0 and values.max(initial=0) == 1 and holds_only(values, 0, 1):
            raise BenchError(_bare_bits(name, columns))
        if len(values) > 1 and values.size >= _NO_CHANCE and 0 <= values.min() < values.max():
            raise BenchError(_never_negative(name, values))
        return pack_signs(values)
    if holds_only(values, -1, 1):
        return _pack(values)
    if holds_only(values, 0, 1):
        raise BenchError(_bare_bits(name, columns))
    cure = PACKED_BYTES if holds_bytes(values) else "; pass the real-valued outputs as floats, or bools"
    raise BenchError(f"{name} are {describe(values)} of other values than -1 and +1{cure}")


def holds_bytes(values: NDArray[Any]) -> bool:
    """Whether numbers look like packed bytes of another type: whole ones that a byte holds, and not bits."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    signed = values.dtype == np.int8  # the same bytes, the first bit taken for a sign
    return (
        (signed or low >= 0)
        and 1 < max(high, -low) < 256
        and all(bool((values[part] == np.floor(values[part])).all()) for part in _pieces(values))
    )


def _turned(values: NDArray[Any], bits: int) -> str:
    """What to do with columns that are not as many as bits."""
    if len(values) in {bits, -(-bits // 8)}:
        return "; a row must be an image: codes.T"
    return "; give the length that they have"


def _bare_bits(name: str, columns: int) -> str:
    return (
        f"{name} are 0 and 1 alone, and the sign of both is +1; pass bits={columns} to say that they are bits"
    )


def _never_negative(name: str, values: NDArray[Any]) -> str:
    found = f"{name} are {describe(values)} without a negative value, so that every bit would be 1"
    if holds_bytes(values):
        return found + PACKED_BYTES
    return (
        f"{found}; subtract the threshold first, 0.5 for sigmoid outputs, or pass bools if every bit is "
        "meant to be 1"
    )


def _pack(values: NDArray[Any]) -> Codes:
    """A bit is what lies above 0: true, 1 and +1."""
    packed = np.empty((len(values), -(-values.shape[1] // 8)), np.uint8)
    for part in _pieces(values):
        packed[part] = np.packbits(values[part] > 0, axis=1)
    return packed


def _pieces(values: NDArray[Any]) -> Iterator[slice]:
    return scan.chunks(len(values), 2 * values.shape[1], _PIECE_MB)


def popcount_distances(
    query: ArrayLike, database: ArrayLike, *, bits: int | None = None
) -> NDArray[np.int32]:
    """All Hamming distances in plain numpy, int32 (q, n): slow, a second opinion on FAISS.

    Args:
        query, database: codes, packed or not.
        bits: their length.
    """
    query, database = packed_pair(query, database, bits)
    rows = [np.bitwise_count(row ^ database).sum(axis=1, dtype=np.int32) for row in query]
    return np.array(rows, dtype=np.int32).reshape(len(query), len(database))


def bins(codes: Codes) -> int:
    """Number of different distances between codes of this length."""
    return 8 * int(codes.shape[1]) + 1
