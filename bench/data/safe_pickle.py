"""Read pickles of published data sets without running what a stranger put into them.

A pickle is a program: unpickling may import any module and call anything in it. This reader knows numbers,
strings, plain containers and numpy arrays of numbers or text. Not even numpy's own constructors see what
the file says: arrays are made here, from bytes and a checked type, since a forged dtype would let numpy
take any bytes for pointers.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from types import FunctionType
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

#: Kinds of array elements that hold nothing but values: no objects, no records.
PLAIN_KINDS = frozenset("biufcSU")


def load(path: Path, encoding: Literal["ASCII", "latin1", "bytes"] = "bytes") -> Any:
    """Read a pickle of plain values and numpy arrays.

    Args:
        path: the file, in any pickle protocol, written by Python 2 or 3.
        encoding: how to read the strings of Python 2; ``"bytes"`` leaves them as they are.

    Returns:
        Numbers, strings, bytes, lists, tuples, dicts, sets and numpy arrays, nested as in the file.

    Raises:
        DataError: the file is missing, damaged, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return _finished(_Reader(file, encoding).load(), {})
    except _RefusedError as error:
        raise DataError(
            f"{path}: refused, it asks for {error}, which no data need; fetch it from its official source"
        ) from error
    # Damaged bytes may mean anything to the unpickler, so any exception may come.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: damaged ({reason}); delete it and fetch it again") from error


class _RefusedError(Exception):
    """The message names what was asked for."""


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], encoding: str) -> None:
        super().__init__(file, encoding=encoding)

    def find_class(self, module: str, name: str) -> Any:
        """Hand out the stand-ins below and nothing else."""
        if (module, name) not in _ADMITTED:
            raise _RefusedError(f"'{module}.{name}'")
        admitted = _ADMITTED[module, name]
        # A pickle may set attributes of whatever it was handed: hand out copies of functions.
        return FunctionType(admitted.__code__, globals()) if isinstance(admitted, FunctionType) else admitted


class _Type:
    """Stands in for ``numpy.dtype``: a type code, then its byte order."""

    def __init__(self, code: str | bytes, align: object = False, copy: object = False) -> None:
        self.dtype = np.dtype(_text(code))
        if self.dtype.kind not in PLAIN_KINDS:
            raise _RefusedError(f"an array of type '{_text(code)}'")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise _RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(_text(state[1]))  # type: ignore[arg-type]


class _Array:
    """Stands in for ``numpy.ndarray``: empty, then filled from the state that follows."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        self.values = _values(raw, kind, shape, "F" if fortran else "C")


def _values(raw: Any, kind: _Type, shape: tuple[int, ...], order: Literal["C", "F"]) -> NDArray[Any]:
    # latin1 is how Python 2's byte strings come out where they were read as text.
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(memoryview(raw))
    # A copy, for what lies on bytes cannot be written to.
    return np.frombuffer(data, kind.dtype).reshape(shape, order=order).copy(order="K")


def _empty_array(kind: object, shape: object, code: object) -> _Array:
    return _Array()


def _array_of_buffer(raw: Any, kind: _Type, shape: tuple[int, ...], order: Literal["C", "F"]) -> NDArray[Any]:
    return _values(raw, kind, shape, order)


def _scalar(kind: _Type, raw: Any) -> Any:
    return _values(raw, kind, (1,), "C")[0]


def _encoded(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in the protocols of Python 2."""
    if encoding not in {"latin1", "latin-1"}:
        raise _RefusedError(f"the encoding '{encoding}'")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How Python 3 writes no bytes in these protocols; with an argument, ``bytes`` could fill the memory."""
    return b""


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


_LEAVES = (int, float, complex, str, bytes, bytearray, np.ndarray, np.generic, type(None))
#: Where numpy 1 and numpy 2 keep what their pickles refer to.
_NUMPY = ("numpy.core", "numpy._core")
_ADMITTED: dict[tuple[str, str], Any] = {
    # Only ever an argument of _reconstruct; a name cannot be called.
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Type,
    **{(f"{package}.multiarray", "_reconstruct"): _empty_array for package in _NUMPY},
    **{(f"{package}.multiarray", "scalar"): _scalar for package in _NUMPY},
    **{(f"{package}.numeric", "_frombuffer"): _array_of_buffer for package in _NUMPY},
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): OrderedDict,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}


def _finished(value: Any, done: dict[int, Any]) -> Any:
    """Put real arrays where the stand-ins are; ``done`` has what was seen, as parts may be shared.

    Raises:
        _RefusedError: a function or class is left where data should be.
    """
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, _Array):
        if value.values is None:
            raise ValueError("an array without values")
        return value.values
    if isinstance(value, _Type):
        return value.dtype
    done[id(value)] = value
    if isinstance(value, dict):
        for key in value:
            value[key] = _finished(value[key], done)
    elif isinstance(value, list):
        value[:] = [_finished(item, done) for item in value]
    elif isinstance(value, tuple):
        done[id(value)] = tuple(_finished(item, done) for item in value)
    elif isinstance(value, set | frozenset):
        for item in value:
            _finished(item, done)
    elif not isinstance(value, _LEAVES):
        raise _RefusedError(f"a {type(value).__name__}")
    return done[id(value)]
