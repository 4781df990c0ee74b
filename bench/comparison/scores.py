"""Scores of one configuration on both sides of a comparison, query by query where they were kept.

Not-a-number is the score of a query that nothing in the database answers. Such queries are left out on both
sides together, and counted; nothing behind this module meets one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.comparison.pairing import Pair
from bench.results import wording
from bench.results.folder import Results

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedScores:
    """The same seeds and queries on both sides.

    Attributes:
        before, after: float64 (seeds, queries), finite; (seeds, 1) where scores by query were not kept.
        by_query: whether they are scores of queries, and not means over them.
        same: whether both sides have the same scores, and none for the same queries.
        left_out: queries that have no score for some seed on either side.
        one_sided: those among them that have one on the other side, so that means over all that either side
            answers are not of the same queries.
    """

    before: Floats
    after: Floats
    by_query: bool
    same: bool
    left_out: int = 0
    one_sided: int = 0

    @property
    def differences(self) -> Floats:
        """New less baseline, float64 (seeds, queries)."""
        return np.asarray(self.after - self.before)

    @property
    def queries(self) -> int | None:
        """Queries that have a score everywhere; None where they are not known."""
        return self.before.shape[1] if self.by_query else None


def paired_scores(base: Results, new: Results, one: Pair, name: str) -> PairedScores:
    """The scores of ``one`` by the metric with the full name ``name``, which all its records must have.

    Raises:
        RecordError: a file of scores is damaged.
    """
    kept = [
        [results.per_query(record).get(name) for record in records]
        for results, records in ((base, one.base), (new, one.new))
    ]
    arrays = [scores for side in kept for scores in side if scores is not None]
    if len(arrays) == 2 * len(one.base) and len({scores.shape for scores in arrays}) == 1:
        before, after = np.asarray(arrays, np.float64).reshape(2, len(one.base), -1)
        finite = np.isfinite(before), np.isfinite(after)
        answered = finite[0].all(axis=0) & finite[1].all(axis=0)
        if answered.any():
            return PairedScores(
                before[:, answered],
                after[:, answered],
                by_query=True,
                same=np.array_equal(before, after, equal_nan=True),
                left_out=int(np.count_nonzero(~answered)),
                one_sided=int(np.count_nonzero((finite[0] != finite[1]).any(axis=0))),
            )
    means = [
        np.array([[record.metrics[name].value] for record in side], np.float64)
        for side in (one.base, one.new)
    ]
    return PairedScores(means[0], means[1], by_query=False, same=np.array_equal(means[0], means[1]))


def other_meaning(one: Pair, name: str) -> str:
    """In what a number is another one than before under the same name; empty where it is not.

    A plug-in may have changed its unit or its direction; a rise would then pass for a gain, or for chance.
    """
    sides = [
        [record.metrics[name] for record in side if name in record.metrics] for side in (one.base, one.new)
    ]
    for fact, words in (
        ("unit", "unit"),
        ("higher_is_better", "higher is better"),
        ("noise", "kind of noise"),
    ):
        before, now = ({getattr(metric, fact) for metric in side} for side in sides)
        if now and before != now:
            old, new = (", ".join(sorted(map(str, values))) or "none" for values in (before, now))
            return wording.one_line(f"{words}: {new} and was {old}")
    return ""
