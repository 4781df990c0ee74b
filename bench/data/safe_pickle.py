"""Read pickles of published data sets without running what a stranger put into them.

A pickle is a program: unpickling may import any module and call anything in it, and a few bytes may ask for
all memory. What is here runs the part of that language which data need, and imports nothing: it knows
numbers, strings, plain containers and numpy arrays of numbers or text.
"""

from __future__ import annotations

import os
import struct
from codecs import escape_decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bench.data.pickle_instructions import Instruction, instructions
from bench.data.pickled_arrays import Calls, Name, Type, Unfilled
from bench.data.pickled_sizes import Keys, RefusedError, check_size
from bench.errors import DataError, escaped, shortened

#: Steps of one file; CIFAR-100 takes 0.3 million. More than these take seconds and much memory.
INSTRUCTIONS = 1_000_000

Encoding = Literal["ASCII", "latin1", "bytes"]


def load(path: Path, encoding: Encoding = "bytes") -> Any:
    """Read a pickle of plain values and numpy arrays.

    Args:
        path: the file, in any pickle protocol, written by Python 2 or 3.
        encoding: how to read the strings of Python 2; ``"bytes"`` leaves them as they are.

    Returns:
        Numbers, strings, bytes, lists, tuples, dicts, sets and numpy arrays, nested as in the file.

    Raises:
        DataError: the file is missing, damaged, or asks for anything else, or for more than it can hold.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; fetch it from its official source")
    place = 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            machine = _Machine(encoding, size)
            for number, instruction in enumerate(instructions(file, size)):
                place = instruction.place
                if number == INSTRUCTIONS:
                    raise RefusedError(f"more than {INSTRUCTIONS:,} steps")
                machine.follow(instruction)
        value = machine.result()
        check_size(value, size)
    except RefusedError as error:
        asked = escaped(str(error))
        raise DataError(
            f"{path}: refused, it asks for {asked} (byte {place}), which no data need; fetch it from its "
            "official source"
        ) from error
    # Damaged bytes may mean anything, so any exception may come.
    except Exception as error:
        reason = escaped(shortened(str(error) or type(error).__name__))
        raise DataError(
            f"{path}: damaged at byte {place} ({reason}); delete it and fetch it again"
        ) from error
    return value


class _Machine:
    """A stack, what is remembered, and how each instruction changes the two."""

    def __init__(self, encoding: Encoding, size: int) -> None:
        self._encoding = encoding
        self._keys = Keys()
        self._calls = Calls(size, self._keys)
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # of each mark, the stack under it
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[bytes], None]] = {
            **{name: self._pushing(made) for name, made in _CONSTANTS.items()},
            **dict.fromkeys(["BINSTRING", "SHORT_BINSTRING"], self._pushing(self._text)),
            "STRING": self._pushing(lambda raw: self._text(_unquoted(raw))),
            **dict.fromkeys(["PROTO", "FRAME", "STOP"], lambda raw: None),
            "MARK": lambda raw: self._mark(),
            "POP": lambda raw: self._pop(),
            "POP_MARK": lambda raw: self._drop(),
            "DUP": lambda raw: self._stack.append(self._stack[-1]),
            "TUPLE": lambda raw: self._collect(tuple),
            "LIST": lambda raw: self._collect(list),
            "FROZENSET": lambda raw: self._collect(self._frozen),
            "DICT": lambda raw: self._collect(self._mapping),
            **{f"TUPLE{many}": self._tupling(many) for many in (1, 2, 3)},
            "APPEND": lambda raw: self._extend([self._stack.pop()]),
            "APPENDS": lambda raw: self._extend(self._since_mark()),
            "SETITEM": lambda raw: self._set_items([self._stack.pop() for _ in range(2)][::-1]),
            "SETITEMS": lambda raw: self._set_items(self._since_mark()),
            "ADDITEMS": lambda raw: self._add(self._since_mark()),
            "MEMOIZE": lambda raw: self._remember(len(self._memo)),
            **dict.fromkeys(["BINPUT", "LONG_BINPUT"], lambda raw: self._remember(_unsigned(raw))),
            "PUT": lambda raw: self._remember(int(raw)),
            **dict.fromkeys(["BINGET", "LONG_BINGET"], lambda raw: self._recall(_unsigned(raw))),
            "GET": lambda raw: self._recall(int(raw)),
            "GLOBAL": lambda raw: self._refer(*raw.decode("utf-8").split("\n")),
            "STACK_GLOBAL": lambda raw: self._refer(*[self._stack.pop() for _ in range(2)][::-1]),
            "REDUCE": lambda raw: self._call(),
            "BUILD": lambda raw: self._build(),
        }

    def follow(self, instruction: Instruction) -> None:
        """Take one step.

        Raises:
            RefusedError: no data need it.
            Exception: of any kind, where the step makes no sense.
        """
        step = self._steps.get(instruction.name)
        if step is None:
            raise RefusedError(f"the instruction {instruction.name}")
        step(instruction.argument)

    def result(self) -> Any:
        """What is on top of the stack in the end."""
        return self._stack[-1]

    def _pushing(self, made: Callable[[bytes], Any]) -> Callable[[bytes], None]:
        return lambda raw: self._stack.append(made(raw))

    def _text(self, raw: bytes) -> str | bytes:
        """A string of Python 2."""
        return raw if self._encoding == "bytes" else raw.decode(self._encoding)

    # -- stack and memory --------------------------------------------------------------------------

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _drop(self) -> None:
        self._since_mark()

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._drop()

    def _remember(self, place: int) -> None:
        value = self._memo[place] = self._stack[-1]
        if isinstance(value, Unfilled):
            value.places.append(place)

    def _recall(self, place: int) -> None:
        self._stack.append(self._memo[place])

    # -- containers --------------------------------------------------------------------------------

    def _collect(self, made: Callable[[list[Any]], Any]) -> None:
        items = self._since_mark()
        self._stack.append(made(items))

    def _tupling(self, many: int) -> Callable[[bytes], None]:
        def step(raw: bytes) -> None:
            if len(self._stack) < many:
                raise ValueError("a tuple of more than there is")
            self._stack[-many:] = [tuple(self._stack[-many:])]

        return step

    def _frozen(self, items: list[Any]) -> frozenset[Any]:
        self._keys.check(items)
        return frozenset(items)

    def _mapping(self, items: list[Any]) -> dict[Any, Any]:
        self._keys.check(items[::2])
        return dict(zip(items[::2], items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        self._top(dict).update(self._mapping(items))

    def _add(self, items: list[Any]) -> None:
        self._top(set).update(self._frozen(items))

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"a {kind.__name__} is filled that is none")
        return self._stack[-1]

    # -- what is called ----------------------------------------------------------------------------

    def _refer(self, module: str, name: str) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is no text")
        self._stack.append(self._calls.named(module, name))

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Name) or function.call is None or not isinstance(arguments, tuple):
            raise RefusedError("a call of what is no function")
        self._stack.append(function.call(*arguments))

    def _build(self) -> None:
        """Fill an array or a type; the array takes the place of what stood for it."""
        state, built = self._stack.pop(), self._stack[-1]
        if isinstance(built, Type):
            built.build(state)
        elif isinstance(built, Unfilled):
            self._stack[-1] = values = self._calls.filled(state)
            self._memo.update(dict.fromkeys(built.places, values))
        else:
            what = "a function or class" if isinstance(built, Name) else f"a {type(built).__name__}"
            raise RefusedError(f"{what} to be changed")


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _line(raw: bytes) -> int:
    """A number in a line of text: long ones of Python 2 end in a letter, and truth values are two digits."""
    return raw == b"01" if raw in {b"00", b"01"} else int(raw.removesuffix(b"L"))


def _unquoted(raw: bytes) -> bytes:
    """The string in quotation marks that a line holds."""
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in {b"'", b'"'}:
        raise ValueError("a string without quotation marks")
    return escape_decode(raw[1:-1])[0]


def _unicode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


_CONSTANTS: dict[str, Callable[[bytes], Any]] = {
    "NONE": lambda raw: None,
    "NEWTRUE": lambda raw: True,
    "NEWFALSE": lambda raw: False,
    **dict.fromkeys(["INT", "LONG"], _line),
    **dict.fromkeys(["BININT", "LONG1", "LONG4"], _signed),
    **dict.fromkeys(["BININT1", "BININT2"], _unsigned),
    "FLOAT": float,
    "BINFLOAT": lambda raw: struct.unpack(">d", raw)[0],
    **dict.fromkeys(["SHORT_BINBYTES", "BINBYTES", "BINBYTES8"], bytes),
    "BYTEARRAY8": bytearray,
    "UNICODE": lambda raw: raw.decode("raw-unicode-escape"),
    **dict.fromkeys(["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"], _unicode),
    "EMPTY_LIST": lambda raw: [],
    "EMPTY_TUPLE": lambda raw: (),
    "EMPTY_DICT": lambda raw: {},
    "EMPTY_SET": lambda raw: set(),
}
