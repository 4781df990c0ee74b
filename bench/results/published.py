"""What others published, and which of it may be set beside a group of rows.

A published figure is one number of one run, often of the best epoch on the very queries that it is of, on
splits that nobody can draw again. It is shown beside rows of the same data set, split rule, rank cut-off,
code length and metric, and takes part in nothing: no front, no test, no recommendation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from bench.results import catalogue, wording
from bench.results.fronts import Front, front_of
from bench.results.records import CellInfo, Record
from bench.results.summary import Group, Row
from bench.types.sizes import ImageSize

#: How the epoch was chosen whose number was printed.
Selection = Literal["last", "best_on_test", "unknown"]
SELECTIONS: dict[Selection, str] = {
    "last": "last epoch",
    "best_on_test": "best epoch on the test queries",
    "unknown": "choice of the epoch not known",
}
#: Shares that no record has as such.
SHARES = {"params_saved": "parameters saved", "macs_saved": "MACs saved", "top1": "top-1 accuracy"}
#: What pruning took away, of which records have what there was before and what is left.
SAVED = {"params_saved": ("params_before", "params"), "macs_saved": ("macs_before", "macs")}
#: Parameters of students that leave a network what its name says, where they have these values.
_UNCHANGED = {"pooling": "avg", "last_stride": 2, "projection": None, "layer": "fc7"}
#: What splits are called while the data are not there.
_NO_SPLIT = "unknown"


@dataclass(frozen=True)
class Figure:
    """What one source says of one configuration on one data set.

    Attributes:
        system: method or loss as the source calls it.
        network: likewise.
        student: pattern of the network's names in the suite; empty where it has none.
        method: name in the suite; empty where it has none.
        loss: likewise.
        bits: code length; 0 of embeddings.
        image_size: of the network's input; 0 where nobody knows.
        epochs: of the training; 0 where nobody knows.
        data: data set and split as the source calls them.
        dataset: name in the suite; empty where it has none.
        settings: parameters of the data set that lead to the split.
        split: pattern of the split's names in records.
        values: by full name of a metric, or one of ``SHARES``; ``map@5000`` alone where nobody knows how ties
            were ordered and by what was divided.
        selection: how the epoch was chosen.
        source: who says so, and where in it.
        url: of the source.
        note: what else a reader must know.
    """

    system: str
    network: str
    student: str
    method: str
    loss: str
    bits: int
    image_size: ImageSize
    epochs: int
    data: str
    dataset: str
    settings: Mapping[str, Any]
    split: str
    values: Mapping[str, float]
    selection: Selection
    source: str
    url: str
    note: str = ""

    @property
    def name(self) -> str:
        """``DCH · AlexNet · 48 bit``."""
        return " · ".join([self.system, self.network, f"{self.bits} bit" if self.bits else wording.FLOAT])

    def words(self, name: str) -> str:
        """One of its numbers: ``mAP@all 0.810``."""
        if name in SHARES:
            return share_words(name, self.values[name])
        entry = catalogue.entry(name)
        if entry is not None and entry.role == "cost":
            divisor, unit = wording.unit(name, entry.unit, [self.values[name]])
            return f"{catalogue.title(name)} {self.values[name] / divisor:.4g} {unit}"
        variant = name.partition(":")[2] if wording.ranking_rule(name) is None else ""
        title = catalogue.title(name)
        return (
            f"{title if not variant or variant in title else f'{title} ({variant})'} {self.values[name]:.3f}"
        )

    @property
    def notes(self) -> str:
        """How long the network was trained, and what else a reader must know."""
        return "; ".join(filter(None, [f"{self.epochs} epochs" if self.epochs else "", self.note]))

    @property
    def share(self) -> bool:
        """Whether it says of a network what part of another is saved, and nothing else."""
        return self.values.keys() <= SAVED.keys()

    @property
    def selected(self) -> str:
        """How its epoch was chosen, in words; empty where nobody knows."""
        return "" if self.selection == "unknown" else SELECTIONS[self.selection]

    def drawn_like(self, split: str, settings: Mapping[str, Any]) -> bool:
        """Whether a split follows the same rule; before the data are there, their settings tell."""
        if settings.get("unseen_classes") != self.settings.get("unseen_classes"):
            return False
        if split != _NO_SPLIT:
            return fnmatchcase(split, self.split)
        return all(settings.get(key) == value for key, value in self.settings.items())

    def is_of(self, cell: CellInfo, settings: Mapping[str, Any]) -> bool:
        """Whether it is of network, data and ranking of ``cell``, whose data set has these ``settings``.

        How the network was trained is not compared: ``notes`` say how long.
        """
        cuts = {rest.partition(":")[0] for name in self.values if (rest := name.partition("@")[2])}
        return (
            (self.dataset, self.method, self.loss, self.bits)
            == (cell.dataset, cell.method, cell.loss, cell.bits)
            and fnmatchcase(cell.student, self.student)
            and self.image_size in (0, cell.image_size)
            and not cell.protocol.get("limit")
            and self.drawn_like(str(cell.protocol.get("split")), settings)
            and (not cuts or str(cell.protocol.get("k", "all")) in cuts)
        )


@dataclass(frozen=True)
class Count:
    """What a network costs, counted by hand and with no data.

    Attributes:
        student: pattern of the network's names in the suite; empty where it has none.
        bits: with how many its hash layer was counted; 0 without one.
        inputs: of the hash layer, so that the costs of other code lengths follow; 0 where it has none.
        costs: by metric; also those of ``SHARES``, below 0 where more is needed.
        method: of the suite that it is of; empty for none.
        note: under what condition.
    """

    network: str
    student: str
    bits: int
    image_size: ImageSize
    inputs: int
    costs: Mapping[str, float]
    source: str
    method: str = ""
    note: str = ""

    def __str__(self) -> str:
        shares = shares_words({name: value for name, value in self.costs.items() if name in SHARES})
        return f"{self.network}{f', {self.note}' if self.note else ''}: {shares}" if shares else ""

    def cost(self, name: str, bits: int) -> float | None:
        """Parameters or multiply-adds at a code length: each bit is a row of weights and a bias."""
        per_bit = {"params": self.inputs + 1, "macs": self.inputs}.get(name)
        if name not in self.costs or per_bit is None or (bits != self.bits and not self.inputs):
            return None
        return self.costs[name] + (bits - self.bits) * per_bit


@dataclass(frozen=True)
class NotFound:
    """What was looked for in vain: of which method of the suite, what, and where."""

    method: str
    system: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.system}: {self.what} ({self.where})"


@dataclass(frozen=True)
class Published:
    """Everything that is known of what others published."""

    figures: Sequence[Figure] = ()
    counts: Sequence[Count] = ()
    not_found: Sequence[NotFound] = ()

    def of(self, cell: CellInfo, settings: Mapping[str, Any]) -> list[Figure]:
        """The figures that are of one cell, see ``Figure.is_of``."""
        return [figure for figure in self.figures if figure.is_of(cell, settings)]


@dataclass(frozen=True)
class Point:
    """A published figure on the axes of a chart: name and numbers as recorded, not as drawn."""

    figure: Figure
    accuracy: float
    cost: float


@dataclass(frozen=True)
class Beside:
    """What may stand beside the rows of one group.

    Attributes:
        figures: those that compare, in order of system and code length.
        left_out: reason -> how many figures of the same data set do not.
        not_found: of the methods of the group.
        counts: what networks cost, of whatever method.
    """

    group: Group
    figures: list[Figure] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)
    not_found: list[NotFound] = field(default_factory=list)
    counts: Sequence[Count] = ()

    @property
    def accuracies(self) -> list[str]:
        """The metrics of the group that some figure has and that are no costs."""
        names = dict.fromkeys(name for figure in self.figures for name in figure.values)
        return [name for name in names if name in self.group.metrics and not _is_cost(name)]

    def with_metric(self, name: str) -> list[Figure]:
        """The figures with this number."""
        return [figure for figure in self.figures if name in figure.values]

    def cost(self, figure: Figure, name: str) -> float | None:
        """What its network costs: as its source says, as measured in the group, or as counted by hand."""
        if name in figure.values:
            return figure.values[name]
        # What a network costs is the same here, unless it was pruned; what it scores is not what somebody
        # published.
        if not figure.student or figure.method != "none" or not _is_cost(name):
            return None
        for row in self.group.rows:
            if name in row.estimates and _is_network_of(figure, row.records[0]):
                return row.estimates[name].value
        found = (
            count.cost(name, figure.bits)
            for count in self.counts
            if (count.student, count.image_size) == (figure.student, figure.image_size)
        )
        return next((cost for cost in found if cost is not None), None)

    def saved(self) -> list[tuple[Row, dict[str, float]]]:
        """The pruned rows of the group with their ``SAVED``, where a figure says as much of others."""
        asked = dict.fromkeys(name for figure in self.figures if figure.share for name in figure.values)
        found = [
            (row, {name: part for name in asked if (part := _saved(row, name)) is not None})
            for row in self.group.rows
        ]
        return [(row, shares) for row, shares in found if shares]

    def points(self, accuracy: str, cost: str) -> list[Point]:
        """The figures that have a place in a chart of two metrics, given in full."""
        return [
            Point(figure, figure.values[accuracy], price)
            for figure in self.with_metric(accuracy)
            if (price := self.cost(figure, cost)) is not None
        ]

    def pairs(self, charts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """The charts in which some figure has a place and that are not among ``charts``, at their costs."""
        asked = {tuple(map(self.group.resolve, pair)) for pair in charts}
        for accuracy in self.accuracies:
            for cost in dict.fromkeys(cost for _, cost in charts):
                full = self.group.resolve(cost)
                if full and (accuracy, full) not in asked and self.points(accuracy, full):
                    yield accuracy, cost

    def fronts(self, charts: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Front]]:
        """What ``pairs`` charts, ranked; what to take is said by the accuracies that were asked for alone."""
        for pair in self.pairs(charts):
            if front := front_of(self.group, *pair):
                yield pair, replace(front, recommended=None)

    @property
    def notes(self) -> list[str]:
        """What is not there, a line each."""
        lines = []
        if self.left_out:
            reasons = "; ".join(f"{count} {reason}" for reason, count in self.left_out.items())
            lines.append(f"Published figures of this data set that are left out: {reasons}.")
        methods = {row.records[0].cell.method for row in self.group.rows}
        if counted := [str(one) for one in self.counts if one.method in methods and str(one)]:
            lines.append(f"Counted by hand, published by nobody: {'; '.join(counted)}.")
        if self.not_found:
            lines.append(f"Looked for and not found: {'; '.join(map(str, self.not_found))}.")
        return lines


def share_words(name: str, value: float) -> str:
    """One of ``SHARES`` in words: ``67.13 % parameters saved``, ``56 % more MACs``."""
    if value < 0:
        return f"{round(-100 * value, 2):g} % more {SHARES[name].removesuffix(' saved')}"
    return f"{round(100 * value, 2):g} % {SHARES[name]}"


def shares_words(shares: Mapping[str, float]) -> str:
    """Several of ``SHARES`` in words."""
    return ", ".join(share_words(name, value) for name, value in shares.items())


def digits(value: float) -> str:
    """A fraction with three decimal places, or the fourth that was printed: ``0.810``, ``0.6755``."""
    return f"{value:.4f}".removesuffix("0")


def beside(published: Published, group: Group) -> Beside:
    """What of ``published`` may stand beside the rows of ``group``; the rest is counted by reason."""
    cells = [record.cell for row in group.rows for record in row.records]
    settings = group.rows[0].records[0].params.get("dataset", {})
    lengths, methods = {cell.bits for cell in cells}, {cell.method for cell in cells}
    kept, reasons = list[Figure](), list[str]()
    for figure in published.figures:
        if figure.dataset != cells[0].dataset:
            continue
        if group.limited:
            reasons.append("as this is a limited run")
        elif not figure.drawn_like(str(group.protocol.get("split")), settings):
            reasons.append("of other splits")
        elif figure.bits not in lengths:
            reasons.append("with other code lengths")
        elif not figure.share and not any(
            name in group.metrics and not _is_cost(name) for name in figure.values
        ):
            reasons.append("by another metric, or nobody knows how ties were ordered")
        else:
            kept.append(figure)
    return Beside(
        group=group,
        figures=sorted(
            kept, key=lambda one: (one.bits, one.system.lower(), one.network, one.selection != "last")
        ),
        left_out=dict(Counter(reasons).most_common()),
        not_found=[one for one in published.not_found if one.method in methods],
        counts=published.counts,
    )


def points_of(front: Front, own: Beside | None) -> list[Point]:
    """The figures that have a place in the chart of ``front``."""
    return own.points(front.accuracy, front.cost) if own else []


def _is_cost(name: str) -> bool:
    known = catalogue.entry(name)
    return known is not None and known.role == "cost"


def _is_network_of(figure: Figure, record: Record) -> bool:
    """Whether a record's network is that of ``figure``: neither changed nor asked for several views."""
    cell, params = record.cell, record.params
    changed = {name: value for name, value in params.get("student", {}).items() if name != "weights"}
    return (
        (cell.bits, cell.image_size, cell.method) == (figure.bits, figure.image_size, "none")
        and fnmatchcase(cell.student, figure.student)
        and not params.get("encode")
        # Whatever else a plug-in has may change anything.
        and all(name in _UNCHANGED and _UNCHANGED[name] == value for name, value in changed.items())
    )


def _saved(row: Row, name: str) -> float | None:
    """One of ``SAVED`` of a row; None where step 1 did not prune it, or not everything was counted."""
    if any(row.doubt(metric) for metric in SAVED[name]):
        return None
    before, left = (row.estimates.get(metric) for metric in SAVED[name])
    return 1 - left.value / before.value if before and left and before.value else None
