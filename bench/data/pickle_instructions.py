"""The words of a pickle: which instruction stands where, and which bytes are its argument. Nothing is run."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import IO, NamedTuple

#: How long an argument is whose first bytes say so: how many bytes, and whether they hold a sign.
_COUNTED = {
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}
#: What takes two lines of text.
_TWO_LINES = frozenset({"GLOBAL", "INST"})
_KINDS = {
    ord(opcode.code): (opcode.name, opcode.arg.n if opcode.arg else 0) for opcode in pickletools.opcodes
}


class Instruction(NamedTuple):
    """One step of the program.

    Attributes:
        place: of its first byte in the file.
        name: as ``pickletools`` has it.
        argument: its bytes, without their count or the end of the line; of two lines with the break between.
    """

    place: int
    name: str
    argument: bytes


def instructions(file: IO[bytes], size: int) -> Iterator[Instruction]:
    """Split a file of ``size`` bytes, up to its end or ``STOP``; no more is read than is there.

    Raises:
        ValueError: a byte that begins no instruction, or an argument that the file does not hold.
    """
    place = 0
    while code := file.read(1):
        if code[0] not in _KINDS:
            raise ValueError(f"byte {place} begins no instruction")
        name, length = _KINDS[code[0]]
        start, place = place, place + 1
        if length == pickletools.UP_TO_NEWLINE:
            lines = [file.readline() for _ in range(2 if name in _TWO_LINES else 1)]
            if not all(line.endswith(b"\n") for line in lines):
                raise ValueError("a line has no end")
            place += sum(map(len, lines))
            argument = b"".join(lines)[:-1]
        else:
            if length < 0:
                width, signed = _COUNTED[length]
                length = int.from_bytes(_exactly(file, width, size - place), "little", signed=signed)
                place += width
            argument = _exactly(file, length, size - place) if length else b""
            place += length
        yield Instruction(start, name, argument)
        if name == "STOP":
            return
    raise ValueError("it ends in the middle")


def _exactly(file: IO[bytes], length: int, left: int) -> bytes:
    """Read so many bytes; a count is compared with what is left before room is made for it."""
    if not 0 <= length <= left:
        raise ValueError(f"{length:,} bytes are to come and {left:,} are left")
    return file.read(length)
