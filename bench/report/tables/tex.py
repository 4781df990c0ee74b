r"""Tables as LaTeX floats that compile with pdfLaTeX, whatever the names in them are."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from bench.report.tables.columns import Column
from bench.results.wording import PARTIAL, UNSTEADY, WARNED

#: What the document that reads the tables needs; all are in any distribution of LaTeX.
PACKAGES = ("array", "booktabs", "graphicx")

#: Lines that fit a page, with head and notes; fewer where cells are wrapped.
_LINES, _WRAPPED_LINES = 36, 12
#: Text columns with longer cells than this are wrapped, in characters.
_LONGEST_CELL = 44
#: Words are broken after this many characters where there are lines to break.
_LONGEST_WORD = 24
#: A head is not wrapped to less than this, in characters.
_NARROWEST_HEAD = 9

_SCALE = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    # A line that starts with one of these would be read as an argument of the \\ before it.
    **{character: f"{{{character}}}" for character in "[]*"},
    # Alone, so that neither ligatures nor the shorthands of babel see them.
    '"': "''",
    "`": "`{}",
    "-": "-{}",
    "±": r"$\pm$",
    "÷": r"$\div$",
    "×": r"$\times$",
    "−": "$-$",
    "·": r"$\cdot$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "‘": "`{}",
    "’": "'",
    "“": "``",
    "”": "''",
    "µ": r"$\mu$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    UNSTEADY: r"$\dagger$",
    PARTIAL: r"$\ddagger$",
    WARNED: r"\S{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
#: Capitals that differ from Latin ones; the others have no command.
_GREEK_CAPITALS = "ΓΔΘΛΞΠΣΥΦΨΩ"


def escape(text: str) -> str:
    """``text`` as LaTeX sets it with its default fonts.

    Accented Latin letters become accents, Greek letters mathematics. Every other character outside ASCII,
    for which pdfLaTeX would stop, and every control character is written as its code point: ``(U+4E2D)``.
    """
    escaped = "".join(map(_character, unicodedata.normalize("NFC", text)))
    # A single hyphen is safe; only runs of them turn into dashes.
    return re.sub(r"-\{\}(?!-\{\})", "-", escaped)


def _breakable(text: str) -> str:
    """``text`` escaped, with places to break words that are longer than any line of a column."""
    words = (
        [word[i : i + _LONGEST_WORD] for i in range(0, len(word), _LONGEST_WORD)] for word in text.split(" ")
    )
    return " ".join(r"\allowbreak{}".join(map(escape, pieces)) for pieces in words)


def _character(one: str) -> str:
    if one in _CHARACTERS:
        return _CHARACTERS[one]
    if one.isascii() and one.isprintable():
        return one
    parts = unicodedata.normalize("NFD", one)
    if parts[0].isascii() and (accent := _ACCENTS.get(parts[1:])):
        return f"\\{accent}{{{parts[0]}}}"
    if command := _greek(one):
        return f"$\\{command}$"
    return f"(U+{ord(one):04X})"


def _greek(one: str) -> str:
    """The command of a Greek letter; empty for all else."""
    name = unicodedata.name(one, "")
    letter = name.removeprefix("GREEK SMALL LETTER ").removeprefix("GREEK CAPITAL LETTER ")
    letter = {"LAMDA": "LAMBDA", "FINAL SIGMA": "VARSIGMA"}.get(letter, letter)
    if one in _GREEK_CAPITALS:
        return letter.capitalize()
    return letter.lower() if "αβγδεζηθικλμνξπρςστυφχψω".find(one) >= 0 else ""


def table(columns: list[Column], caption: str, notes: Sequence[str] = ()) -> list[str]:
    """Return floats as wide as the text at most, as many as it takes for all lines; notes under the last."""
    wrapped = [not c.numeric and max(map(len, c.cells), default=0) > _LONGEST_CELL for c in columns]
    lines = _body(columns, wrapped)
    step = _WRAPPED_LINES if any(wrapped) else _LINES
    chunks = [lines[start : start + step] for start in range(0, len(lines), step)]
    kinds = "".join(_kind(column, wrap) for column, wrap in zip(columns, wrapped, strict=True))
    head = [_line(map(escape, cells)) for cells in _heads(columns)]
    last = len(chunks) - 1
    return [
        "\n".join(
            [
                r"\begin{table}",
                r"\centering\small\setlength{\tabcolsep}{3pt}",
                rf"\caption{{{_breakable(caption)}{' (continued)' * (number > 0)}}}",
                _SCALE,
                rf"\begin{{tabular}}{{{kinds}}}",
                r"\toprule",
                *head,
                r"\midrule",
                *chunk,
                r"\bottomrule",
                r"\end{tabular}}",
                *(_notes(notes) if number == last else ()),
                r"\end{table}",
            ]
        )
        for number, chunk in enumerate(chunks)
    ]


def _kind(column: Column, wrap: bool) -> str:
    if wrap:
        return r">{\raggedright\arraybackslash}p{20em}"
    return "r" if column.numeric else "l"


def _body(columns: list[Column], wrapped: list[bool]) -> list[str]:
    cells = []
    for column, wrap in zip(columns, wrapped, strict=True):
        texts = map(_breakable if wrap else escape, column.cells)
        cells.append([rf"\textbf{{{t}}}" if line in column.bold else t for line, t in enumerate(texts)])
    return [_line(line) for line in zip(*cells, strict=True)]


def _heads(columns: list[Column]) -> Iterator[tuple[str, ...]]:
    """Lines of the head: title and detail of each column, wrapped to about the width of its cells."""
    wrapped = []
    for column in columns:
        width = max([_NARROWEST_HEAD, *map(len, column.cells)])
        parts = [column.head, f"({column.detail})"] if column.detail else [column.head]
        wrapped.append(
            [line for part in parts for line in textwrap.wrap(part, width, break_long_words=False)]
        )
    height = max(map(len, wrapped))
    return zip(*([""] * (height - len(lines)) + lines for lines in wrapped), strict=True)


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        *(f"{_breakable(note)}\\par" for note in notes),
        r"\end{minipage}",
    ]


def _line(cells: Iterator[str] | Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
