"""What a plan is: cells, and the stages that make them, each once.

How work is executed (device, jobs) is in no key, except for timed metrics, whose key holds the hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.data.copies import Copies
from bench.planning.schema import Keep
from bench.planning.stage import Stage, walk
from bench.results.records import CellInfo
from bench.storage.keys import file_name
from bench.types import MetricEntry


@dataclass(frozen=True)
class Cell:
    """One point of the grid and what makes its record.

    ``leaves`` are the stages that nothing else of the cell needs, by role; ``stage.walk`` finds the others.
    ``key`` identifies the cell wherever it runs; ``record_key`` also the hardware of its timings.
    ``warnings`` are what its record will say of its data, whatever comes of it.
    """

    info: CellInfo
    params: dict[str, Any]
    leaves: dict[str, Stage]
    key: str
    record_key: str
    warnings: tuple[str, ...] = ()

    @property
    def plugins(self) -> set[tuple[str, str]]:
        """Kind, as in ``registry.REGISTRIES``, and name of whatever its stages look up there."""
        i = self.info
        return {
            ("datasets", i.dataset),
            *(("teachers", teacher) for teacher in i.teachers),
            ("students", i.student),
            ("methods", i.method),
            ("losses", i.loss),
            *(("metrics", metric) for metric in self.params["measure"]),
        }

    @property
    def slug(self) -> str:
        """Readable name, used for files."""
        return self.info.slug

    @property
    def record_file(self) -> str:
        """File name of the record."""
        return f"{file_name(self.slug, self.record_key)}.json"


@dataclass(frozen=True)
class Plan:
    """All cells of a grid; ``selected`` are those that --only and --skip leave to be run."""

    name: str
    description: str
    pareto: list[tuple[str, str]]
    curves: list[tuple[str, str]]
    keep: Keep
    #: what plug-ins say of the metrics that they give
    entries: list[MetricEntry]
    cells: list[Cell]
    selected: list[Cell]
    #: one line per data set or weight file that selected cells need and that is not at hand, with its cure
    missing: list[str]
    #: one line per exclusion that leaves nothing out, with its place in the grid
    idle: list[str]
    #: file name -> split manifest of every data set
    manifests: dict[str, dict[str, Any]]
    #: file name -> equal pictures in different parts of every data set of the selected cells
    copies: dict[str, Copies]
    #: one line per data set of selected cells whose image files a quick plan has not looked into
    unseen: list[str]
    #: split of selected cells -> which classes it keeps from training, in words, where it does
    unseen_classes: dict[str, str]
    #: name of a network and fingerprint of its weights -> the ``weights`` parameter that leads to them
    weights: dict[tuple[str, str], str | None]

    def stages(self) -> list[Stage]:
        """Stages of the selected cells, inputs before users, each once."""
        return list(walk(leaf for cell in self.selected for leaf in cell.leaves.values()).values())
