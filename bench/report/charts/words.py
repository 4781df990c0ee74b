"""The words of a Pareto chart."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from bench.report.charts.forms import Facet, Values, values_of
from bench.report.charts.points import Points
from bench.report.charts.ticks import plain
from bench.report.tables.columns import quickest
from bench.results import catalogue, wording
from bench.results.fronts import Front
from bench.results.summary import Group, Row, interval_words
from bench.types.sizes import ImageSize, area

#: What tells points apart beside their network, in the order in which it is said.
_PARTS: dict[str, Callable[[Row], str]] = {
    "student": lambda row: row.configuration.student.removesuffix(" (teacher)"),
    "bits": lambda row: row.configuration.parts[3],
    "loss": lambda row: row.configuration.loss,
    "method": lambda row: "no distillation" if row.role == "undistilled" else row.configuration.method,
}
#: How a name says the size of its images where a network has several.
_SIZES = re.compile(r"\[image_size=[^,\]]*\]|image_size=[^,\]]*, |, image_size=[^,\]]*")


def title(front: Front) -> str:
    """Axes and data set."""
    accuracy = wording.title_beside(front.accuracy, front.group.accuracy)
    axes = f"{accuracy} against {catalogue.long_title(front.cost)}"
    return f"{axes} · {front.group.dataset}"


def title_of_methods(front: Front) -> str:
    """The same where methods stand below each other, and what they cost beside their networks."""
    accuracy = wording.title_beside(front.accuracy, front.group.accuracy)
    return f"{accuracy} by method and {catalogue.long_title(front.cost)} · {front.group.dataset}"


def subtitle(report: str, front: Front, points: Points, *, often: bool = False) -> list[str]:
    """One line each: what all rows share, and where they were measured.

    Args:
        often: whether to say the size of images that most students have where they differ.
    """
    rows, group = points.rows, front.group
    shared = {part: {say(row) for row in rows} for part, say in _PARTS.items()}
    student, bits, loss, _ = (said.pop() if len(said) == 1 else "" for said in shared.values())
    seeds = sorted({one.n for one in points.y.estimates})
    facts = [
        f"Grid {report}",
        student,
        f"loss {loss}" if loss else "",
        bits,
        _sizes(front.group) or (_often(points.rows) if often else ""),
        f"{'–'.join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))} seed{'s' * (seeds[-1] > 1)}",
    ]
    split = group.protocol.get("split")
    where = [group.conditions, f"split {wording.one_line(split)}" if split else ""]
    lines = [" · ".join(filter(None, facts)), " · ".join(filter(None, where))]
    return [*(["LIMITED RUN, NOT COMPARABLE: no front is drawn"] * group.limited), *lines]


def _sizes(group: Group) -> str:
    """The size of images where it is the same for all students and for all teachers; else points have it."""
    students, teachers = (
        sorted(
            {row.image_size for row in group.rows if row.image_size and (row.role == "teacher") is wanted},
            key=area,
        )
        for wanted in (False, True)
    )
    if len(group.image_sizes) == 1:
        return f"images of {wording.pixels(group.image_sizes)}"
    if len(students) == len(teachers) == 1:
        return f"images of {wording.pixels(students)}, teacher {wording.pixels(teachers)}"
    return ""


def _often(rows: list[Row]) -> str:
    size = usual_size(rows)
    return f"images of {wording.pixels([size])} unless told" if size else ""


def usual_size(rows: list[Row]) -> ImageSize | None:
    """The size of images of most students, the smaller one among equals; None where nobody knows."""
    sizes = Counter(row.image_size for row in rows if row.image_size and row.role != "teacher")
    return min(sizes, key=lambda size: (-sizes[size], area(size)), default=None)


def network(row: Row, usual: ImageSize | None) -> str:
    """A row's network: ``resnet50 (64 px)``; the ``usual`` size of images needs no words."""
    name = _SIZES.sub("", row.configuration.student.removesuffix(" (teacher)"))
    parts = ["teacher"] * (row.role == "teacher")
    parts += [wording.pixels([row.image_size])] * (row.image_size not in {0, usual})
    return f"{name} ({', '.join(parts)})" if parts else name


def panel(facets: Sequence[Facet], values: Values) -> str:
    """What all rows of a panel share."""
    said = {"loss": "loss {}", "bits": "{} bit"}
    return " · ".join(
        said[facet].format(value) if value else wording.FLOAT
        for facet, value in zip(facets, values, strict=True)
    )


def names(points: Points) -> dict[int, str]:
    """The names of the rows to name: no more than tells them apart, since the key has the rest."""
    said = {part: {i: say(points.rows[i]) for i in points.named} for part, say in _PARTS.items()}
    # Among all rows, so that the network is named unless there is only one.
    varying = [part for part, say in _PARTS.items() if len({say(row) for row in points.rows}) > 1]
    chosen = {i: ["student"] if "student" in varying else [] for i in points.named}
    for part in ("bits", "loss", "method"):
        alike: dict[str, list[int]] = defaultdict(list)
        for i, parts in chosen.items():
            alike["\n".join(said[one][i] for one in parts)].append(i)
        for same in alike.values():
            if len({said[part][i] for i in same}) > 1:
                for i in same:
                    chosen[i].append(part)
    return {
        i: " · ".join(said[part][i] for part in parts or varying or ["student"]) + _attributes(points, i)
        for i, parts in chosen.items()
    }


def _attributes(points: Points, position: int) -> str:
    row = points.rows[position]
    parts = ["recommended"] * (position == points.recommended) + ["teacher"] * (row.role == "teacher")
    if row.image_size not in {0, points.usual_size} and "image_size=" not in row.configuration.student:
        parts.append(wording.pixels([row.image_size]))
    return f" ({', '.join(parts)})" if parts else ""


def number(points: Points, position: int) -> str:
    """A row's accuracy with its interval."""
    one = points.y.estimates[position]
    return f"{one.value:.3f}{one.spread()}"


def costs(points: Points, some: list[int]) -> str:
    """What some points cost: ``22.6``, or the least and the most."""
    values = [points.x.everything[i] for i in some]
    ends = [plain(float(f"{end:.3g}")) for end in (min(values), max(values))]
    return "–".join(dict.fromkeys(ends))


def notes(front: Front, points: Points, *, cut: bool) -> list[str]:
    """What a reader must know to read the chart, the most important first; the page says more.

    Args:
        front: what is drawn.
        points: its points.
        cut: whether bars go on behind the frame.
    """
    said = []
    if points.outside:
        many = "1 published figure lies" if points.outside == 1 else f"{points.outside} published figures lie"
        said.append(f"{many} too far below to be drawn.")
    if spread := interval_words(points.y.estimates[i] for i in points.listed):
        said.append(f"Bars and ±: {spread}{', cut by the frame' * cut}.")
    if front.chances is not None and front.chances.missing:
        said.append(f"No band: {front.chances.missing}.")
    if absent := len(front.group.rows) - len(points.rows):
        said.append(f"{absent} rows lack one of the two numbers.")
    said += [note for name in (front.accuracy, front.cost) if (note := wording.short_definition(name))]
    return said


def panel_notes(
    points: Points, panels: Mapping[Values, Sequence[int]], facets: Sequence[Facet], *, banded: bool
) -> list[str]:
    """Where points stand in small multiples.

    Args:
        points: of all panels.
        panels: see ``forms.panels_of``.
        facets: what the panels differ in.
        banded: whether networks that moved on stand in bands.
    """
    side = "left" if points.x.higher_is_better else "right"
    beyond = f" or, in a shaded band, further {side}" * banded
    said = [f"Points of one network stand side by side, the first at what it costs{beyond}."]
    if any(values_of(points.rows[i], facets) != values for values, some in panels.items() for i in some):
        what = " and ".join({"loss": "loss", "bits": "code length"}[facet] for facet in facets)
        said.append(f"Rows of no panel's {what} stand in the panels nearest to them.")
    return said


def others(points: Points) -> str:
    """How many rows are small and pale: ``49 behind the front``."""
    close = len(points.close.intersection(points.unlisted))
    behind = len(points.unlisted) - close
    what = "behind the front" if points.on_front else "others"
    parts = [f"{close} more not distinguishable"] * (close > 0) + [f"{behind} {what}"] * (behind > 0)
    return ", ".join(parts)


def recommended(front: Front) -> str:
    """What the mark of the recommended row means."""
    return f"recommended: {quickest(front).lower()} student within {front.within:g} of the best one"
