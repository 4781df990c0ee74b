"""Grid -> Plan: which stages make which cells, each stage once. Planning needs no torch.

How work is executed (device, jobs) is in no key, except for timed metrics, whose key holds the hardware.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import loading, selection, store, yaml_nodes
from bench.config import DEFAULT_METRICS, GridFile, resolve
from bench.errors import (
    ConfigError,
    DataError,
    MissingDataError,
    MissingPackageError,
    Problem,
    UsageError,
    WeightsError,
)
from bench.records import CellInfo
from bench.registry import DATASETS, LOSSES, METHODS, METRICS, STUDENTS, TEACHERS, Registry
from bench.selection import Choice, Point
from bench.stage import Stage
from bench.types import TrainingParameters


@dataclass(frozen=True)
class Cell:
    """One point of the grid and the stages that make its record.

    ``key`` identifies the cell wherever it runs; ``record_key`` also the hardware of its timings.
    """

    info: CellInfo
    params: dict[str, Any]
    stages: dict[str, Stage]
    key: str
    record_key: str

    @property
    def slug(self) -> str:
        """Readable name, used for files."""
        i = self.info
        teacher = "+".join(i.teachers) or "no-teacher"
        return f"{i.dataset}__{teacher}__{i.student}__{i.method}__{i.loss}__{i.bits}b__s{i.seed}"

    @property
    def record_file(self) -> str:
        """File name of the record."""
        return f"{store.file_name(self.slug, self.record_key)}.json"


@dataclass(frozen=True)
class Plan:
    """All cells of a grid; ``selected`` are those that --only and --skip leave to be run."""

    name: str
    pareto: list[tuple[str, str]]
    cells: list[Cell]
    selected: list[Cell]
    #: one line per data set or weight file that is not at hand, each with its cure
    missing: list[str]
    #: file name -> split manifest of every data set
    manifests: dict[str, dict[str, Any]]
    #: weights fingerprint -> the ``weights`` parameter that leads to them
    weights: dict[str, str | None]

    def stages(self) -> list[Stage]:
        """Stages of the selected cells, inputs before users, each once."""
        unique: dict[str, Stage] = {}
        for cell in self.selected:
            for leaf in cell.stages.values():
                for stage in leaf.lineage():
                    unique.setdefault(stage.key, stage)
        return list(unique.values())


def build_plan(file: GridFile, data_root: Path, hardware: str, choice: Choice | None = None) -> Plan:
    """Expand a grid.

    Args:
        file: the checked grid.
        data_root: where data sets are looked for.
        hardware: fingerprint that timed metrics are keyed by.
        choice: filters of the command line.

    Raises:
        ConfigError: a combination that cannot work, with its place in the grid.
        UsageError: a filter that matches nothing.
    """
    return _Builder(file, data_root, hardware, choice or Choice()).build()


class _Builder:
    def __init__(self, file: GridFile, data_root: Path, hardware: str, choice: Choice) -> None:
        self.file, self.grid = file, file.grid
        self.data_root, self.hardware, self.choice = data_root, hardware, choice
        self.problems: list[Problem] = []
        self.missing: dict[str, None] = {}
        self.manifests: dict[str, dict[str, Any]] = {}
        self.weights: dict[str, str | None] = {}

    def build(self) -> Plan:
        cells: dict[str, Cell] = {}
        for point in selection.points(self.grid):
            cell = self._cell(point)
            if cell is not None:
                cells.setdefault(cell.key, cell)
        if self.problems:
            raise ConfigError(self.problems)
        if not cells:
            raise ConfigError([self.file.problem(("exclude",), "exclude leaves no cell of this grid")])
        selected = [cell for cell in cells.values() if self.choice.selects(cell.info)]
        if not selected:
            raise UsageError("--only and --skip leave no cell; 'plan' without them lists the cells")
        pareto = [(accuracy, cost) for accuracy, cost in self.grid.report.pareto]
        return Plan(
            name=self.grid.name,
            pareto=pareto,
            cells=list(cells.values()),
            selected=selected,
            missing=list(self.missing),
            manifests=self.manifests,
            weights=self.weights,
        )

    def _cell(self, point: Point) -> Cell | None:
        """The cell at ``point``, or None after noting why it cannot be."""
        values, bits, seed = point.values, point.values["bits"], point.values["seed"]
        problem = self._impossible(point)
        if problem:
            self.problems.append(problem)
            return None
        method = _plugin(METHODS, values["method"], self.grid.defaults.distill)
        # A method that takes no teacher gives one cell, however many teachers the axis has.
        teachers = values["teacher"] if METHODS.get(method["name"]).teachers[1] else []
        blocks = _Blocks(
            dataset=self._dataset(values["dataset"], point.places["dataset"]),
            teachers=[self._network(TEACHERS, teacher) for teacher in teachers],
            student=self._network(STUDENTS, values["student"]),
            method=method,
            loss=_plugin(LOSSES, values["loss"], self.grid.defaults.finetune),
            common={
                "image_size": self.grid.defaults.image_size,
                "precision": self.grid.defaults.precision,
            },
        )
        stages = self._stages(blocks, bits, seed)
        limit = {"limit": self.choice.limit} if self.choice.limit else {}
        info = CellInfo(
            dataset=values["dataset"].name,
            protocol={**blocks.dataset.protocol, **blocks.dataset.rule, **limit},
            teachers=[teacher.name for teacher in teachers],
            student=values["student"].name,
            method=values["method"].name,
            loss=values["loss"].name,
            bits=bits,
            seed=seed,
            image_size=self.grid.defaults.image_size,
        )
        metrics = [stage.spec["metric"] for stage in stages.values()]
        params = {**blocks.params(), "measure": {metric["name"]: metric["params"] for metric in metrics}}
        keys = {role: stage.key for role, stage in stages.items()}
        anywhere = {role: _without_hardware(stage).key for role, stage in stages.items()}
        identity = {"cell": info.model_dump(), "params": params}
        cell_key = store.content_key({**identity, "stages": anywhere})
        return Cell(info, params, stages, cell_key, store.content_key({**identity, "stages": keys}))

    def _impossible(self, point: Point) -> Problem | None:
        """Why the values of this point do not go together."""
        method, loss = point.values["method"], point.values["loss"]
        least, most = METHODS.get(method.name).teachers
        given = len(point.values["teacher"])
        if most and not least <= given <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            message = f"method '{method.name}' takes {wanted} teacher(s), this combination has {given}"
            return self.file.problem(point.places["method"], f"{message}; change or exclude it")
        bits = point.values["bits"]
        refusal = LOSSES.get(loss.name).check(bits)
        if refusal:
            cure = f"drop it or add exclude: [{{loss: {loss.name}, bits: {bits}}}]"
            return self.file.problem(point.places["bits"], f"{refusal}; {cure}")
        return None

    def _stages(self, blocks: _Blocks, bits: int, seed: int) -> dict[str, Stage]:
        """The leaves of one cell: a measure stage per metric."""
        dataset, student, loss = blocks.dataset, blocks.student, blocks.loss
        shared = {"dataset": dataset.block, "student": student, **blocks.common}
        slug = f"{dataset.block['name']}__{student['name']}__{blocks.method['name']}"
        cost_class = f"{student['name']}/{blocks.common['image_size']}/{blocks.common['precision']}"
        inputs: dict[str, Stage] = {}
        if blocks.teachers:
            inputs["distill"] = Stage(
                "distill",
                f"{slug}__s{seed}",
                {**shared, "method": blocks.method, "seed": seed},
                self._features(blocks),
                images=blocks.method["params"]["epochs"] * dataset.size(blocks.method["params"]["pool"]),
                cost_class=cost_class,
            )
        finetune = Stage(
            "finetune",
            f"{slug}__{loss['name']}__{bits}b__s{seed}",
            {**shared, "loss": loss, "bits": bits, "seed": seed},
            inputs,
            images=loss["params"]["epochs"] * dataset.size("train"),
            cost_class=cost_class,
        )
        encode = Stage(
            "encode",
            finetune.slug,
            {"dataset": dataset.block, **blocks.common},
            {"finetune": finetune},
            images=dataset.size("query") + dataset.size("database"),
            cost_class=cost_class,
        )
        return {f"measure/{name}": self._measure(name, blocks, encode) for name in self._metrics()}

    def _features(self, blocks: _Blocks) -> dict[str, Stage]:
        """One stage per teacher and view, shared by whatever names the same teacher, view and pool."""
        dataset, params = blocks.dataset, blocks.method["params"]
        precision = blocks.common["precision"]
        size, pool = params["teacher_image_size"], params["pool"]
        return {
            f"teacher{i}/view{view}": Stage(
                "features",
                f"{dataset.block['name']}__{teacher['name']}__{pool}__view{view}",
                {
                    "dataset": dataset.block,
                    "teacher": teacher,
                    "view": view,
                    "pool": pool,
                    "image_size": size,
                    "precision": precision,
                },
                images=dataset.size(pool),
                cost_class=f"{teacher['name']}/{size or 'native'}/{precision}",
            )
            for (i, teacher), view in itertools.product(enumerate(blocks.teachers), range(params["views"]))
        }

    def _metrics(self) -> list[str]:
        """Names of what is measured, the protocol's accuracy first."""
        wanted = dict.fromkeys(DEFAULT_METRICS, True)
        wanted.update({name: params is not False for name, params in self.grid.measure.items()})
        return [name for name, measured in wanted.items() if measured]

    def _measure(self, name: str, blocks: _Blocks, encode: Stage) -> Stage:
        metric = METRICS.get(name)
        params = metric.Params.of(self.grid.measure.get(name) or {})
        try:
            metric(params)
        except MissingPackageError as error:
            self.missing[str(error)] = None
        block = {"name": name, "version": metric.version, "params": params.model_dump(mode="json")}
        hardware = {"hardware": self.hardware} if metric.noise == "timed" else {}
        if metric.subject != "network":
            rule = {"dataset": blocks.dataset.block, "protocol": blocks.dataset.rule}
            spec = {"metric": block, **rule, **hardware}
            cost_class = f"{name}/{blocks.dataset.block['name']}"
            return Stage("measure", f"{name}__{encode.slug}", spec, {"encode": encode}, cost_class=cost_class)
        # What a network costs does not depend on the values of its weights: one measurement serves all
        # cells that deploy the same architecture.
        bits = encode.inputs["finetune"].spec["bits"]
        spec = {"metric": block, "student": blocks.student, "bits": bits, **blocks.common, **hardware}
        student = f"{blocks.student['name']}/{blocks.common['image_size']}"
        return Stage(
            "measure", f"{name}__{blocks.student['name']}__{bits}b", spec, cost_class=f"{name}/{student}"
        )

    def _dataset(self, entry: Any, place: yaml_nodes.Path) -> _DatasetBlock:
        params = resolve(DATASETS, entry).model_dump(mode="json")
        plugin = DATASETS.get(entry.name)
        asked = self.grid.protocol
        k = asked.k if asked.k is not None else plugin.default_k or "all"
        rule = {"k": k, "ties": asked.ties, "normalizer": asked.normalizer}
        block = {"name": entry.name, "version": plugin.version, "params": params, "limit": self.choice.limit}
        try:
            loaded = loading.load(entry.name, params, self.data_root, self.choice.limit)
        except MissingDataError as error:
            self.missing[str(error)] = None
            return _DatasetBlock({**block, "manifest": "missing"}, {"split": "unknown"}, rule, {})
        except DataError as error:
            self.problems.append(self.file.problem(place, str(error)))
            return _DatasetBlock({**block, "manifest": "unusable"}, {"split": "unknown"}, rule, {})
        parts = loaded.splits
        sizes = {
            "query": len(parts.query),
            "train": len(parts.train) + len(parts.val),
            "database": len(parts.database),
        }
        self.manifests[store.file_name(parts.protocol, loaded.manifest_hash)] = loaded.manifest
        protocol = {"split": parts.protocol, "manifest": loaded.manifest_hash[: store.KEY_DIGITS]}
        return _DatasetBlock({**block, "manifest": loaded.manifest_hash}, protocol, rule, sizes)

    def _network(self, registry: Registry[Any], entry: Any) -> dict[str, Any]:
        params = resolve(registry, entry)
        plugin = registry.get(entry.name)
        try:
            weights = plugin(params).weights_id()
        except (WeightsError, MissingPackageError) as error:
            self.missing[str(error)] = None
            weights = "missing"
        # The key holds what is in the weights, not where they lie: a copy elsewhere is the same work.
        self.weights[weights] = getattr(params, "weights", None)
        kept = params.model_dump(mode="json", exclude={"weights"})
        return {"name": entry.name, "version": plugin.version, "params": kept, "weights": weights}


def _without_hardware(stage: Stage) -> Stage:
    """The same work on no machine in particular."""
    return replace(stage, spec={name: value for name, value in stage.spec.items() if name != "hardware"})


def _plugin(registry: Registry[Any], entry: Any, defaults: TrainingParameters) -> dict[str, Any]:
    params = resolve(registry, entry, defaults).model_dump(mode="json")
    return {"name": entry.name, "version": registry.get(entry.name).version, "params": params}


@dataclass(frozen=True)
class _DatasetBlock:
    """A data set as it stands in specs, its protocol as it stands in records, and its split sizes."""

    block: dict[str, Any]
    protocol: dict[str, Any]
    rule: dict[str, Any]
    sizes: dict[str, int]

    def size(self, part: str) -> int:
        """Images in a part; 0 while the data are missing."""
        return self.sizes.get(part, 0)


@dataclass(frozen=True)
class _Blocks:
    """The resolved values of one cell as they stand in specs."""

    dataset: _DatasetBlock
    teachers: list[dict[str, Any]]
    student: dict[str, Any]
    method: dict[str, Any]
    loss: dict[str, Any]
    common: dict[str, Any]

    def params(self) -> dict[str, Any]:
        """The ``params`` block of the record."""
        return {
            "dataset": self.dataset.block["params"],
            "teachers": [{**teacher["params"], "weights": teacher["weights"]} for teacher in self.teachers],
            "student": {**self.student["params"], "weights": self.student["weights"]},
            "method": self.method["params"],
            "loss": self.loss["params"],
            **self.common,
        }
