"""Published figures in tables: below the rows of a front, and by themselves with their sources."""

from __future__ import annotations

from dataclasses import replace

from bench.report.tables.columns import Column, Scale, front_columns
from bench.results import catalogue, wording
from bench.results.fronts import Front
from bench.results.published import SHARES, Beside, Figure, digits, shares_words

NOTE = (
    "Published: by others, of one run each on splits of their own, with what the same network costs here or "
    "was counted to cost; on no front, in no test, never recommended."
)


def front_columns_beside(front: Front, own: Beside | None) -> list[Column]:
    """The table of a front, with the published figures of the same accuracy below, best first."""
    columns = front_columns(front)
    figures = own.with_metric(front.accuracy) if own else []
    if own is None or not figures:
        return columns
    figures = sorted(figures, key=lambda one: -one.values[front.accuracy])
    scale = Scale.of_front(front)
    costs = [own.cost(figure, front.cost) for figure in figures]
    said = {
        "P(front)": [wording.UNKNOWN] * len(figures),
        "standing": [", ".join(filter(None, ["published", figure.selected])) for figure in figures],
        "student": [figure.network for figure in figures],
        "image size": [str(figure.image_size or wording.UNKNOWN) for figure in figures],
        "method": [_method(figure) for figure in figures],
        "loss": [figure.system if figure.bits else wording.UNKNOWN for figure in figures],
        "bits": [str(figure.bits or wording.FLOAT) for figure in figures],
    }
    *named, accuracy, cost = columns
    return [
        *(replace(column, cells=[*column.cells, *said[column.head]]) for column in named),
        replace(accuracy, cells=[*accuracy.cells, *(digits(one.values[front.accuracy]) for one in figures)]),
        replace(cost, cells=[*cost.cells, *(_cost(scale, value) for value in costs)]),
    ]


def published_columns(own: Beside) -> list[Column]:
    """All figures that may stand beside a group, a line each; below, what pruned rows save as they do."""
    published = [
        (
            "published",
            figure.network,
            figure.system,
            str(figure.bits or wording.FLOAT),
            _figures(figure),
            figure.selected or wording.UNKNOWN,
            "; ".join(filter(None, [figure.source, figure.notes])),
        )
        for figure in own.figures
    ]
    here = [
        (
            "measured here",
            row.configuration.student,
            row.configuration.method,
            str(row.configuration.bits or wording.FLOAT),
            shares_words(shares),
            wording.UNKNOWN,
            wording.UNKNOWN,
        )
        for row, shares in own.saved()
    ]
    heads = ("standing", "network", "system", "bits", "figure", "of which epoch", "source")
    lines = [*published, *here]
    return [Column(head, [line[i] for line in lines], numeric=head == "bits") for i, head in enumerate(heads)]


def published_notes(own: Beside) -> list[str]:
    """What a reader must know of them, and what is not there."""
    rules = dict.fromkeys(name for figure in own.figures for name in figure.values if name in own.accuracies)
    notes = [NOTE, *(wording.definition(name) for name in rules)] if own.figures else []
    urls = dict.fromkeys(f"{figure.source.partition(',')[0]}: {figure.url}" for figure in own.figures)
    nothing = [] if own.figures or own.left_out else ["No published figure of this data set is known."]
    return list(filter(None, [*notes, *urls, *nothing, *own.notes]))


def _method(figure: Figure) -> str:
    return (figure.method or wording.UNKNOWN) if figure.bits else figure.system


def _cost(scale: Scale, value: float | None) -> str:
    return wording.UNKNOWN if value is None else f"{value / scale.divisor:.{scale.places}f}"


def _figures(figure: Figure) -> str:
    shown = [name for name in figure.values if name in SHARES or _is_main(name)] or list(figure.values)
    return ", ".join(map(figure.words, shown))


def _is_main(name: str) -> bool:
    """Whether it is a mAP or a cost: of precision at several ranks there are too many for a line."""
    return catalogue.base_name(name) != "mp_at_k"
