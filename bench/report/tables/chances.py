"""The words of chances: how sure places on a front are, and which student to take."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results import wording
from bench.results.chances import Chances, percent
from bench.results.fronts import Front
from bench.results.summary import Row

#: Another student is named that is the one to take in at least this share of draws.
_WORTH_NAMING = 0.1

RULE = (
    "P(front): share of draws in which the row is on the front. A draw takes other seeds (their error by "
    "Student's t) and resampled queries, the same for all rows, and resampled timings; it knows nothing of "
    "other data, and rows that happened to do well keep that."
)

#: Beside a standing and a share that seem to contradict each other.
WHICH = (
    "Standing and P(front) are two criteria: not distinguishable compares intervals of single rows, which "
    "also hold what moves all rows alike, and so rules out little; P(front) draws all rows together, and "
    "finds smaller differences. Where they differ, as in < 1 % beside not distinguishable, believe P(front) "
    "for how sure the place of a row is, and ask compare whether one row is better than another."
)


def known(front: Front) -> Chances | None:
    """The chances of a front where there are numbers."""
    return front.chances if front.chances is not None and not front.chances.missing else None


def cells(front: Front, rows: Sequence[Row]) -> list[str]:
    """P(front) of some rows of a front; empty where nothing is known of any."""
    if (chances := known(front)) is None:
        return []
    share = {id(row): one for row, one in zip(front.rows, chances.on_front, strict=True)}
    return [wording.UNKNOWN if (one := share[id(row)]) is None else percent(one) for row in rows]


def notes(front: Front) -> list[str]:
    """What P(front) is over, and what is left out; or why there is none."""
    if front.chances is None:
        return []
    if chances := known(front):
        return [f"P(front): {chances.draws:,} draws of {'; '.join([chances.over, *chances.notes])}."]
    return [f"No P(front): {front.chances.missing}."]


def of_recommended(front: Front) -> str:
    """How sure the recommendation is, to follow it: ``; it is this one in 93 % of ...``; empty if unasked."""
    if front.chances is None:
        return ""
    shares = dict(enumerate(front.chances.recommended))
    own = next(i for i, row in enumerate(front.rows) if row is front.recommended)
    share = shares.pop(own)
    if share is None:
        return "; how sure that is takes more seeds than one"
    others = [(one, -i) for i, one in shares.items() if one is not None and one >= _WORTH_NAMING]
    said = f"; it is this one in {percent(share)} of {front.chances.draws:,} draws of {front.chances.what}"
    if not others:
        return said
    most, place = max(others)
    return f"{said}, and {front.rows[-place].configuration} in {percent(most)}"
