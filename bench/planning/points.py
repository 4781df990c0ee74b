"""Which points a grid has: the product of its axes, extra cells, exclusions, and --only / --skip."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from bench.errors import UsageError, did_you_mean
from bench.planning.schema import Axes, Grid, Match
from bench.planning.yaml_nodes import Path
from bench.results.records import CellInfo

#: Key of a filter -> field of a cell.
KEYS = {axis: axis for axis in Axes.model_fields} | {"teacher": "teachers", "image_size": "image_size"}
#: Values that a message lists.
LISTED = 12


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
        only, skip = (
            [_Filter.parse(option, text) for text in texts]
            for option, texts in (("--only", self.only), ("--skip", self.skip))
        )
        return all(one.matches(cell) for one in only) and not any(one.matches(cell) for one in skip)

    def check(self, cells: Sequence[CellInfo]) -> None:
        """Refuse a filter with a pattern that matches none of ``cells``, those of the whole grid.

        Raises:
            UsageError: which one, and what there is.
        """
        for option, texts in (("--only", self.only), ("--skip", self.skip)):
            for text in texts:
                _Filter.parse(option, text).check(cells)


@dataclass(frozen=True)
class _Filter:
    """``student=cukd_v1``, ``bits=16,32``, ``student=cukd_*``: any of the patterns behind the sign."""

    text: str
    key: str
    patterns: list[str]

    @classmethod
    def parse(cls, option: str, text: str) -> _Filter:
        key, equals, patterns = text.partition("=")
        key, known = {"teachers": "teacher"}.get(key, key), f"(keys: {', '.join(KEYS)})"
        word = re.split(r"\W", key)[0]
        if not equals:
            form = f"{word}=PATTERN" if word in KEYS else f"KEY=PATTERN {known}"
            raise UsageError(f"{option} {text}: write it as {form}")
        if key not in KEYS:
            raise UsageError(f"{option} {text}: unknown key '{key}'{did_you_mean(key, KEYS)} {known}")
        return cls(f"{option} {text}", key, patterns.split(","))

    def matches(self, cell: CellInfo) -> bool:
        return any(fnmatch(value, pattern) for value in self._values(cell) for pattern in self.patterns)

    def check(self, cells: Sequence[CellInfo]) -> None:
        there = list(dict.fromkeys(value for cell in cells for value in self._values(cell)))
        for pattern in self.patterns:
            if not any(fnmatch(value, pattern) for value in there):
                more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
                listed = f"(the grid has: {', '.join(there[:LISTED])}{more})"
                what = f"no cell of this grid has {self.key} '{pattern}'"
                raise UsageError(f"{self.text}: {what}{did_you_mean(pattern, there)} {listed}")

    def _values(self, cell: CellInfo) -> list[str]:
        """What patterns are held against; embeddings, whose bits are 0, are listed as float elsewhere."""
        value = getattr(cell, KEYS[self.key])
        values = value if isinstance(value, list) else [value]
        return [str(item) for item in values] + (["float"] if self.key == "bits" and not value else [])


def points(grid: Grid) -> Iterator[Point]:
    """Every point of the axes, then of each include overlay, without the excluded ones."""
    return (point for point in _product(grid) if not any(_excluded(point, match) for match in grid.exclude))


def idle_excludes(grid: Grid) -> Iterator[Path]:
    """Where the exclusions stand that leave nothing out."""
    for i, match in enumerate(grid.exclude):
        if not any(_excluded(point, match) for point in _product(grid)):
            yield "exclude", i


def _product(grid: Grid) -> Iterator[Point]:
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
            yield Point(
                {axis: entry for axis, entry, _ in combination} | {"image_size": image_size},
                {axis: place for axis, _, place in combination},
            )


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
