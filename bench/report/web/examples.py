"""Which pictures of retrieved images the web report carries, within a limit of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.results.folder import Results
from bench.results.records import Examples, Record
from bench.results.summary import Row, Summary

#: Bytes of pictures that one report may hold.
LIMIT = 1_000_000


@dataclass
class Pictures:
    """What was kept.

    Attributes:
        files: path in the site -> WebP image.
        strips: record key -> what the page's scripts need to lay the pictures out.
        left_out: number of cells whose pictures did not fit.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    strips: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: int = 0


def choose(summary: Summary, results: Results, names: Mapping[str, str], limit: int = LIMIT) -> Pictures:
    """Keep pictures in order of interest until ``limit`` is reached.

    Args:
        summary: the rows; the best of each student and method come first, then other rows, then other seeds.
        results: where the pictures are.
        names: record key -> file name without ending, for the site.
        limit: bytes.
    """
    pictures, used = Pictures(), 0
    for record in _by_interest(summary):
        examples = results.noted(results.examples, record, None)
        sprite = results.noted(results.sprite, record, b"") if examples and examples.rows else b""
        if not examples or not sprite:
            continue
        if used + len(sprite) > limit:
            pictures.left_out += 1
            continue
        used += len(sprite)
        path = f"examples/{names[record.key]}.webp"
        pictures.files[path] = sprite
        pictures.strips[record.key] = {
            "sprite": path,
            "tile": examples.tile,
            "columns": 1 + max(len(row.results) for row in examples.rows),
            "rows": _rows(examples),
        }
    return pictures


def _by_interest(summary: Summary) -> Iterable[Record]:
    """Every finished cell once."""
    best: list[Record] = []
    others: list[Record] = []
    seeds: list[Record] = []
    for group in summary.groups:
        seen, accuracy = set(), group.accuracy
        for row in sorted(group.rows, key=lambda row: _rank(row, accuracy)):
            first, *rest = row.records
            kind = row.configuration.student, row.configuration.method
            (others if kind in seen else best).append(first)
            seen.add(kind)
            seeds += rest
    return [*best, *others, *seeds]


def _rank(row: Row, accuracy: str | None) -> float:
    """Sorts the most accurate rows first."""
    one = row.estimates.get(accuracy or "")
    return float("inf") if one is None else -one.value


def _rows(examples: Examples) -> list[list[Any]]:
    """By query: its place, then place, distance and rightness (1, 0, None) of every result."""
    rows = []
    for row in examples.rows:
        found = zip(row.results, row.distances, row.right, strict=False)
        results = [
            [place, round(distance, 3), None if right is None else int(right)]
            for place, distance, right in found
        ]
        rows.append([row.query, results])
    return rows
