"""How sure the places on a front are: shares of draws, see ``bench.comparison.front_draws``."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Attained:
    """What each budget buys: the best accuracy at or below it, over the draws.

    Attributes:
        rows: position in the front's rows of whom each budget comes from.
        budgets: in the unit of the cost, the least first, or the highest rate: what rows cost and, where that
            strays, what they seldom cost more than.
        low: accuracy that 95 of 100 draws reach there; None where some buy nothing.
        middle: the one that half of them reach.
        high: the one that 5 of 100 reach.
    """

    rows: list[int]
    budgets: list[float]
    low: list[float | None]
    middle: list[float | None]
    high: list[float | None]

    def over(self, cost: float, accuracy: float) -> Attained:
        """The same in other units."""
        lines = ([one and one / accuracy for one in line] for line in (self.low, self.middle, self.high))
        return Attained(self.rows, [one / cost for one in self.budgets], *lines)


@dataclass(frozen=True)
class Chances:
    """Shares of draws, one number for each row of a front, in its order; None for rows that cannot be judged.

    Attributes:
        on_front: in which the row is on the front of the rows that are judged.
        recommended: in which it is the student to take.
        dominates: by position, of those in ``paired`` alone: in which the first dominates the second.
        paired: positions of the rows that ``dominates`` is about, ascending.
        attained: what each budget buys; None where nothing is judged.
        draws: how many there were.
        seeds: fewest and most seeds of the rows that are judged, without those that no seed changes; 0 and 0
            where there are no others.
        queries: that were drawn; None where seeds alone were.
        missing: why there are no numbers; empty where there are some.
        notes: what a reader must know of them.
    """

    on_front: list[float | None]
    recommended: list[float | None]
    dominates: list[list[float]]
    paired: list[int]
    attained: Attained | None
    draws: int
    seeds: tuple[int, int]
    queries: int | None
    missing: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def none(cls, rows: int, why: str) -> Chances:
        """No number for any of so many rows."""
        nothing: list[float | None] = [None] * rows
        return cls(nothing, nothing, [], [], None, 0, (0, 0), None, missing=why)

    @property
    def what(self) -> str:
        """Of what other ones were drawn: ``seeds and queries``."""
        return " and ".join(filter(None, ["seeds" * any(self.seeds), "queries" * (self.queries is not None)]))

    @property
    def over(self) -> str:
        """What was drawn: ``3 seeds and 1,000 queries``."""
        seeds = "–".join(map(str, dict.fromkeys(self.seeds)))
        queries = "" if self.queries is None else f"{self.queries:,} queries"
        return " and ".join(filter(None, [f"{seeds} seeds" * any(self.seeds), queries]))

    def lean(self) -> Chances:
        """The same without pairs of rows."""
        return replace(self, dominates=[], paired=[])


def percent(share: float) -> str:
    """``93 %``; draws are too few to tell 0 and 100 % from what is near them."""
    if share < 0.005:
        return "< 1 %"
    return "> 99 %" if share > 0.995 else f"{100 * share:.0f} %"
