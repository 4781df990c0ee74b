"""Text files that list things, a line each with blanks between: read strictly, so that nothing is misread.

A mark of the byte order at the beginning, tabs, blanks at the end of a line and all usual breaks of lines are
fine. What shows nothing and is no blank would end up in a name, or part one, without anybody seeing it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from bench import environment
from bench.data.decoding import reason, regular
from bench.errors import DataError, escaped, shortened

#: Bytes that a text takes in memory for each byte of its file, at most, while it is taken apart.
_TAKEN = 12
#: What is neither a blank, a tab nor a break of lines, and shows nothing.
_ODD = re.compile(r"[^\S \t\n]|[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\u200b\u2028-\u202e\u2060\u2066-\u2069]")
#: Most lists have nothing else.
_PLAIN = bytes([9, 10, 13, *range(32, 127)])


def read_lines(path: Path) -> list[str]:
    """The lines of a list in UTF-8, tabs as blanks, without blanks at their ends; empty ones stay.

    Raises:
        DataError: it cannot be read, is no such text, or holds what nobody sees; says where.
    """
    try:
        with regular(path) as file:
            size, free = os.fstat(file.fileno()).st_size, environment.available_memory()
            if free is not None and size > max(free // _TAKEN, 1 << 20):
                raise ValueError(f"{size:,} bytes, more than memory has room for")
            data = file.read()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(_no_text(path, data, error)) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable list ({reason(error)}); fetch it again") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if data.translate(None, _PLAIN) and (odd := _ODD.search(text)):
        raise DataError(_odd(path, text, odd.start()))
    return [line.rstrip(" ") for line in text.replace("\t", " ").split("\n")]


def quoted(line: str) -> str:
    """A line of a list as a message shows it."""
    return f"'{escaped(shortened(line))}'"


def _no_text(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"{path}: UTF-16; save it as UTF-8"
    before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"{path}:{line}:{column}: byte 0x{data[error.start]:02x} is no UTF-8; save the list as UTF-8"


def _odd(path: Path, text: str, at: int) -> str:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    character, many = text[at], len(_ODD.findall(text))
    name = unicodedata.name(character, "a control character").lower()
    more = f", and {many - 1:,} more such characters" if many > 1 else ""
    cure = "save it as UTF-8" if character == "\0" else "take it out, or put a blank there"
    return f"{path}:{line}:{column}: U+{ord(character):04X} ({name}), which nobody sees{more}; {cure}"
