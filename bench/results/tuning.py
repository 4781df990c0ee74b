"""What records of tuned cells say: the budget, the trials, and what a smaller budget would have found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.results.records import Real, Record

#: The stage whose summary holds all that.
STAGE = "tune"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trial(_Part):
    """One training at one point: the mAP on validation images, 0 where it diverged, and what it cost."""

    values: dict[str, Any]
    val_map: Real
    seconds: Real | None = None
    diverged: bool = False


class Study(_Part):
    """A tuning of its own.

    Attributes:
        winner: number of the trial with the best validation mAP, of equal ones the first.
        expected_best: see ``expected_best``.
    """

    winner: int
    trials: list[Trial] = Field(min_length=1)
    expected_best: list[Real]


def expected_best(scores: Sequence[float]) -> list[float]:
    """Expected best score of n trials drawn with replacement from those made, for n = 1 to all of them.

    J. Dodge et al., "Show Your Work: Improved Reporting of Experimental Results", EMNLP 2019, equations 3 to
    6: the mean of the largest of n draws from the empirical distribution of ``scores``.
    """
    ordered, count = sorted(scores), len(scores)
    return [
        sum(score * ((i / count) ** n - ((i - 1) / count) ** n) for i, score in enumerate(ordered, start=1))
        for n in range(1, count + 1)
    ]


def study_of(trials: Sequence[Trial]) -> Study:
    """What comes of the trials of one study."""
    scores = [trial.val_map for trial in trials]
    return Study(winner=scores.index(max(scores)), trials=[*trials], expected_best=expected_best(scores))


def studies_of(record: Record) -> list[Study]:
    """All studies that a cell was tuned in; empty where it was not, or where what it says is none."""
    summary = record.stages[STAGE].summary if STAGE in record.stages else {}
    try:
        return [Study.model_validate(one) for one in summary.get("studies", [])]
    except (ValidationError, TypeError):
        return []


def budget_of(record: Record) -> Mapping[str, Any] | None:
    """What a cell was tuned with; None where it was not."""
    budget = record.params.get("tuning")
    return budget if isinstance(budget, dict) and budget else None


def budget_words(budget: Mapping[str, Any] | None) -> str:
    """``tuned in 3 studies of 16 trials``, ``not tuned``."""
    if budget is None:
        return "not tuned"
    studies, trials, share = (budget.get(name) for name in ("studies", "trials", "epochs_share"))
    many = "1 study" if studies == 1 else f"{studies} studies"
    shorter = f", each for {share:.0%} of the epochs" if isinstance(share, float) and share < 1 else ""
    return f"tuned in {many} of {trials} trials{shorter}"


def unequal(records: Sequence[Record], others: Sequence[Record]) -> str:
    """How the budgets of two sides differ, A and B; empty where they are equal.

    Spaces count where both have one loss: losses have parameters of their own.
    """
    found = []
    for one, other in itertools.product(_budgets(records), _budgets(others)):
        (loss, mine), (its, theirs) = one, other
        if _apart(mine) != _apart(theirs):
            found.append(f"A was {budget_words(mine)}, B was {budget_words(theirs)}")
        elif loss == its and mine != theirs:
            found.append("A and B were tuned in other search spaces")
    return found[0] if found else ""


def _budgets(records: Sequence[Record]) -> list[tuple[str, Mapping[str, Any] | None]]:
    """Loss and budget of each kind of cell."""
    return list({repr(pair): pair for pair in ((one.cell.loss, budget_of(one)) for one in records)}.values())


def _apart(budget: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A budget without what is searched."""
    return budget and {name: value for name, value in budget.items() if name != "space"}
