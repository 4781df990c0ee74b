"""What records of tuned cells say: the budget, the trials, and what a smaller budget would have found."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.results import wording
from bench.results.records import Real, Record
from bench.storage.keys import canonical_json

#: How a range is searched, between its two bounds.
SCALES = ("log", "linear")
#: The stage whose summary holds all that.
STAGE = "tune"
#: What may be searched, in the order of the dimensions of a point, and in which step it is.
STEPS = {"method": 1, "loss": 2}
#: Before the name of a parameter of a method, in spaces and values: losses have parameters of the same names.
METHOD = "method."
#: In place of the value of a parameter that a tuning finds, another one for every study.
SEARCHED = object()
#: The sampler whose trials know nothing of each other.
QUASIRANDOM = "quasirandom"
#: What names call studies and trials.
TUNED = "tuned"


def joint(of: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Spaces or values of loss and method in one mapping: ``{"lr": ..., "method.lr": ...}``."""
    methods = {f"{METHOD}{name}": value for name, value in of.get("method", {}).items()}
    return {**of.get("loss", {}), **methods}


def part(values: Mapping[str, Any], axis: str) -> dict[str, Any]:
    """Those of a loss, or of a method by their own names, of what is ``joint``."""
    methods = {name.removeprefix(METHOD): one for name, one in values.items() if name.startswith(METHOD)}
    others = {name: one for name, one in values.items() if not name.startswith(METHOD)}
    return methods if axis == "method" else others


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
        expected_best: of n trials, see ``expected_best``; where each is drawn from what those before it have
            found, the best of the first n, which are what a study of n trials is.
    """

    winner: int = Field(ge=0)
    trials: list[Trial] = Field(min_length=1)
    expected_best: list[Real]

    @model_validator(mode="after")
    def _of_its_trials(self) -> Self:
        if self.winner >= len(self.trials) or len(self.expected_best) != len(self.trials):
            raise ValueError("a study has a winner among its trials, and an expected best for each number")
        return self


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


def study_of(trials: Sequence[Trial], *, sequential: bool = False) -> Study:
    """What comes of the trials of one study.

    Args:
        trials: in the order in which they were drawn.
        sequential: whether each was drawn from what those before it have found.
    """
    scores = [trial.val_map for trial in trials]
    best = [*itertools.accumulate(scores, max)] if sequential else expected_best(scores)
    return Study(winner=scores.index(max(scores)), trials=[*trials], expected_best=best)


def drawn_by(budget: Mapping[str, Any]) -> str:
    """The sampler where it draws each trial from what those before it have found; else empty."""
    name = budget.get("sampler", QUASIRANDOM)
    return "" if name == QUASIRANDOM else str(name)


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


def as_named(record: Record, axis: str) -> dict[str, Any]:
    """What names of a loss or method say of its tuning, beside the parameters that the grid gives it."""
    budget = budget_of(record)
    if budget is None or not (space := _space(budget, axis)):
        return {}
    searched = dict.fromkeys(map(str, space), SEARCHED)
    return {**searched, TUNED: f"{budget.get('studies')} x {budget.get('trials')} {drawn_by(budget)}".strip()}


def space_as_named(record: Record, axis: str) -> dict[str, Any]:
    """What tells tunings apart whose budgets are the same otherwise; not which parameters are searched."""
    budget = budget_of(record)
    if budget is None or not (space := _space(budget, axis)):
        return {}
    spaces = {f"{name}_space": _searched(searched) for name, searched in space.items()}
    return {"epochs_share": budget.get("epochs_share", 1.0), **spaces}


def told_apart(variants: Sequence[Mapping[str, Any]]) -> set[str]:
    """Parameters that one tuning searches and another one of its like has given; of values ``as_named``."""
    tuned = [values for values in variants if TUNED in values]
    searched = {name for values in tuned for name, value in values.items() if value is SEARCHED}
    return {name for name in searched if any(one.get(name, SEARCHED) is not SEARCHED for one in tuned)}


def _space(budget: Mapping[str, Any], axis: str | None = None) -> Mapping[str, Any]:
    """What is searched of a loss or method, by its own names; None: of both, in one space."""
    space = budget.get("space")
    named = space.items() if isinstance(space, dict) else ()
    found = {name: searched for name, searched in named if isinstance(searched, list)}
    return part(found, axis) if axis else found


def budget_words(budget: Mapping[str, Any] | None) -> str:
    """``tuned in 3 studies of 16 trials``, ``... of 16 trials that optuna draws``, ``not tuned``."""
    if budget is None:
        return "not tuned"
    studies, trials, share = (budget.get(name) for name in ("studies", "trials", "epochs_share"))
    many = "1 study" if studies == 1 else f"{studies} studies"
    epochs = ""
    if isinstance(share, float) and share < 1:
        epochs = f", each for {100 * share:.0f} % of the epochs"
    by = f" that {name} draws" if (name := drawn_by(budget)) else ""
    return f"tuned in {many} of {trials} trials{by}{epochs}"


def shared(studies: int, seeds: int) -> str:
    """What it means that a configuration has more seeds than winners; empty where it has not."""
    if seeds <= studies:
        return ""
    many = "the winner of 1 study" if studies == 1 else f"the winners of {studies} studies"
    return f"{seeds} seeds have {many} between them, so their spread has less of the luck of tuning in it"


def unequal(records: Sequence[Record], others: Sequence[Record]) -> str:
    """How the budgets of two sides differ, A and B, and in which steps; empty where they are equal.

    Spaces count where both have one loss or method: each has parameters of its own. What trains nothing in a
    step could not have been tuned there, and has no budget.
    """
    found: dict[str, dict[str, None]] = defaultdict(dict)  # words -> steps, each once
    axes = _axes([*records, *others])
    for axis in axes:
        step = str(STEPS[axis])
        for one, other in itertools.product(_budgets(records, axis), _budgets(others, axis)):
            (name, mine), (its, theirs) = one, other
            if _apart(mine) != _apart(theirs):
                found[f"A was {budget_words(mine)}, B was {budget_words(theirs)}"][step] = None
            elif name == its and mine != theirs:
                found["A and B were tuned in other search spaces"][step] = None
    placed = [f"in step{'s' * (len(steps) > 1)} {' and '.join(steps)}, {one}" for one, steps in found.items()]
    return ", and ".join(placed if len(axes) > 1 else found)


def note(records: Sequence[Record]) -> str:
    """What to say below a table: with which budgets its rows were tuned; empty where none was."""
    found: dict[str, dict[str, dict[str, None]]] = {axis: {} for axis in _axes(records)}
    for axis, budgets in found.items():
        for name, budget in _budgets(records, axis):
            budgets.setdefault(budget_words(budget), {})[name] = None
    untuned = {budget_words(None)}
    tuned = {axis: words for axis, some in found.items() for words in some.keys() - untuned}
    if not tuned:
        return ""
    more = f"; {between}" if (between := _shared(records)) else ""
    if all(len(budgets) < 2 for budgets in found.values()):
        what, words = " and ".join(sorted(tuned)), next(iter(tuned.values()))
        said = f"Every {what} that trains was {words}, by validation mAP"
        return f"{said}; a cell has the winner of its study{more}."
    listed = wording.one_line(
        "; ".join(f"{', '.join(names)} {words}" for some in found.values() for words, names in some.items())
    )
    return f"Rows had unequal budgets, which may be all that they differ by: {listed}{more}."


def _shared(records: Sequence[Record]) -> str:
    """The same of the configuration that has the most seeds for each of its studies."""
    seeds: dict[str, set[int]] = defaultdict(set)
    studies = {}
    for record in records:
        if budget := budget_of(record):
            name = canonical_json([record.cell.model_dump(mode="json", exclude={"seed"}), record.params])
            seeds[name].add(record.cell.seed)
            studies[name] = budget.get("studies")
    pairs = [(one, len(seeds[name])) for name, one in studies.items() if isinstance(one, int) and one > 0]
    return shared(*max(pairs, key=lambda pair: pair[1] / pair[0], default=(1, 1)))


def in_brief(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a record with a tuning in words, for lists of what differs between two."""
    budget = params.get("tuning")
    if not isinstance(budget, dict):
        return dict(params)
    words = budget_words(budget)
    if space := _space(budget):
        words = f"{words} ({space_words(space)})"
    searched = dict.fromkeys(_space(budget, "loss"), "searched")
    return {**params, "loss": {**params.get("loss", {}), **searched}, "tuning": words}


def by_part(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a record in which what is searched of a method hangs on the method, in words."""
    budget = params.get("tuning")
    if not isinstance(budget, dict) or not (space := _space(budget, "method")):
        return dict(params)
    searched = {name: f"searched, {_searched(one)}" for name, one in space.items()}
    method, own = {**params.get("method", {}), **searched}, _space(budget, "loss")
    if own:
        return {**params, "method": method, "tuning": {**budget, "space": own}}
    others = {name: value for name, value in params.items() if name != "tuning"}
    return {**others, "method": {**method, "tuning": budget_words(budget)}}


def space_words(space: Mapping[str, Sequence[Any]]) -> str:
    """A space in one line: ``lr 3e-06 to 0.01 (log), targets majority or first``."""
    return ", ".join(f"{name} {_searched(searched)}" for name, searched in space.items())


def is_range(searched: Sequence[Any]) -> bool:
    """Whether something is searched between two bounds, and is not chosen from a list."""
    return len(searched) == 3 and searched[2] in SCALES


def _searched(searched: Sequence[Any]) -> str:
    if is_range(searched):
        low, high = (f"{one:g}" if isinstance(one, int | float) else str(one) for one in searched[:2])
        return f"{low} to {high} ({searched[2]})"
    return " or ".join(map(str, searched))


def told(summary: Mapping[str, Any], studies: Sequence[Study]) -> dict[str, Any]:
    """The summary of the stage with a few words in place of all trials."""
    words = {
        f"study {number}": f"trial {one.winner} of {len(one.trials)}, validation mAP "
        f"{one.trials[one.winner].val_map:.3f}"
        for number, one in enumerate(studies)
    }
    return {**{name: value for name, value in summary.items() if name != "studies"}, **words}


def _axes(records: Sequence[Record]) -> list[str]:
    """Whose budgets count: those of losses, and those of methods where any was searched."""
    methods = any(_space(budget_of(record) or {}, "method") for record in records)
    return [*STEPS] if methods else ["loss"]


def _budgets(records: Sequence[Record], axis: str) -> list[tuple[str, Mapping[str, Any] | None]]:
    """Name of the loss or method, and budget with its own space, of each kind of cell that it trains.

    What has no rate trains nothing, so that a tuning could have found no other values.
    """
    pairs = []
    for record in records:
        budget = budget_of(record) or {}
        space = _space(budget, axis)
        if space or "lr" in record.params.get(axis, {}):
            pairs.append((getattr(record.cell, axis), {**budget, "space": space} if space else None))
    return list({repr(pair): pair for pair in pairs}.values())


def _apart(budget: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A budget without what is searched."""
    return budget and {name: value for name, value in budget.items() if name != "space"}
