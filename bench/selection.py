"""Which points a grid has: the product of its axes, extra cells, exclusions, and --only / --skip."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from bench.config import Axes, Grid, Match
from bench.errors import UsageError, did_you_mean
from bench.records import CellInfo
from bench.yaml_nodes import Path


@dataclass(frozen=True)
class Point:
    """One value per axis, and ``image_size``; and where in the file each of the axes stands."""

    values: dict[str, Any]
    places: dict[str, Path]


@dataclass(frozen=True)
class Choice:
    """What the command line leaves of a grid: filters, and a cap on images per split."""

    only: Sequence[str] = field(default=())
    skip: Sequence[str] = field(default=())
    limit: int | None = None

    def selects(self, cell: CellInfo) -> bool:
        """Whether ``cell`` passes every ``only`` and no ``skip``."""
        return all(_matches(cell, text) for text in self.only) and not any(
            _matches(cell, text) for text in self.skip
        )


def points(grid: Grid) -> Iterator[Point]:
    """Every point of the axes, then of each include overlay, without the excluded ones."""
    sections: list[tuple[Path, Any]] = [(("axes",), grid.axes)]
    sections += [(("include", i), overlay) for i, overlay in enumerate(grid.include)]
    for section, overlay in sections:
        columns = []
        for axis in Axes.model_fields:
            given = getattr(overlay, axis)
            place: Path = ("axes", axis) if given is None else (*section, axis)
            entries = getattr(grid.axes, axis) if given is None else given
            columns.append([(axis, entry, (*place, i)) for i, entry in enumerate(entries)])
        image_size = getattr(overlay, "image_size", None) or grid.defaults.image_size
        for combination in itertools.product(*columns):
            point = Point(
                {axis: entry for axis, entry, _ in combination} | {"image_size": image_size},
                {axis: place for axis, _, place in combination},
            )
            if not any(_excluded(point, match) for match in grid.exclude):
                yield point


def _excluded(point: Point, match: Match) -> bool:
    """Whether ``point`` agrees with every key of ``match``; an empty match excludes nothing."""
    wanted = {axis: values for axis, values in match if values is not None}
    return bool(wanted) and all(
        any(name in values for name in _names(point.values[axis])) for axis, values in wanted.items()
    )


def _names(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [entry.name for entry in value]
    return [getattr(value, "name", value)]


def _matches(cell: CellInfo, text: str) -> bool:
    """``student=cukd_v1``, ``bits=16,32``, ``student=cukd_*``: any of the patterns behind the sign."""
    key, equals, patterns = text.partition("=")
    field_name = {"teacher": "teachers"}.get(key, key)
    known = [name for name in CellInfo.model_fields if name != "protocol"]
    if not equals or field_name not in known:
        hint = did_you_mean(key, known)
        raise UsageError(f"filter '{text}'{hint} write it as KEY=PATTERN with KEY one of {', '.join(known)}")
    value = getattr(cell, field_name)
    values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return any(fnmatch(item, pattern) for item in values for pattern in patterns.split(","))
