"""What a grid measures: which metrics, of which cells, and what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.errors import MissingPackageError, Problem, did_you_mean
from bench.interfaces import Metric
from bench.planning import yaml_nodes
from bench.planning.config import GridFile
from bench.planning.fitting import compresses, has_features, hashes
from bench.planning.plan import Cell
from bench.planning.resolved import Blocks, identity
from bench.registry import DATASETS, METRICS
from bench.results import catalogue
from bench.results.entries import DEFAULT_METRICS
from bench.results.sides import SIDES, apart
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
        yield from self._unknown_axes(cells)

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

    def _unknown_axes(self, cells: Sequence[Cell]) -> Iterator[Problem]:
        """Axes of charts that nothing measured here can give, where all metrics say what they give."""
        own = f"{METRICS.package}."
        if any(not (METRICS.get(name).__module__.startswith(own) or _declared(name)) for name in self._met):
            return
        known, report = [entry.name for entry in catalogue.entries()], self._grid.report
        named: list[tuple[yaml_nodes.Path, str]] = [
            (("report", "pareto", i, j), name)
            for i, pair in enumerate(report.pareto)
            for j, name in enumerate(pair)
        ]
        named += [(("report", "curves", i, 0), pair[0]) for i, pair in enumerate(report.curves)]
        for place, name in named:
            side, base = apart(name)[1], catalogue.base_name(name)
            if base not in known:
                hint = did_you_mean(base, known) or f" (known: {', '.join(known)})"
                yield self._file.problem(place, f"no metric gives '{name}'{hint}")
            elif side and side not in SIDES:
                hint = did_you_mean(side, SIDES) or f" (known: {', '.join(SIDES)})"
                yield self._file.problem(place, f"'{name}': there is no side '{side}'{hint}")
            elif side and not any(cell.params["dataset"].get("unseen_classes") for cell in cells):
                cure = "set unseen_classes in the params of a data set"
                yield self._file.problem(place, f"no cell has '{name}', as no class is unseen; {cure}")


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
