"""The columns of the tables for people: one line per configuration, means over seeds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bench.report.tables import chances
from bench.results import catalogue, pareto, tuning_curves, wording
from bench.results.fronts import STANDINGS, Front
from bench.results.names import Configuration
from bench.results.records import Measured, Record
from bench.results.sides import apart
from bench.results.summary import Estimate, Group, Row, Summary, interval_words
from bench.types import Place


@dataclass(frozen=True)
class Column:
    """A column of text; ``detail`` says unit and conditions, ``bold`` holds line numbers."""

    head: str
    cells: list[str]
    detail: str = ""
    numeric: bool = True
    bold: frozenset[int] = frozenset()


#: Places of a number at most, beyond the usual ones, to tell it from another.
_MORE_PLACES = 4


@dataclass(frozen=True)
class Scale:
    """The unit and the decimal places of one metric, the same for all rows of a group."""

    name: str
    divisor: float
    unit: str
    places: int
    detail: str

    @classmethod
    def of(cls, group: Group, name: str) -> Scale:
        """The scale of the metric with the full name ``name``."""
        metric = group.metrics[name]
        values = [row.estimates[name].value for row in group.rows_with(name)]
        divisor, unit = wording.unit(name, metric.unit, values)
        unit = wording.one_line(unit)
        whole = metric.noise == "exact" and all((value / divisor).is_integer() for value in values)
        places = (0 if whole else wording.decimals(value / divisor for value in values)) if unit else 3
        detail = ", ".join(filter(None, [unit, wording.conditions(metric), _chance(name, metric)]))
        return cls(name, divisor, unit, places, detail)

    @classmethod
    def of_front(cls, front: Front) -> Scale:
        """That of a front's cost, with as many places as tell apart what differs on the front.

        Two rows stay on a front if one costs a little less; times that are that near are no difference.
        """
        scale, rows = cls.of(front.group, front.cost), front.standing("front")
        if front.group.metrics[front.cost].noise != "exact":
            return scale
        values = {row.estimates[front.cost].value / scale.divisor for row in rows}
        for places in range(scale.places, scale.places + _MORE_PLACES + 1):
            if len({f"{value:.{places}f}" for value in values}) == len(values):
                return replace(scale, places=places)
        return scale

    def text(self, row: Row, *, spread: bool = True) -> str:
        """The row's number, with its interval if there is one; a dash where it has none."""
        one = row.estimates.get(self.name)
        if one is None:
            return "–"
        text = self.number(row)
        if spread:
            text += one.spread(self.divisor, self.places)
        return text + row.doubt(self.name)

    def number(self, row: Row) -> str:
        """The number alone of a row that has one."""
        return f"{row.estimates[self.name].value / self.divisor:.{self.places}f}"

    def column(self, rows: list[Row], *, spread: bool = True) -> Column:
        """The numbers of ``rows``."""
        return Column(
            catalogue.title(self.name), [self.text(row, spread=spread) for row in rows], self.detail
        )


#: Below tables in which somebody else's method stands.
EXTERNAL_NOTE = (
    "Measured elsewhere: codes or embeddings that somebody brought to the suite, which judged them; their "
    "costs are those that were stated, and they have no timings."
)

#: Below tables in which seen and unseen classes stand side by side.
CHANCE_NOTE = (
    "Seen and unseen classes compare with each other where chance, what a random order scores, is the same."
)

# -- One group -----------------------------------------------------------------------------------


def group_columns(group: Group, place: Place = "table") -> list[Column]:
    """All rows of a group: configuration, accuracies, and the costs that ``place`` shows."""
    columns = _row_columns(group, group.rows)
    if accuracy := group.accuracy:
        main = replace(Scale.of(group, accuracy).column(group.rows), bold=_clear_wins(group, accuracy))
        if rule := wording.ranking_rule(accuracy):
            main = replace(main, detail=f"{rule[0]} ties, ÷ {rule[1]}")
        columns += [main, Column("seeds", [str(row.seeds) for row in group.rows])]
        columns += [Scale.of(group, name).column(group.rows) for name in group.further_accuracies]
        for order in ("best", "worst"):
            bound = group.resolve(f"{accuracy.partition(':')[0]}:{order}")
            if bound and bound != accuracy:
                numbers = Scale.of(group, bound).column(group.rows, spread=False)
                columns.append(replace(numbers, detail=f"{order} ties"))
    names = [name for cost in catalogue.shown_in(place) if (name := group.resolve(cost))]
    return columns + [Scale.of(group, name).column(group.rows) for name in names]


def _chance(name: str, metric: Measured) -> str:
    """What a random order would score on a side of seen and unseen classes; empty where it is not known."""
    if not apart(name)[1]:
        return ""
    # Older records know the share that is relevant, which without a cut is the same but for the first ranks.
    older = metric.detail.get("relevant_share") if name.startswith("map@all:") else None
    chance = metric.detail.get("chance", older)
    return f"chance {chance:#.2g}" if isinstance(chance, int | float) else ""


def further_notes(group: Group) -> list[str]:
    """What the accuracies beside the main one are, those of seen and unseen classes and others."""
    main, further = catalogue.base_name(group.accuracy or ""), group.further_accuracies
    sides = [*filter(None, map(wording.side_definition, further))]
    others = [wording.definition(name) for name in further if catalogue.base_name(name) != main]
    return [*sides, *([CHANCE_NOTE] if sides else []), *filter(None, others)]


def without_constants(columns: list[Column]) -> tuple[list[Column], list[str]]:
    """Take the columns with the same number in every one of several lines out, and say what it is."""
    constant = [c for c in columns if c.numeric and len(c.cells) > 1 and len(set(c.cells)) == 1]
    said = [f"{c.head} = {c.cells[0]}{f' ({c.detail})' if c.detail else ''}" for c in constant]
    notes = [f"In all rows: {'; '.join(said)}."] if said else []
    return [c for c in columns if c not in constant], notes


def group_notes(group: Group) -> list[str]:
    """What a reader must know to quote a number of the group's table."""
    # Where there are several, they have a column.
    notes = [f"Image size: {wording.pixels(group.image_sizes)}."] if len(group.image_sizes) == 1 else []
    if accuracy := group.accuracy:
        notes += filter(None, [wording.definition(accuracy)])
        notes += further_notes(group)
        notes += float_notes(group)
        spread = interval_words(row.estimates[accuracy] for row in group.rows_with(accuracy))
        notes.append(f"±: half of the {spread}." if spread else "One seed each, so no interval.")
        if group.resolve(f"{accuracy.partition(':')[0]}:best"):
            notes.append("Best and worst ties: relevant items first or last among equal distances.")
        if _clear_wins(group, accuracy):
            notes.append(
                "Bold: the best of its bit length, teachers aside, with an interval apart from all others'."
            )
    if any(row.role == "external" for row in group.rows):
        notes.append(EXTERNAL_NOTE)
    costs = [full for cost in catalogue.shown_in("table") if (full := group.resolve(cost))]
    notes += [note for cost in costs if (note := wording.definition(cost))]
    named = [*([accuracy] if accuracy else []), *costs]
    notes += wording.doubts(row.doubt(name) for row in group.rows for name in named)
    if again := sum(len(row.older) for row in group.rows):
        notes.append(f"{again} cells were run again on such a machine; the newest record of a seed counts.")
    notes += filter(None, [tuning_curves.note(group)])
    if group.limited:
        notes.append("Limited run: these numbers compare with nothing.")
    return notes + warning_notes(group)


def float_notes(group: Group) -> Iterator[str]:
    """What rows without binary codes are: features after step 1, compressed or not, or what is brought."""
    floats = [row for row in group.rows if row.configuration.bits == 0]
    if any(row.role != "external" for row in floats):
        yield f"{wording.FLOAT}: embeddings after step 1, compared by cosine; no binary codes."
    read_back = sorted({row.configuration.loss for row in group.rows if row.records[0].reads_back})
    if read_back:
        yield (
            f"{', '.join(read_back)}: bits stored of an image, read back as vectors that float queries are "
            "compared with; no binary codes."
        )
    brought: dict[str, list[str]] = defaultdict(list)
    for row in floats:
        if row.role == "external":
            brought[str(row.records[0].params.get("similarity", "cosine"))].append(row.configuration.student)
    for similarity, names in brought.items():
        which = f" ({', '.join(names)})" if len(brought) > 1 else ""
        yield (
            f"{wording.FLOAT}, {wording.ELSEWHERE}{which}: embeddings that somebody brought, compared by "
            f"{wording.SIMILARITIES.get(similarity, wording.one_line(similarity))}; no binary codes."
        )


def warning_notes(group: Group) -> list[str]:
    """What the records of a group warn of, and how many of them do."""
    records = [record for row in group.rows for record in row.records]
    counts = Counter(sentence for record in records for sentence in record.warnings)
    return [
        f"Warning, {cells} of {len(records)} cells: {wording.one_line(sentence)}."
        for sentence, cells in counts.items()
    ]


def _row_columns(group: Group, rows: list[Row]) -> list[Column]:
    """What was run, with the size of images where that is not the same in the whole group."""
    student, *others = _configuration_columns([row.configuration for row in rows])
    sizes = Column("image size", [str(row.image_size or wording.UNKNOWN) for row in rows], "px")
    return [student, *([sizes] if len(group.image_sizes) > 1 else []), *others]


def _configuration_columns(configurations: list[Configuration]) -> list[Column]:
    named = [
        Column(name, [str(getattr(one, name)) for one in configurations], numeric=False)
        for name in ("student", "method", "loss")
    ]
    return [*named, Column("bits", [str(one.bits or wording.FLOAT) for one in configurations])]


def _clear_wins(group: Group, name: str) -> frozenset[int]:
    """Lines that are best at their bit length, teachers aside, with an interval apart from all others'."""
    contenders: dict[int, list[tuple[Estimate, int]]] = defaultdict(list)
    for line, row in enumerate(group.rows):
        if not group.limited and row.role != "teacher" and name in row.estimates:
            contenders[row.configuration.bits].append((row.estimates[name], line))
    wins = set()
    for same_bits in contenders.values():
        (best, line), *others = sorted(same_bits, key=lambda item: -item[0].value)
        if others and all(best.above(other) for other, _ in others):
            wins.add(line)
    return frozenset(wins)


# -- One front -----------------------------------------------------------------------------------

#: Rows that are not distinguishable from the front are listed up to this number.
MOST_CLOSE = 8


def front_columns(front: Front) -> list[Column]:
    """The rows on the front, then the most accurate of those that may belong there."""
    on_front, close = front.standing("front"), front.standing("close")[:MOST_CLOSE]
    rows = on_front + close
    standings = [STANDINGS["front"]] * len(on_front) + [STANDINGS["close"]] * len(close)
    likely = chances.cells(front, rows)
    return [
        Column("standing", standings, numeric=False),
        *([Column("P(front)", likely)] if likely else []),
        *_row_columns(front.group, rows),
        *(scale.column(rows) for scale in (Scale.of(front.group, front.accuracy), Scale.of_front(front))),
    ]


def front_title(front: Front) -> str:
    """``mAP@all against MACs``."""
    accuracy = wording.title_beside(front.accuracy, front.group.accuracy)
    return f"{accuracy} against {catalogue.title(front.cost)}"


def front_notes(front: Front) -> list[str]:
    """What a front amounts to, and how far it is to be trusted."""
    notes = []
    if (left_out := len(front.standing("close")) - MOST_CLOSE) > 0:
        notes.append(f"{left_out} more rows are not distinguishable from the front.")
    notes += filter(None, [recommendation(front), *chances.notes(front), hypervolume_words(front)])
    shown = front.standing("front", "close")
    axes = front.accuracy, front.cost
    notes += wording.doubts((row.doubt(name) for row in shown for name in axes), on_front=True)
    if len(rows := front.rows) < len(front.group.rows):
        notes.append(f"{len(front.group.rows) - len(rows)} rows lack one of the two metrics.")
    return notes


def recommendation(front: Front) -> str:
    """Name the student to take: ``Smallest student within 0.02 of the best student (0.648): ...``."""
    row, best = front.recommended, front.best_student
    if row is None or best is None:
        return ""
    y, x = Scale.of(front.group, front.accuracy), Scale.of_front(front)
    price = wording.amount(x.number(row), x.unit, front.cost)
    price += " (unsteady timing)" if row.doubt(front.cost) == wording.UNSTEADY else ""
    which = f"{row.configuration}, the best itself," if row is best else str(row.configuration)
    others = any(not one.binary and one.role not in {"teacher", "external"} for one in front.rows)
    which_best = "best student with binary codes" if others and best.binary else "best student"
    sentence = f"{quickest(front)} student within {front.within:g} of the {which_best}"
    sure = chances.of_recommended(front)
    return f"{sentence} ({y.number(best)}): {which} at {price}{sure}."


def nobody(front: Front) -> str:
    """Why no student is recommended: ``both of 2 students carry a warning ("1 image of 240 ...")``."""
    if front.group.limited:
        return "these cells saw only a part of the data (--limit)"
    students = [row for row in front.rows if row.role not in {"teacher", "external"}]
    if not students:
        return "all rows are teachers, or were measured elsewhere"
    why = []
    for name in (front.accuracy, front.cost):
        for mark in (wording.WARNED, wording.PARTIAL):
            if same := [row for row in students if row.doubt(name) == mark]:
                told = [one for row in same for record in row.records for one in record.warnings]
                first = f' ("{wording.one_line(told[0])}")' if mark == wording.WARNED else ""
                why.append(f"{len(same)} of {len(students)}: {wording.said(mark)}{first}")
    return "; ".join(why)


def recommended(fronts: Iterable[Front]) -> dict[str, Record]:
    """The students that fronts recommend, each once: what tables call it, and its cell of the lowest seed."""
    return {str(row.configuration): row.records[0] for front in fronts if (row := front.recommended)}


def quickest(front: Front) -> str:
    """What the student of least cost is called: fastest where the cost is a time or a rate."""
    unit = front.group.metrics[front.cost].unit
    return "Fastest" if unit == "ms" or unit.endswith("/s") else "Smallest"


def hypervolume_words(front: Front) -> str:
    """Say how much is covered: ``Hypervolume 0.612; of one method alone: cdd 0.541, none 0.402.``."""
    if front.hypervolume is None:
        return ""
    text = f"Hypervolume {front.hypervolume:.3f}"
    if len(front.by_method) > 1:
        parts = ", ".join(f"{method} {share:.3f}" for method, share in front.by_method.items())
        text += f"; of one method alone: {parts}"
    return f"{text}."


def front_rules(fronts: Iterable[Front]) -> list[str]:
    """What the words of some fronts mean."""
    return [
        "On the front: no other row is at least as good in both and better in one.",
        "Not distinguishable: off the front, but no row on it that costs no more has an interval of accuracy "
        f"wholly above. {wording.UNLIKE}",
        "Hypervolume: share of the rectangle from accuracy 0 to 1 and from cost 0 to "
        f"{pareto.MARGIN:g} times the largest in the group for which some row is at least as accurate and "
        "costs no more.",
        *([chances.RULE, chances.WHICH] if any(chances.known(front) for front in fronts) else []),
    ]


# -- Cells without numbers -----------------------------------------------------------------------


def unfinished_columns(summary: Summary) -> list[Column]:
    """The cells that failed or were skipped, and why."""
    cells = summary.unfinished
    return [
        Column("dataset", [cell.configuration.dataset for cell in cells], numeric=False),
        *_configuration_columns([cell.configuration for cell in cells]),
        Column("seed", [str(cell.seed) for cell in cells]),
        Column("status", [cell.status for cell in cells], numeric=False),
        Column("reason", [cell.reason for cell in cells], numeric=False),
    ]
