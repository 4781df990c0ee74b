"""Which points a grid has: the product of its axes, extra cells, exclusions, and --only / --skip."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from bench.errors import UsageError, did_you_mean
from bench.planning.schema import Axes, Grid
from bench.planning.yaml_nodes import Path
from bench.results.records import CellInfo

#: Key of a filter -> field of a cell.
KEYS = {axis: axis for axis in Axes.model_fields} | {"teacher": "teachers", "image_size": "image_size"}
#: Values that a message lists.
LISTED = 12


@dataclass(frozen=True)
class Point:
    """One value per axis, ``image_size`` and ``encode``; and where in the file each of the axes stands.

    ``bits`` is one number; ``nested`` are all lengths of its network, ascending, and empty where it has one.
    """

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
    exclusions = _Exclusions(grid)
    return (point for point in _product(grid) if not any(True for _ in exclusions.of(point)))


def size(grid: Grid) -> int:
    """How many points there are, excluded ones among them; nothing is multiplied out for it."""
    return sum(math.prod(_lengths(grid, *section).values()) for section in _sections(grid))


def too_many(grid: Grid) -> tuple[Path, str] | None:
    """Where and why a grid multiplies to more cells than its ``max_cells``: at its largest part."""
    total = size(grid)
    if total <= grid.max_cells:
        return None
    section, overlay = max(_sections(grid), key=lambda one: math.prod(_lengths(grid, *one).values()))
    factors = " x ".join(f"{n} {axis}" for axis, n in _lengths(grid, section, overlay).items() if n > 1)
    what = f"{total:,} cells ({factors}), more than max_cells: {grid.max_cells:,} allows"
    return section, f"the grid multiplies to {what}; set max_cells higher if you mean it"


def idle_excludes(grid: Grid) -> Iterator[Path]:
    """Where the exclusions stand that leave nothing out."""
    exclusions = _Exclusions(grid)
    met: set[int] = set()
    if grid.exclude:
        for point in _product(grid):
            met.update(exclusions.of(point))
    yield from (("exclude", i) for i in range(len(grid.exclude)) if i not in met)


def _product(grid: Grid) -> Iterator[Point]:
    for section, overlay in _sections(grid):
        columns = [
            [(axis, entry, place) for place, entry in entries]
            for axis, entries in _columns(grid, section, overlay).items()
        ]
        shared = {
            name: getattr(overlay, name, None) or getattr(grid.defaults, name)
            for name in ("image_size", "encode")
        }
        for combination in itertools.product(*columns):
            values = {axis: entry for axis, entry, _ in combination} | shared
            bits, nested = values["bits"]
            places = {axis: place for axis, _, place in combination}
            yield Point({**values, "bits": bits, "nested": nested}, places)


def _sections(grid: Grid) -> Iterator[tuple[Path, Any]]:
    """The axes, and every overlay of them; where in the file each stands."""
    yield ("axes",), grid.axes
    yield from ((("include", i), overlay) for i, overlay in enumerate(grid.include))


def _columns(grid: Grid, section: Path, overlay: Any) -> dict[str, list[tuple[Path, Any]]]:
    """Axis -> its entries, those of ``overlay``, else those of the axes, and where each stands.

    Those of ``bits`` are pairs of a length and all lengths of its network, none where it has one.
    """
    found: dict[str, list[tuple[Path, Any]]] = {}
    for axis in Axes.model_fields:
        place, given = (*section, axis), getattr(overlay, axis)
        if given is None:
            place, given = ("axes", axis), getattr(grid.axes, axis)
        found[axis] = [((*place, i), entry) for i, entry in enumerate(given)]
    found["bits"] = [
        (place, (length, tuple(lengths) if len(lengths) > 1 else ()))
        for place, lengths in found["bits"]
        for length in lengths
    ]
    return found


def _lengths(grid: Grid, section: Path, overlay: Any) -> dict[str, int]:
    return {axis: len(entries) for axis, entries in _columns(grid, section, overlay).items()}


class _Exclusions:
    """Which exclusions agree with a point; each is looked at only by points with one of its values.

    The value is one of the longest axis: grids of thousands of cells have thousands of exclusions, too.
    """

    def __init__(self, grid: Grid) -> None:
        length = {axis: len(getattr(grid.axes, axis)) for axis in Axes.model_fields}
        self._wanted: list[dict[str, frozenset[Any]]] = [
            {axis: frozenset(values) for axis, values in match if values is not None}
            for match in grid.exclude
        ]
        self._found: dict[str, dict[Any, list[int]]] = {}
        for i, wanted in enumerate(self._wanted):
            if wanted:  # an empty match excludes nothing
                axis = max(wanted, key=length.__getitem__)
                by_value = self._found.setdefault(axis, {})
                for value in wanted[axis]:
                    by_value.setdefault(value, []).append(i)

    def of(self, point: Point) -> Iterator[int]:
        """The exclusions that agree with ``point`` in every key, by their place in the grid."""
        for axis, by_value in self._found.items():
            for name in _names(point.values[axis]):
                for i in by_value.get(name, ()):
                    if all(_has(point.values[key], values) for key, values in self._wanted[i].items()):
                        yield i


def _has(value: Any, wanted: frozenset[Any]) -> bool:
    return any(name in wanted for name in _names(value))


def _names(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [entry.name for entry in value]
    return [getattr(value, "name", value)]
