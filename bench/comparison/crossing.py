"""A side that is the same with every seed, beside one that several seeds have trained."""

from __future__ import annotations

from collections.abc import Mapping

from bench.results.records import Record
from bench.results.seedless import seedless

BySeed = dict[int, list[Record]]


def crossed(before: BySeed, after: BySeed) -> tuple[BySeed, BySeed, list[str]]:
    """Both sides, where one that was made once for all seeds stands beside each seed of the other.

    Args:
        before, after: seed -> records of side A and of side B.

    Returns:
        Both, as they were unless one of them is such a side; and a note that says so.
    """
    if _made_once(before) and len(after) > 1:
        return dict.fromkeys(after, *before.values()), after, [_note("A")]
    if _made_once(after) and len(before) > 1:
        return before, dict.fromkeys(before, *after.values()), [_note("B")]
    return before, after, []


def _made_once(side: Mapping[int, list[Record]]) -> bool:
    return len(side) == 1 and all(seedless(record) for records in side.values() for record in records)


def _note(side: str) -> str:
    return f"{side} is the same with every seed, and was made once"
