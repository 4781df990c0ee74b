"""A comparison in words: the answer in one sentence, then what it rests on."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from bench.comparison.compare import LEVEL, Compared, Comparison, Overall, Side
from bench.comparison.compare_costs import FrontChange
from bench.comparison.power import POWER
from bench.results import catalogue, wording
from bench.results.names import Configuration, Matched

#: To test anything; of the accuracy that cells are judged by, and of any other.
WHAT_IT_TAKES = (
    "that takes several seeds whose differences vary, or scores by query, which every new run keeps"
)
_SEEDS_ALONE = "that takes several seeds whose differences vary, as no scores by query were kept of it"
_POWER = f"{100 * POWER:.0f} % power"
#: Names that are listed before the rest is only counted.
_LISTED = 6


def as_json(comparison: Comparison) -> str:
    """Everything that was found, at full precision."""
    return json.dumps(dataclasses.asdict(comparison), indent=1, allow_nan=False)


def text(comparison: Comparison) -> str:
    """The answer, both sides, a line per configuration, and what else changed or could not be compared."""
    several = len({one.name.dataset for one in comparison.pairs}) > 1
    parts = [
        _budgets(comparison),
        f"{answer(comparison)}{_left_out(comparison.pairs)}",
        _overall(comparison),
        f"A: {_side(comparison.base)}\nB: {_side(comparison.new)}{_question(comparison)}",
        _table(comparison.pairs, several),
        _costs(comparison.pairs),
        "\n".join(map(_front, comparison.fronts)) or _no_front(comparison),
        _notes(comparison.pairs),
        _not_compared(comparison),
    ]
    return "\n\n".join(filter(None, parts))


def _budgets(comparison: Comparison) -> str:
    """What every number below is worth where one side was tuned more than the other."""
    if not comparison.unequal_tuning:
        return ""
    return f"Unequal tuning: {comparison.unequal_tuning}. A difference may be that of the budgets."


# -- The answer ------------------------------------------------------------------------------------


def answer(comparison: Comparison) -> str:
    """Whether B is better than A, how sure that is, and what would have been too small to be seen."""
    pairs = _asked(comparison.pairs)
    if not pairs:
        return f"A and B are the same cells in {_all(comparison.pairs)} ({basis(comparison.pairs)})."
    tested = [one for one in pairs if one.verdict != "not tested"]
    if all(one.alike for one in pairs):
        return f"A and B have the same scores in {_all(pairs)} ({basis(pairs)})."
    if not tested:
        return f"Whether B is better than A cannot be told ({basis(pairs)}): {_what_it_takes(pairs)}."
    sentences = [f"{_verdict(tested)} ({basis(tested)}, Holm-corrected p < {LEVEL:g})", *_rest(tested)]
    if untested := len(pairs) - len(tested):
        sentences.append(f"{untested} more cannot be tested, with one seed and no scores by query")
    if alone := sum(one.seeds == 1 for one in tested):
        which = "One seed" if alone == len(tested) else f"One seed in {alone} of them"
        sentences.append(f"{which}: this says something about these trained networks, not about the method")
    return f"{_without_queries(tested)}{'. '.join(sentences)}."


def _without_queries(tested: Sequence[Compared]) -> str:
    """What stands above a verdict for which no queries were sampled: it looks surer than it is."""
    lacking = [one for one in tested if one.queries is None]
    if not lacking:
        return ""
    which = f" in {len(lacking)} of {len(tested)} configurations" if len(lacking) < len(tested) else ""
    metrics = " and ".join(dict.fromkeys(_title(one.metric) for one in lacking))
    return (
        f"Queries are not in the intervals{which}: scores by query of {metrics} were not kept on both sides. "
        "So intervals are narrower than over seeds and queries, and verdicts hold for these queries alone.\n"
    )


def _asked(pairs: Sequence[Compared]) -> list[Compared]:
    """Without those of which nothing is asked."""
    return [one for one in pairs if one.verdict != "same cells"]


def _left_out(pairs: Sequence[Compared]) -> str:
    """That some are one training on both sides, where others are not."""
    number = len(pairs) - len(_asked(pairs))
    if number in {0, len(pairs)}:
        return ""
    are = "configuration is" if number == 1 else "configurations are"
    return f"\n{number} more {are} the same cells on both sides, and count in no test and no average."


def _what_it_takes(pairs: Sequence[Compared]) -> str:
    if any(one.metric == one.judged for one in pairs):
        return WHAT_IT_TAKES
    return _SEEDS_ALONE


def _overall(comparison: Comparison) -> str:
    one = comparison.overall
    if one is None or one.interval is None or one.p is None:
        return ""
    p = "< 0.001" if one.p < 0.001 else f"= {one.p:.2g}"
    seen = f"; {found_from(one.detectable)}" if one.p >= LEVEL and one.detectable is not None else ""
    return (
        f"On average over these {len(_asked(comparison.pairs))} configurations, B - A is "
        f"{difference(one, decimals([one.interval]))}, p {p}{seen}."
    )


def _question(comparison: Comparison) -> str:
    """What was compared with what, where nobody said it."""
    if not comparison.asked:
        return ""
    options = " ".join(
        f"--{side} {key}={wording.one_line(value)}"
        for side, one in (("a", comparison.base), ("b", comparison.new))
        for key, value in one.only.items()
    )
    return f"\n{comparison.asked}: compared with each other, as {options} would."


def _verdict(tested: Sequence[Compared]) -> str:
    better, worse = (_of(tested, verdict) for verdict in ("better", "worse"))
    if not better and not worse:
        where = _all(tested) if len(tested) == 1 else f"any of {len(tested)} configurations"
        return f"No difference between A and B is shown in {where}"
    if len(tested) == 1:
        return f"B is {tested[0].verdict} than A in {_all(tested)}"
    words = [("better", len(better)), ("worse", len(worse))]
    (first, many), (second, few) = words if better else reversed(words)
    many_of = f"{many} of {len(tested)} configurations" if many < len(tested) else _all(tested)
    return f"B is {first} than A in {many_of} and {second} in {few or 'none'}"


def _of(pairs: Iterable[Compared], verdict: str) -> list[Compared]:
    return [one for one in pairs if one.verdict == verdict]


def _all(pairs: Sequence[Compared]) -> str:
    return f"all {len(pairs)} configurations" if len(pairs) > 1 else "the one configuration that both have"


def _rest(tested: Sequence[Compared]) -> list[str]:
    """Which difference would have been found where none was, in sentences."""
    left = [one for one in tested if one.verdict not in {"better", "worse"}]
    blind = _of(left, "cannot tell")
    sizes = [one.detectable for one in left if one.detectable is not None]
    equal = len(left) - len(blind) - len(sizes)
    found = [(len(blind), "no difference of any size would have been found")] if blind else []
    if sizes:
        ends = dict.fromkeys(map(_ceiling, (min(sizes), max(sizes))))
        least = f"the smallest difference that would have been found (with {_POWER}) is {' to '.join(ends)}"
        found.append((len(sizes), f"{least}{', depending on the configuration' * (len(ends) > 1)}"))
    if equal:
        found.append((equal, "no score differs"))
    sentence = "; ".join(
        words if len(found) == 1 else f"in {_which(count, last=i == len(found) - 1)} {words}"
        for i, (count, words) in enumerate(found)
    )
    if 0 < len(left) < len(tested):
        sentence = f"in {_which(len(left), last=True)} no difference is shown: {sentence}"
    sentences = [sentence] if sentence else []
    if any(one.seeds == 2 for one in left):
        sentences.append(wording.TWO_SEEDS)
    return [f"{words[0].upper()}{words[1:]}" for words in sentences]


def _which(count: int, *, last: bool) -> str:
    """``3 of them``, and of the last ones ``the other 3``."""
    return f"the other {count if count > 1 else 'one'}" if last else f"{count} of them"


def basis(pairs: Sequence[Compared]) -> str:
    """What was compared, over how much: ``mAP@all, paired over 3 seeds and 1,000 queries``."""
    metrics = ", ".join(dict.fromkeys(_title(one.metric) for one in pairs))
    return f"{metrics}, paired over {samples(pairs)}"


def samples(pairs: Sequence[Compared]) -> str:
    """Over how much a comparison was made: ``3 seeds and 1,000 queries``."""
    over = counted((one.seeds for one in pairs), "seed")
    queries = [one.queries for one in pairs if one.queries is not None]
    if queries:
        over += f" and {counted(queries, 'query', 'queries')}"
    if lacking := len(pairs) - len(queries):
        over += f"; {f'{lacking} of them ' if queries else ''}without scores by query"
    return over


def found_from(size: float) -> str:
    """``a difference of 0.064 or more would have been found with 80 % power``."""
    return f"a difference of {_ceiling(size)} or more would have been found with {_POWER}"


def counted(counts: Iterable[int], one: str, many: str = "") -> str:
    """``3 seeds``, ``2 to 3 seeds``, ``1 query``."""
    ordered = sorted(set(counts))
    noun = one if ordered == [1] else many or f"{one}s"
    return f"{' to '.join(f'{count:,}' for count in dict.fromkeys((ordered[0], ordered[-1])))} {noun}"


def _ceiling(value: float) -> str:
    """Two significant digits, rounded up."""
    places = max(0, 1 - math.floor(math.log10(value)))
    return f"{math.ceil(value * 10**places - 1e-9) / 10**places:.{places}f}"


# -- What it rests on --------------------------------------------------------------------------------


def _side(side: Side) -> str:
    chosen = ", ".join(f"{key}={wording.one_line(value)}" for key, value in side.only.items())
    return f"{wording.one_line(side.folder)} (grid {side.grid}{'; ' if chosen else ''}{chosen})"


def _table(pairs: list[Compared], several: bool) -> str:
    places = decimals(one.interval for one in pairs)
    metrics = len({one.metric for one in pairs}) > 1
    rows = [
        [
            _name(one.names, several),
            *([_title(one.metric)] if metrics else []),
            f"{one.base:.{places}f}",
            f"{one.new:.{places}f}",
            difference(one, places),
            _p(one.p_adjusted),
            one.verdict,
            "-" if one.detectable is None else f"{one.detectable:.{places}f}",
        ]
        for one in pairs
    ]
    over = dict.fromkeys(one.over for one in pairs if one.interval)
    which = f" over {' or '.join(over)}" if over else ""
    heads = ["configuration", *(["metric"] if metrics else []), "A", "B", f"B - A [95 % interval{which}]",
             "p (Holm)", "verdict", "detectable"]  # fmt: skip
    alignment = ["left", *(["left"] if metrics else []), *["right"] * 2, "left", "right", "left", "right"]
    table = tabulate(rows, heads, tablefmt="simple", disable_numparse=True, colalign=alignment)
    many = sum(one.p is not None for one in pairs)
    note = f"Each interval is of its row alone; p and verdict allow for asking {many} times."
    return f"{table}\n{note}" if many > 1 else table


def _title(metric: str) -> str:
    return wording.one_line(catalogue.title(metric))


def _name(name: Matched, several: bool) -> str:
    return f"{name.dataset}: {name}" if several else str(name)


def decimals(intervals: Iterable[tuple[float, float] | None]) -> int:
    """Places with which the narrowest interval keeps two digits of its half."""
    spreads = [interval[1] - interval[0] for interval in intervals if interval]
    narrowest = min((spread / 2 for spread in spreads if spread > 0), default=0.01)
    return min(6, max(3, 1 - math.floor(math.log10(narrowest))))


def difference(one: Compared | Overall, places: int) -> str:
    """``+0.029 [+0.012, +0.047]``, B - A with its interval if there is one."""
    mean = f"{one.difference + 0.0:+.{places}f}".replace(f"-{0:.{places}f}", f"+{0:.{places}f}")
    if one.interval is None:
        return mean
    low, high = one.interval
    return f"{mean} [{low:+.{places}f}, {high:+.{places}f}]"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 0.001:
        return "< 0.001"
    # Rounding must not put a number on the other side of the level.
    return f"{value:.3f}" if (float(f"{value:.3f}") < LEVEL) == (value < LEVEL) else f"{value:.5f}"


def _costs(pairs: list[Compared]) -> str:
    changes: dict[tuple[str, float, float, str], list[Matched]] = defaultdict(list)
    for one in pairs:
        for cost in one.costs:
            changes[cost.metric, cost.base, cost.new, cost.unit].append(one.names)
    lines = [
        f"- {_title(metric)}: {before:,.10g} -> {after:,.10g} {wording.one_line(unit)}"
        f"{f' ({after / before - 1:+.2%})' if before else ''}: {_names(names, len(pairs))}"
        for (metric, before, after, unit), names in changes.items()
    ]
    return "\n".join(["Costs that changed:", *lines]) if lines else ""


def _front(front: FrontChange) -> str:
    axes = f"{_title(front.accuracy)} against {_title(front.cost)}"
    moves = [
        f"{verb} {', '.join(map(str, names))}"
        for verb, names in (("entered by", front.entered), ("left by", front.left))
        if names
    ]
    share = ""
    # What nobody covers is not worth a word.
    if front.hypervolume and max(front.hypervolume) >= 0.0005:
        before, after = (f"{volume:.3f}" for volume in front.hypervolume)
        divisor, unit = wording.unit(front.cost, front.unit, [front.last_cost])
        end = wording.one_line(wording.amount(f"{front.last_cost / divisor:.3g}", unit, front.cost))
        share = f"; hypervolume {before}" + (f" -> {after}" if after != before else " on both sides")
        share += f" (share of the rectangle from accuracy 0 to 1 and up to {end})"
    who = "; ".join(moves) or "the same configurations on both sides"
    return f"Front of {axes}, {front.dataset}, by means: {who}{share}."


def _no_front(comparison: Comparison) -> str:
    if comparison.elsewhere:
        return (
            "What was measured elsewhere is set against each configuration that has codes as long; a report "
            "of both folders shows all of them in one chart."
        )
    cost = wording.one_line(comparison.cost)
    return f"No front: {cost} was not measured on both sides under the same conditions."


def _notes(pairs: list[Compared]) -> str:
    notes: dict[str, list[Matched]] = defaultdict(list)
    for one in pairs:
        for note in (*one.notes, *(f"a record warns: {wording.one_line(line)}" for line in one.warnings)):
            notes[note].append(one.names)
    lines = [f"- {note}: {_names(names, len(pairs))}" for note, names in notes.items()]
    return "\n".join(["Notes:", *lines]) if lines else ""


def _names(names: Sequence[Configuration | Matched], total: int) -> str:
    """A list of configurations that stays short."""
    if len(names) == total > 1:
        return f"all {total} configurations"
    shown = ", ".join(map(str, names[:_LISTED]))
    return shown if len(names) <= _LISTED else f"{shown}, and {len(names) - _LISTED} more"


def _not_compared(comparison: Comparison) -> str:
    reasons: dict[str, list[Configuration]] = defaultdict(list)
    for name, reason in comparison.refused:
        reasons[wording.one_line(reason)].append(name)
    for gone in comparison.gone:
        seeds = f"seed{'s' if len(gone.seeds) > 1 else ''} {', '.join(map(str, gone.seeds))}"
        reasons[f"only in A ({seeds}), {gone.reason}"].append(gone.name)
    for name in comparison.added:
        reasons["only in B"].append(name)
    lines = [f"- {reason}: {_names(names, 0)}" for reason, names in reasons.items()]
    return "\n".join(["Not compared:", *lines]) if lines else ""
