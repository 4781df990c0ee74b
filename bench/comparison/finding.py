"""What results say in two sentences: what distillation does to accuracy, and whether a student does.

Everything is said of records, and no more than they show: students with and without distillation are compared
as ``bench.comparison.compare`` does it, and where nothing can be said nothing is.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.comparison import compare_text
from bench.comparison.compare import LEVEL, Compared, Comparison, Overall, compare
from bench.comparison.statistics import holm
from bench.errors import NothingToCompareError, RecordError, UsageError
from bench.results import wording
from bench.results.catalogue import SIZES, title
from bench.results.folder import Results
from bench.results.summary import Group, Row, summarise

log = logging.getLogger(__name__)

#: Groups of comparable cells of which something is said; the others are counted.
MOST = 3
#: Methods that are told one by one; of more, the best and the worst.
NAMED = 3
#: Roles of what was trained without step 1.
_PLAIN = ("teacher", "undistilled")


@dataclass(frozen=True)
class _Effect:
    """What one method of step 1 does to the accuracy of the same students.

    Attributes:
        method: as reports call it.
        taught: whether a teacher takes part.
        found: without the method against with it.
        price: at which cost, `` at the same MACs``; empty where no cost was measured.
        p: of the mean difference, or the least adjusted one where there is none; None if nothing is tested.
    """

    method: str
    taught: bool
    found: Comparison
    price: str
    p: float | None

    @property
    def mean(self) -> Compared | Overall | None:
        """The difference; None where configurations have other seeds or queries than others."""
        return _mean(self.found)

    @property
    def verdict(self) -> Literal["better", "worse", "some", "not shown", "untested"]:
        """What is claimed has the test and the interval on its side; ``some``: of some configurations."""
        if self.p is None:
            return "untested"
        if self.mean is None:
            return "some" if self.p < LEVEL else "not shown"
        low, high = self.mean.interval or (0.0, 0.0)
        if self.p < LEVEL and not low <= 0 <= high:
            return "better" if low > 0 else "worse"
        # A mean of nothing may be made of a gain here and a loss there.
        return (
            "some" if any(pair.verdict in {"better", "worse"} for pair in self.found.pairs) else "not shown"
        )


def findings(results: Results) -> list[str]:
    """What the records of ``results`` say, one text for each group of comparable cells, data set first.

    Differences are corrected for the number of methods and groups. A student reaches its teacher by the means
    alone, and with codes that are no longer. Nothing is said of limited runs; a row that carries a warning is
    neither the teacher nor the student that is named. Damaged scores are logged.
    """
    groups = [group for group in summarise(results).groups if group.accuracy and not group.limited]
    found = _effects(groups, results)
    tests = sum(one.p is not None for effects in found for one in effects)
    texts = []
    for group, label, effects in zip(groups, _labels(groups), found, strict=True):
        if said := [*_of_methods(effects, group, tests, _unfinished(group, results)), *_of_students(group)]:
            first, *rest = said
            texts.append(" ".join([f"On {label}, {first}", *(one[0].upper() + one[1:] for one in rest)]))
    if (more := len(texts) - MOST) > 0:
        texts[MOST:] = [f"{more} more group{'s' * (more > 1)} of comparable cells: see the report."]
    return texts


def _labels(groups: Sequence[Group]) -> Iterator[str]:
    """The data set of each group, and what tells it from other groups of the same."""
    for group in groups:
        others = [other.facts for other in groups if other.dataset == group.dataset]
        own = {
            name: "none" if value is None else value
            for name, value in group.facts.items()
            if any(other.get(name) != value for other in others)
        }
        yield f"{group.dataset} ({wording.assignments(own)})" if own else group.dataset


def _unfinished(group: Group, results: Results) -> int:
    dataset = group.rows[0].records[0].cell.dataset
    return sum(not record.finished and record.cell.dataset == dataset for record in results.records)


# -- With and without distillation -----------------------------------------------------------------


def _effects(groups: Sequence[Group], results: Results) -> list[list[_Effect]]:
    """The methods of each group against none, with p values adjusted for all of them together (Holm)."""
    asked = [_methods(group) for group in groups]
    level = LEVEL / max(1, sum(map(len, asked)))
    found = [
        [effect for rows in methods.values() if (effect := _effect(rows, group, results, level))]
        for group, methods in zip(groups, asked, strict=True)
    ]
    adjusted = iter(holm([one.p for effects in found for one in effects if one.p is not None]).tolist())
    return [
        [one if one.p is None else replace(one, p=next(adjusted)) for one in effects] for effects in found
    ]


def _methods(group: Group) -> dict[str, list[Row]]:
    """Name of a method as reports show it -> its rows; empty where nothing was trained without one."""
    methods: dict[str, list[Row]] = defaultdict(list)
    for row in group.rows:
        if row.role == "distilled":
            methods[row.configuration.method].append(row)
    return methods if any(row.role in _PLAIN for row in group.rows) else {}


def _effect(rows: list[Row], group: Group, results: Results, level: float) -> _Effect | None:
    """What the method of ``rows`` does; None where nothing can be compared."""
    plain = [row for row in group.rows if row.role in _PLAIN]
    some = replace(results, records=[record for row in (*plain, *rows) for record in row.records])
    name, cell = rows[0].configuration.method, rows[0].records[0].cell
    try:
        found = compare(
            some, some, base_only={"method": "none"}, new_only={"method": cell.method}, level=level
        )
    except RecordError as error:
        log.warning("warning: nothing is said of %s: %s", name, error)
        return None
    except (NothingToCompareError, UsageError):
        return None
    mean, p_values = _mean(found), [one.p_adjusted for one in found.pairs if one.p_adjusted is not None]
    p = mean.p if mean else min(p_values, default=None)
    return _Effect(name, bool(cell.teachers), found, _price(found, rows, group), p)


def _mean(found: Comparison) -> Compared | Overall | None:
    return found.pairs[0] if len(found.pairs) == 1 else found.overall


def _price(found: Comparison, rows: list[Row], group: Group) -> str:
    """What ``_Effect.price`` holds."""
    compared = [*rows, *(row for row in group.rows if row.role in _PLAIN)]
    for name in filter(None, map(group.resolve, SIZES)):
        if all(_counted(row, name) and row.estimates[name].value > 0 for row in compared):
            changes = [[cost for cost in one.costs if cost.metric == name] for one in found.pairs]
            ratios = [cost[0].new / cost[0].base if cost and cost[0].base else 1.0 for cost in changes]
            return f" at {_shares(min(ratios), max(ratios))} {title(name)}"
    return ""


def _of_methods(effects: list[_Effect], group: Group, tests: int, unfinished: int) -> Iterator[str]:
    """What step 1 does, in one sentence; none where nothing was compared. ``tests`` of all groups."""
    accuracy = title(group.accuracy or "")
    tested = [one for one in effects if one.verdict != "untested"]
    if effects and not tested:
        what = _subject(effects[0]) if len(effects) == 1 else "distillation"
        over = compare_text.samples([pair for one in effects for pair in one.found.pairs])
        why = f"paired over {over}): {compare_text.WHAT_IT_TAKES}"
        yield f"whether {what} changes {accuracy} cannot be told ({why}."
    if not tested:
        return
    shown, against = tested, f"{accuracy} against the same students without distillation: "
    if len(effects) == 1:
        text = _alone(effects[0], accuracy)
    elif len(tested) <= NAMED or not all(one.mean for one in tested):
        text = against + "; ".join(map(_clause, tested))
    else:
        ordered = sorted(tested, key=lambda one: one.mean.difference if one.mean else 0.0)
        shown = [ordered[-1], ordered[0]]
        text = f"best and worst of {len(tested)} methods by {against}{'; '.join(map(_clause, shown))}"
    caveats = _caveats(shown, tests, len(effects) - len(tested), unfinished)
    yield f"{'in one training each, ' * _once(shown)}{text} ({'; '.join(caveats)})."


def _once(effects: list[_Effect]) -> bool:
    """Whether nothing was trained with more seeds than one."""
    return all(pair.seeds == 1 for one in effects for pair in one.found.pairs)


def _alone(one: _Effect, accuracy: str) -> str:
    if all(pair.alike for pair in one.found.pairs):
        return f"{_subject(one)} leaves every {accuracy} as it was{one.price}"
    if verb := {"better": "raises", "worse": "lowers", "some": "changes"}.get(one.verdict):
        return f"{_subject(one)} {verb} {accuracy}: {_number(one)}{one.price}"
    return f"no change of {accuracy} by {_subject(one)} is shown: {_number(one)}{one.price}{_seen(one)}"


def _clause(one: _Effect) -> str:
    name = one.method if one.taught else f"{one.method} (no teacher)"
    unsure = f", no difference shown{_seen(one)}" if one.verdict == "not shown" else ""
    return f"{name} {_number(one)}{one.price}{unsure}"


def _subject(one: _Effect) -> str:
    return f"distillation with {one.method}" if one.taught else f"step 1 with {one.method} (no teacher)"


def _number(one: _Effect) -> str:
    """The difference with its interval, or in how many configurations there is one."""
    if one.mean is not None and one.verdict != "some":  # a mean that hides what it is made of is not told
        return compare_text.difference(one.mean, compare_text.decimals([one.mean.interval]))
    verdicts = [pair.verdict for pair in one.found.pairs]
    better, worse = (verdicts.count(verdict) or "none" for verdict in ("better", "worse"))
    return f"better in {better} of {len(verdicts)} configurations, worse in {worse}"


def _seen(one: _Effect) -> str:
    """What would have been found, where nothing was."""
    if one.mean is None:
        return ""
    size = one.mean.detectable
    return f", {compare_text.found_from(size) if size else 'and no difference at all would have been found'}"


def _caveats(shown: list[_Effect], tests: int, untested: int, unfinished: int) -> Iterator[str]:
    """What the numbers rest on, and what a reader must know to believe them."""
    pairs = [pair for one in shown for pair in one.found.pairs]
    many = compare_text.counted((len(one.found.pairs) for one in shown), "configuration")
    what = (
        f"mean over {many}, 95 % interval"
        if all(one.mean and one.verdict != "some" for one in shown)
        else many
    )
    yield f"{what}, paired over {compare_text.samples(pairs)}"
    if tests > 1:
        yield f"verdicts corrected for asking {tests} times, each interval is that of one alone"
    if _once(shown):
        yield "over queries alone: another seed may tell otherwise"
    elif any(pair.seeds == 2 for pair in pairs) and any(one.verdict == "not shown" for one in shown):
        yield wording.TWO_SEEDS
    if changed := sum(pair.changed_params for pair in pairs):
        yield f"other parameters differ, too, in {changed} of {len(pairs)}"
    if warned := sum(bool(pair.warnings) for pair in pairs):
        yield f"records of {warned} of {len(pairs)} carry a warning"
    if untested:
        yield f"for {untested} more it cannot be told"
    if unfinished:
        yield f"{compare_text.counted([unfinished], 'cell')} failed or skipped"


# -- Students and their teacher ----------------------------------------------------------------------


def _of_students(group: Group) -> Iterator[str]:
    """The smallest student that is as accurate as the best teacher, or how near the best one comes."""
    name = group.accuracy or ""
    rows = sorted(
        (row for row in group.rows_with(name) if not row.warned),
        key=lambda row: (-row.estimates[name].value, row.configuration),
    )
    teachers = [row for row in rows if row.role == "teacher"]
    every = [row for row in rows if row.role not in {"teacher", "external"}]
    students = [row for row in every if teachers and _length(row) <= _length(teachers[0])]
    if not students:
        return
    teacher, best = teachers[0], students[0]
    costs = filter(None, map(group.resolve, SIZES))
    cost = next((one for one in costs if all(_counted(row, one) for row in (teacher, *students))), None)
    several = len({row.configuration.student for row in teachers}) > 1
    words = f"the {'best ' * several}teacher ({_called(teacher)}, {_score(teacher, name)})"
    short = f" with codes of at most {teacher.configuration.bits} bits" if len(students) < len(every) else ""
    reaching = [row for row in students if row.estimates[name].value >= teacher.estimates[name].value]
    if reaching:
        # Rows are in order of accuracy, and min takes the first of equals.
        least = min(reaching, key=lambda row: row.estimates[cost].value) if cost else best
        which = "smallest" if cost else "best"
        has = f"{least.configuration}: {_score(least, name)}{_relative(least, teacher, cost)}"
        plain = next((row for row in reaching if _is_plain(row, least, cost)), None)
        alone = f"; without distillation it does so, too, at {_score(plain, name)}" if plain else ""
        yield f"the {which} student{short} that reaches {words} is {has}{alone}."
    else:
        gap = teacher.estimates[name].value - best.estimates[name].value
        below = f"{gap:.3f} below it" if gap >= 0.0005 else "less than 0.001 below it"
        is_at = f"{best.configuration}, is {below}{_relative(best, teacher, cost)}"
        yield f"no student{short} reaches {words}: the best, {is_at}."


def _is_plain(row: Row, distilled: Row, cost: str | None) -> bool:
    """Whether ``row`` is a distilled student without distillation, and costs no more."""
    return (
        (row.role, distilled.role) == ("undistilled", "distilled")
        and row.configuration.student == distilled.configuration.student
        and (cost is None or row.estimates[cost].value <= distilled.estimates[cost].value)
    )


def _length(row: Row) -> float:
    """Bits of the code; embeddings are longer than any."""
    return row.configuration.bits or float("inf")


def _counted(row: Row, cost: str) -> bool:
    return cost in row.estimates and row.doubt(cost) != wording.PARTIAL


def _called(row: Row) -> str:
    """A teacher without the words that say that it is one."""
    student, _, *rest = row.configuration.parts
    return " · ".join([student.removesuffix(" (teacher)"), *rest])


def _score(row: Row, name: str) -> str:
    one = row.estimates[name]
    return f"{title(name)} {one.value:.3f}{one.spread()}"


def _relative(row: Row, teacher: Row, cost: str | None) -> str:
    """`` at 13 % of its MACs``."""
    if cost is None or not teacher.estimates[cost].value:
        return ""
    ratio = row.estimates[cost].value / teacher.estimates[cost].value
    return f" at {_share(ratio, 'its')} {title(cost)}"


def _share(ratio: float, whose: str = "the") -> str:
    """``the same``, ``13 % of the``, ``2.9 times the``; what is nearly the same keeps more digits."""
    if ratio == 1:
        return "the same"
    return f"{_digits(ratio, 100)} % of {whose}" if ratio < 1 else f"{_digits(ratio)} times {whose}"


def _shares(least: float, most: float) -> str:
    """The same of several: ``13 to 84 % of the``, ``0.84 to 2.9 times the``."""
    if _share(least) == _share(most):
        return _share(least)
    if most < 1:
        return f"{_digits(least, 100)} to {_digits(most, 100)} % of the"
    return f"{_digits(least)} to {_digits(most)} times the"


def _digits(ratio: float, unit: int = 1) -> str:
    return f"{unit * ratio:.{2 if abs(ratio - 1) > 0.05 else 6}g}"
