"""What a results folder is of: ``grid.json``, the cells of one grid, or of several that were run into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel

from bench.results import catalogue, records
from bench.storage import sealed
from bench.types import MetricEntry


class GridIndex(BaseModel):
    """What ``grid.json`` holds: a grid's cells (cell key -> slug), what it is for, plug-ins' metrics.

    ``added`` are the names of all grids whose cells these are, where they are of several.
    """

    name: str
    pareto: list[tuple[str, str]]
    cells: dict[str, str]
    description: str = ""
    metrics: list[MetricEntry] = []
    added: list[str] = []
    curves: list[tuple[str, str]] = []

    @classmethod
    def of(cls, name: str, pareto: list[tuple[str, str]], cells: dict[str, str], description: str = "",
           metrics: Sequence[MetricEntry] = (), curves: Sequence[tuple[str, str]] = ()) -> Self:  # fmt: skip
        """The index of one grid."""
        return cls(
            name=name,
            pareto=pareto,
            cells=cells,
            description=description.strip(),
            metrics=[*metrics],
            curves=[*curves],
        )

    @property
    def grids(self) -> list[str]:
        """Names of the grids whose cells these are."""
        return self.added or [self.name]

    def with_grid(self, other: GridIndex) -> GridIndex:
        """The cells of this one and those of another grid, or of another form of the same one."""
        grids = list(dict.fromkeys([*self.grids, *other.grids]))
        texts = dict.fromkeys(filter(None, [self.description, other.description]))
        known = {entry.name for entry in other.metrics}
        return GridIndex(
            name=" + ".join(grids),
            pareto=list(dict.fromkeys([*self.pareto, *other.pareto])),
            cells=self.cells | other.cells,
            description="\n\n".join(texts) if len(grids) > 1 else other.description,
            metrics=[*(entry for entry in self.metrics if entry.name not in known), *other.metrics],
            added=grids if len(grids) > 1 else [],
            curves=list(dict.fromkeys([*self.curves, *other.curves])),
        )

    def text(self) -> str:
        """What ``grid.json`` holds, with its digest."""
        index: dict[str, Any] = {"schema_version": records.SCHEMA_VERSION, "name": self.name}
        index |= {"description": self.description, "pareto": self.pareto, "cells": self.cells}
        if self.curves:
            index["curves"] = self.curves
        if self.metrics:
            index["metrics"] = [catalogue.as_json(entry) for entry in self.metrics]
        if self.added:
            index["added"] = self.added
        return sealed.sealed(index)
