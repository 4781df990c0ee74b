"""Lists of videos, and of pairs that somebody has judged, as SVD has them."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path

from bench.data.list_text import quoted, read_lines
from bench.errors import DataError


def ids(path: Path) -> dict[str, None]:
    """What a list holds, in its order: unlike a list, a dict knows at once what is in it.

    Raises:
        DataError: it is no list of videos.
    """
    return dict.fromkeys(_id(path, number, name) for number, names in _rows(path) for name in names)


def judged_pairs(path: Path) -> dict[str, dict[str, bool]]:
    """Query -> {candidate: whether it is a near-duplicate}, from lines ``query candidate 0|1``.

    Raises:
        DataError: it is no such list.
    """
    judged: dict[str, dict[str, bool]] = {}
    for number, fields in _rows(path):
        if len(fields) != 3 or fields[2] not in {"0", "1"}:
            line = quoted(" ".join(fields))
            raise DataError(f"{path}:{number}: {line} is not '<query> <candidate> 0|1'; fetch it again")
        query, candidate = (_id(path, number, name) for name in fields[:2])
        judged.setdefault(query, {})[candidate] = fields[2] == "1"
    return judged


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers and fields of the lines that have some."""
    for number, line in enumerate(read_lines(path), 1):
        if fields := line.split():
            yield number, fields


def _id(path: Path, number: int, name: str) -> str:
    """Name of a video's folder of frames; never one outside of ``frames``."""
    found = os.path.basename(name).removesuffix(".mp4")
    if found in {"", ".", ".."}:
        raise DataError(f"{path}:{number}: {quoted(name)} is the name of no video; fetch it again")
    return found
