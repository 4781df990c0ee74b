"""What a pickle of data may call: numpy's arrays, types and numbers, sets, ordered mappings, bytes.

Not even numpy's own constructors see what the file says: arrays are made here, from bytes and a checked type,
since a forged dtype would let numpy take any bytes for pointers.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.pickled_sizes import Keys, NoData, RefusedError

#: Kinds of array elements that hold nothing but values: no objects, no records.
PLAIN_KINDS = frozenset("biufcSU")
#: Kind and width, as numpy's pickles name them.
_PLAIN = re.compile(f"[{''.join(sorted(PLAIN_KINDS))}][0-9]{{1,10}}")


class Name(NoData):
    """What a pickle refers to by module and name; it cannot be changed, and only be called."""

    def __init__(self, call: Callable[..., Any] | None) -> None:
        self.call = call


class Type(NoData):
    """Stands in for ``numpy.dtype``: a type code, then its byte order."""

    what = "a type"

    def __init__(self, code: str | bytes, align: object = False, copy: object = False) -> None:
        if not _PLAIN.fullmatch(_text(code)):
            raise RefusedError(f"an array of type {_text(code)[:50]!r}")
        self.dtype = np.dtype(_text(code))

    def build(self, state: tuple[Any, ...]) -> None:
        """Take the byte order from numpy's state of a type."""
        if any(part is not None for part in state[2:5]):
            raise RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(_text(state[1]))  # type: ignore[arg-type]


class Unfilled(NoData):
    """An array of which the pickle has said nothing yet; ``places`` are those where it is remembered."""

    what = "an array without values"

    def __init__(self, *_: object) -> None:
        self.places: list[int] = []


class Calls:
    """The calls of one file, which together make no more than the file can have held.

    Args:
        size: bytes of the file. A few of its bytes may ask for the same values again and again.
        keys: checks members of sets and keys of mappings before they are hashed.
    """

    def __init__(self, size: int, keys: Keys) -> None:
        self._size, self._left = size, 2 * size  # bytes are made of text first, and arrays of bytes
        self._keys = keys

    def named(self, module: str, name: str) -> Name:
        """What a pickle gets when it refers to something.

        Raises:
            RefusedError: no data need that.
        """
        # Where numpy 1 and numpy 2 keep what their pickles refer to.
        module = module.replace("numpy._core.", "numpy.core.").replace("__builtin__", "builtins")
        admitted: dict[tuple[str, str], Callable[..., Any] | None] = {
            # Only ever an argument of _reconstruct.
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): Type,
            ("numpy.core.multiarray", "_reconstruct"): Unfilled,
            ("numpy.core.multiarray", "scalar"): lambda kind, raw: self.array(raw, kind, (1,), "C")[0],
            ("numpy.core.numeric", "_frombuffer"): self.array,
            ("_codecs", "encode"): self._encoded,
            # How Python 3 writes no bytes in the protocols of Python 2.
            ("builtins", "bytes"): lambda: b"",
            ("builtins", "set"): lambda values=(): set(self._members(values)),
            ("builtins", "frozenset"): lambda values=(): frozenset(self._members(values)),
            ("collections", "OrderedDict"): self._mapping,
        }
        if (module, name) not in admitted:
            raise RefusedError(f"'{f'{module}.{name}'[:80]}'")
        return Name(admitted[module, name])

    def array(
        self, raw: Any, kind: Type, shape: tuple[int, ...], order: Literal["C", "F"] = "C"
    ) -> NDArray[Any]:
        """An array of bytes, which are text where those of Python 2 were read as text."""
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(data, bytes | bytearray) or not isinstance(kind, Type):
            raise TypeError("an array that is made of something else than bytes")
        self._take(len(data))
        # A copy, for what lies on bytes cannot be written to.
        return np.frombuffer(data, kind.dtype).reshape(shape, order=order).copy(order="K")

    def filled(self, state: tuple[Any, ...]) -> NDArray[Any]:
        """An array of numpy's state of one."""
        _, shape, kind, fortran, raw = state
        return self.array(raw, kind, shape, "F" if fortran else "C")

    def _encoded(self, text: str, encoding: str = "") -> bytes:
        """How Python 3 writes bytes in the protocols of Python 2."""
        if encoding not in {"latin1", "latin-1"}:
            raise RefusedError(f"the encoding {str(encoding)[:50]!r}")
        self._take(len(text))
        return text.encode("latin1")

    def _members(self, values: Any) -> list[Any]:
        """What a set is to hold."""
        if not isinstance(values, list | tuple):
            raise TypeError("a set that is made of something else than a list")
        self._take(len(values))
        self._keys.check(values)
        return list(values)

    def _mapping(self, pairs: Any = ()) -> OrderedDict[Any, Any]:
        if not isinstance(pairs, list | tuple) or any(len(pair) != 2 for pair in pairs):
            raise TypeError("a mapping that is made of something else than pairs")
        self._take(len(pairs))
        self._keys.check(key for key, _ in pairs)
        return OrderedDict(pairs)

    def _take(self, many: int) -> None:
        self._left -= many
        if self._left < 0:
            raise RefusedError(f"more values than a file of {self._size:,} bytes holds")


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value
