"""What distillation adds along a curve: at every value, paired over seeds and queries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from bench.comparison.compare import LEVEL, Compared, compare
from bench.comparison.compare_text import samples
from bench.comparison.pairing import CHANGED
from bench.comparison.statistics import holm
from bench.errors import NothingToCompareError, RecordError, UsageError
from bench.results import wording
from bench.results.curves import Curve, Gain
from bench.results.folder import Results
from bench.results.records import Record

log = logging.getLogger(__name__)

#: Roles of what was trained without step 1.
_PLAIN = ("teacher", "undistilled")


def gains(curve: Curve, results: Results) -> dict[tuple[int, float], Gain]:
    """Position of a line and value -> what its method adds to the same student without step 1.

    As ``compare --a method=none --b method=NAME`` finds it among the cells of that value; p values are
    adjusted for all that is asked of the curve. Where other parameters differ, too, nothing is asked. Nothing
    is said of limited runs; damaged scores are logged.
    """
    if curve.limited:
        return {}
    asked = dict(_asked(curve, results))
    tested = [(place, one.p) for place, one in asked.items() if one.p is not None and not one.changed_params]
    adjusted = dict(zip([place for place, _ in tested], holm([p for _, p in tested]).tolist(), strict=True))
    return {place: _gain(one, adjusted.get(place)) for place, one in asked.items()}


def _asked(curve: Curve, results: Results) -> Iterator[tuple[tuple[int, float], Compared]]:
    for position, line in enumerate(curve.lines):
        if line.role != "distilled":
            continue
        for value, row in line.rows.items():
            plain = [
                record
                for other in curve.lines
                if other.role in _PLAIN and value in other.rows
                for record in other.rows[value].records
            ]
            if plain and (found := _compared(curve, plain, row.records, results)):
                yield (position, value), found


def _compared(curve: Curve, plain: list[Record], taught: list[Record], results: Results) -> Compared | None:
    """The only pair among these cells; None where they cannot be compared."""
    some, cell = replace(results, records=[*plain, *taught]), taught[0].cell
    without, with_it = {"method": "none"}, {"method": cell.method}
    try:
        found = compare(some, some, metric=curve.accuracy, base_only=without, new_only=with_it)
    except RecordError as error:
        log.warning("warning: no gain is told of %s: %s", cell.slug, error)
        return None
    except (NothingToCompareError, UsageError):
        return None
    return found.pairs[0] if len(found.pairs) == 1 else None


def _gain(one: Compared, p: float | None) -> Gain:
    """``p``: adjusted."""
    low, high = one.interval or (0.0, 0.0)
    return Gain(
        difference=one.difference,
        interval=one.interval,
        p=p,
        shown=p is not None and p < LEVEL and not low <= 0 <= high,
        over=samples([one]),
        beside=next((note for note in one.notes if one.changed_params and note.startswith(CHANGED)), ""),
        mark=wording.WARNED if one.warnings else "",
    )
