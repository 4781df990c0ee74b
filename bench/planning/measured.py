"""What a grid measures: which metrics, of which cells, and what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.errors import MissingPackageError, Problem
from bench.interfaces import Metric
from bench.planning.axis_faults import axis_faults
from bench.planning.config import GridFile
from bench.planning.fitting import compresses, has_features, hashes
from bench.planning.plan import Cell
from bench.planning.resolved import Blocks, identity
from bench.registry import DATASETS, METRICS
from bench.results import catalogue
from bench.results.entries import DEFAULT_METRICS
from bench.types import MetricEntry


class Measured:
    """The metrics of a grid, and which of them some cell has.

    Attributes:
        missing: what optional packages they lack, a line each.
    """

    def __init__(self, file: GridFile) -> None:
        self._file, self._grid = file, file.grid
        self._params: dict[str, Any] = {}
        self._met: set[str] = set()
        self.missing: dict[str, None] = {}
        self._blocks = dict(self._asked())

    def of(self, cell: Blocks) -> list[dict[str, Any]]:
        """Blocks of name, version and params of what a cell has measured."""
        found = [block for name, block in self._blocks.items() if _applies(METRICS.get(name), cell)]
        self._met |= {block["name"] for block in found}
        return found

    def refusals(self, metrics: Sequence[dict[str, Any]], blocks: Blocks) -> Iterator[Problem]:
        """What these cannot measure of the codes of a cell."""
        size = blocks.dataset.sizes.get("database")
        for name in (block["name"] for block in metrics):
            metric: Any = METRICS.get(name)
            if metric.subject != "codes":
                continue
            # Interfaces need not be inherited from.
            check = getattr(metric, "check", Metric.check)
            bits = 0 if compresses(blocks.loss["name"]) else blocks.bits
            if refusal := check(self._params[name], bits, size):
                yield self._file.problem(("measure", name), f"{name}: {refusal}")

    def entries(self) -> list[MetricEntry]:
        """What plug-ins say of the names that they give, of those that some cell has."""
        return [entry for name in self._blocks if name in self._met for entry in _declared(name)]

    def useless(self, cells: Sequence[Cell]) -> Iterator[Problem]:
        """Metrics that the grid asks for and none of its ``cells`` has, and axes that none can give."""
        for name, params in self._grid.measure.items():
            if params is not False and name not in self._met:
                asked = _needs_features(METRICS.get(name))
                why = ": it needs binary codes of a frozen trunk that sees images once" if asked else ""
                message = f"metric '{name}' applies to no cell of this grid{why}; leave it out"
                yield self._file.problem(("measure", name), message)
        yield from self._axis_faults(cells)

    def _asked(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What is measured wherever it applies, the protocol's accuracy first: name and block."""
        wanted = dict.fromkeys(DEFAULT_METRICS, True)
        wanted.update({name: params is not False for name, params in self._grid.measure.items()})
        for name in (name for name, measured in wanted.items() if measured):
            metric = METRICS.get(name)
            catalogue.learn(_declared(name), f"metric '{name}'")
            self._params[name] = params = metric.Params.of(self._grid.measure.get(name) or {})
            try:
                metric(params)
            except MissingPackageError as error:
                self.missing[str(error)] = None
            yield name, {**identity(METRICS, name), "params": params.model_dump(mode="json")}

    def _axis_faults(self, cells: Sequence[Cell]) -> Iterator[Problem]:
        """Numbers of charts that nothing measured here can give, where all metrics say what they give."""
        own = f"{METRICS.package}."
        others = [name for name in self._met if not METRICS.get(name).__module__.startswith(own)]
        if all(map(_declared, others)):
            elsewhere = {entry.name for name in others for entry in _declared(name)}
            for fault in axis_faults(self._grid, cells, elsewhere):
                yield self._file.problem(*fault)


def _applies(metric: Any, cell: Blocks) -> bool:
    """Whether a metric has something to measure in a cell."""
    if metric.subject == "network":
        return True
    judged = metric.judges in (None, DATASETS.get(cell.dataset.name).judged_by)
    there = has_features(cell) or not _needs_features(metric)
    if compresses(cell.loss["name"]):
        # Interfaces need not be inherited from.
        takes = metric.embeddings and getattr(metric, "read_back", Metric.read_back)
    else:
        takes = hashes(cell.loss["name"]) or metric.embeddings
    return bool(judged and there and takes)


def _needs_features(metric: Any) -> bool:
    # Interfaces need not be inherited from.
    return bool(getattr(metric, "needs_features", Metric.needs_features))


def _declared(metric: str) -> tuple[MetricEntry, ...]:
    """What a plug-in says of the names that it gives."""
    # One that does not subclass the interface need not say anything.
    return getattr(METRICS.get(metric), "entries", ())
