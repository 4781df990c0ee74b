"""From a grid to its plan: its cells, what their data and weights lack, and why a combination cannot be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from bench.data import loading
from bench.data.copies import Copies
from bench.data.loading import LoadedDataset
from bench.data.unseen import in_words
from bench.errors import (
    ConfigError,
    DataError,
    MissingDataError,
    MissingPackageError,
    Problem,
    UsageError,
    WeightsError,
    of_network,
)
from bench.planning import graph, tuned, yaml_nodes
from bench.planning.config import GridFile, resolve
from bench.planning.conflicts import no_task, refusals
from bench.planning.curve_faults import curve_faults
from bench.planning.fitting import draws, hashes
from bench.planning.measured import Measured
from bench.planning.plan import Cell, Plan
from bench.planning.points import Choice, Point, idle_excludes, points, size
from bench.planning.resolved import TO_TUNE, Blocks, DatasetBlock, Tuning, identity, plugin_block
from bench.planning.stage import Stage
from bench.planning.tuning_faults import tuning_faults
from bench.registry import DATASETS, LOSSES, METHODS, STUDENTS, TEACHERS, Registry
from bench.results.records import CellInfo
from bench.storage.keys import KEY_DIGITS, canonical_json, content_key, file_name
from bench.types import EncodingParameters, FrameTruth

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Cells whose planning takes seconds.
MANY = 2000
#: In place of a manifest's hash.
MISSING, UNUSABLE, UNSEEN = "missing", "unusable", "unseen"


def build_plan(
    file: GridFile,
    data_root: Path,
    hardware: str,
    choice: Choice | None = None,
    *,
    quick: bool = True,
) -> Plan:
    """Expand a grid.

    Args:
        file: the checked grid.
        data_root: where data sets are looked for.
        hardware: fingerprint that timed metrics are keyed by.
        choice: filters of the command line.
        quick: whether many image files are left unread, and nothing made of them counts as cached; nothing is
            written then.

    Raises:
        ConfigError: a combination that cannot work, with its place in the grid.
        UsageError: a filter that matches nothing.
    """
    return _Builder(file, data_root, hardware, choice or Choice(), quick).build()


class _Builder:
    def __init__(self, file: GridFile, data_root: Path, hardware: str, choice: Choice, quick: bool) -> None:
        self.file, self.grid, self.quick = file, file.grid, quick
        self.data_root, self.hardware, self.choice = data_root, hardware, choice
        self.problems: list[Problem] = []
        self.missing: dict[str, None] = {}
        self.lacking: dict[str, None] = {}  # what the present point misses
        self.manifests: dict[str, dict[str, Any]] = {}
        self.copies: dict[str, Copies] = {}
        self.unseen: dict[str, None] = {}
        self.unseen_classes: dict[str, str] = {}
        self.warned: dict[str, tuple[str, ...]] = {}
        self.weights: dict[tuple[str, str], str | None] = {}
        self.sizes: dict[str, dict[str, int]] = {}  # of parts, by data set
        # A tuning has many trials: they are drawn once, and planned once for all seeds.
        self.tunings: dict[str, Tuning | None] = {}  # by method and loss
        self.tunes: dict[str, Stage | None] = {}  # by everything but the seed
        self.untunable = [file.problem(*fault) for fault in tuning_faults(self.grid)]
        self.measured = Measured(file)
        self.missing |= self.measured.missing

    def build(self) -> Plan:
        cells: dict[str, Cell] = {}
        if (count := size(self.grid)) > MANY:
            log.info("planning %s cells", f"{count:,}")
        for point in points(self.grid):
            self.lacking = {}
            cell = self._cell(point)
            if cell is not None:
                cells.setdefault(cell.key, cell)
                self.missing |= self.lacking if self.choice.selects(cell.info) else {}
        if self.problems:
            raise ConfigError(list(dict.fromkeys([*self.untunable, *self.problems])))
        if not cells:
            raise ConfigError([self.file.problem(("exclude",), "exclude leaves no cell of this grid")])
        if useless := [
            *self.untunable,
            *self.measured.useless([*cells.values()]),
            *self._curve_faults([*cells.values()]),
        ]:
            raise ConfigError(useless)
        self.choice.check([cell.info for cell in cells.values()])
        selected = [cell for cell in cells.values() if self.choice.selects(cell.info)]
        if not selected:
            raise UsageError(
                "--only and --skip leave no cell: each matches some, but no cell passes all of them; 'plan' "
                "without them lists the cells"
            )
        pareto = [(accuracy, cost) for accuracy, cost in self.grid.report.pareto]
        return Plan(
            name=self.grid.name,
            description=self.grid.description,
            pareto=pareto,
            curves=[(accuracy, path) for accuracy, path in self.grid.report.curves],
            keep=self.grid.report.keep,
            entries=self.measured.entries(),
            cells=list(cells.values()),
            selected=selected,
            missing=list(self.missing),
            idle=[
                str(
                    self.file.problem(place, "this exclusion matches no cell of the grid; correct or drop it")
                )
                for place in idle_excludes(self.grid)
            ],
            manifests=self.manifests,
            copies=self.copies,
            unseen=list(self.unseen),
            unseen_classes=self.unseen_classes,
            weights=self.weights,
        )

    def _cell(self, point: Point) -> Cell | None:
        """The cell at ``point``, or None after noting why it cannot be."""
        blocks = self._blocks(point) if self._possible(point) else None
        if blocks is None:
            return None
        dataset, method, student, loss = (
            point.values[axis].name for axis in ("dataset", "method", "student", "loss")
        )
        measured = self.measured.of(blocks)
        self.problems += self.measured.refusals(measured, blocks)
        network = {**point.values, "seed": None, "bits": blocks.nested or blocks.bits}
        tune = _once(self.tunes, network, lambda: graph.tuning(blocks))
        leaves = graph.leaves(blocks, tune, measured, self.hardware, self.grid.report.examples)
        limit = {"limit": self.choice.limit} if self.choice.limit else {}
        info = CellInfo(
            dataset=dataset,
            protocol={**blocks.dataset.protocol, **blocks.dataset.rule, **limit},
            teachers=[teacher["name"] for teacher in blocks.teachers],
            student=student,
            method=method,
            loss=loss,
            bits=blocks.bits,
            seed=blocks.seed,
            image_size=blocks.image_size,
        )
        params = {**blocks.params(), "measure": {block["name"]: block["params"] for block in measured}}
        keys = {role: leaf.key for role, leaf in leaves.items()}
        anywhere = {role: _without_hardware(leaf).key for role, leaf in leaves.items()}
        identity = {"cell": info.model_dump(), "params": params}
        cell_key = content_key({**identity, "stages": anywhere})
        record_key = content_key({**identity, "stages": keys})
        return Cell(info, params, leaves, cell_key, record_key, self._warnings(blocks.dataset, info))

    def _warnings(self, dataset: DatasetBlock, info: CellInfo) -> tuple[str, ...]:
        """What the record of a selected cell has to say of its data; nothing while they are missing."""
        block = dataset.block
        if block["manifest"] in {MISSING, UNUSABLE} or not self.choice.selects(info):
            return ()
        loaded = self._loaded(block["name"], block["params"])
        if words := in_words(loaded.images, loaded.splits.unseen):
            self.unseen_classes[loaded.splits.protocol] = words
        if block["manifest"] == UNSEEN:
            files, size = loaded.unseen
            self.unseen[
                f"{block['name']} ({loaded.splits.protocol}): nobody has looked into {files:,} image files "
                f"({size / 1e9:,.1f} GB), so nothing made of them counts as cached; run does it before it "
                "starts, and so does 'data prepare'"
            ] = None
            return ()
        name = file_name(dataset.protocol["split"], block["manifest"])
        if name not in self.copies:
            self.copies[name] = loaded.copies(remember=not self.quick)
            self.warned[name] = tuple(loaded.sentences(self.copies[name]))
        return self.warned[name]

    def _loaded(self, name: str, params: dict[str, Any]) -> LoadedDataset:
        return loading.load(name, params, self.data_root, self.choice.limit, quick=self.quick)

    def _possible(self, point: Point) -> bool:
        """Whether the values of this point go together; notes why they do not."""
        problems = self._unfit_defaults(point) or [
            self.file.problem(point.places[axis], reason) for axis, reason in refusals(point, self.grid)
        ]
        self.problems += problems
        return not problems

    def _blocks(self, point: Point) -> Blocks | None:
        """What the stages of this point are made from, or None after noting what its data lack."""
        values, defaults = point.values, self.grid.defaults
        method = plugin_block(METHODS, values["method"], defaults.distill)
        distils, codes = METHODS.get(method["name"]).trains, hashes(values["loss"].name)
        # A method that takes no teacher gives one cell, however many teachers the axis has; so does a loss
        # that makes no codes, however many code lengths there are; and so do seeds that draw nothing.
        teachers = values["teacher"] if METHODS.get(method["name"]).teachers[1] else []
        student = self._network(STUDENTS, values["student"])
        dataset = self._dataset(values["dataset"], point.places["dataset"])
        loss = plugin_block(LOSSES, values["loss"], defaults.finetune)
        wanted = [method["params"].get("pool"), loss["params"].get("pool", "train" if codes else None)]
        if dataset.sizes.get("train") == 0 and "train" in wanted:
            message = f"{dataset.name} has no training images as it is set up here"
            cure = "name some in its params, or use method: none with loss: none"
            self.problems.append(self.file.problem(point.places["dataset"], f"{message}; {cure}"))
            return None
        # What else is wrong with the grid is told with the faults of its tuning.
        entries = values["method"], values["loss"]
        tuning = _once(
            self.tunings, entries, lambda: None if self.untunable else tuned.tuning_of(self.grid, *entries)
        )
        tried = [one.get("loss", loss) for study in tuning.studies for one in study] if tuning else [loss]
        lengths = values["nested"] or [values["bits"]]
        if codes and (refusal := next(no_task(tried, dataset, lengths), None)):
            self.problems.append(self.file.problem(point.places["loss"], refusal))
            return None
        if codes and loss["params"].get("select") == "val":
            method["params"].pop("hold_out", None)  # "always", which keys and records do not spell out
        teaching = method
        if tuning:
            if refusal := dataset.refuses_validation(TO_TUNE):
                self.problems.append(self.file.problem(("tune",), refusal))
                return None
            try:
                tuned.check_installed(tuning)
            except MissingPackageError as error:
                self.lacking[str(error)] = None
            method, loss = tuned.untuned(method, tuning, "method"), tuned.untuned(loss, tuning, "loss")
        return Blocks(
            dataset=dataset,
            teachers=[self._network(TEACHERS, teacher) for teacher in teachers],
            student=student,
            method=method,
            loss=loss,
            image_size=values["image_size"],
            defaults=defaults,
            bits=values["bits"] if codes else 0,
            seed=values["seed"] if distils or draws(loss["name"]) or student["weights"] == "none" else 0,
            encode=views.model_dump(mode="json")
            if (views := values["encode"]) != EncodingParameters()
            else {},
            nested=values["nested"] if codes else (),
            tuning=tuning,
            teaching=teaching,
        )

    def _unfit_defaults(self, point: Point) -> list[Problem]:
        """Parameters that the grid sets for all and this method or loss cannot have."""
        found = []
        for axis, registry in (("method", METHODS), ("loss", LOSSES)):
            entry, name = point.values[axis], "distill" if axis == "method" else "finetune"
            shared = getattr(self.grid.defaults, name)
            try:
                resolve(registry, entry, shared)
            except ValidationError as error:
                detail = error.errors()[0]
                where = ".".join(["defaults", name, *map(str, detail["loc"])])
                what = f"{axis} '{entry.name}' does not take {where}"
                wanted, cure = detail["msg"].partition(" should ")[2], f"set it in the params of {entry.name}"
                message = f"{what} as it is (it should {wanted}); {cure}"
                found.append(self.file.problem(point.places[axis], message))
        return found

    def _curve_faults(self, cells: list[Cell]) -> Iterator[Problem]:
        """Curves that no cells of this grid can make."""
        for fault in curve_faults(self.grid.report.curves, cells, self.manifests):
            yield self.file.problem(*fault)

    def _dataset(self, entry: Any, place: yaml_nodes.Path) -> DatasetBlock:
        params = resolve(DATASETS, entry).model_dump(mode="json")
        plugin = DATASETS.get(entry.name)
        asked = self.grid.protocol
        k = asked.k if asked.k is not None else plugin.default_k or "all"
        # Other judges than labels have rules of their own, which their metrics hold.
        ranked = {"k": k, "ties": asked.ties, "normalizer": asked.normalizer}
        rule = ranked if plugin.judged_by == "labels" else {}
        block = {**identity(DATASETS, entry.name), "params": params, "limit": self.choice.limit}
        try:
            loaded = self._loaded(entry.name, params)
        except MissingDataError as error:
            self.lacking[str(error)] = None
            sizes = plugin(resolve(DATASETS, entry)).sizes()
            return DatasetBlock({**block, "manifest": MISSING}, {"split": "unknown"}, rule, sizes)
        except DataError as error:
            self.problems.append(self.file.problem(place, str(error)))
            return DatasetBlock({**block, "manifest": UNUSABLE}, {"split": "unknown"}, rule, {})
        sizes, split = _once(self.sizes, block, lambda: _sizes(loaded)), loaded.splits.protocol
        if loaded.unseen[0]:
            return DatasetBlock({**block, "manifest": UNSEEN}, {"split": split}, rule, sizes)
        self.manifests[file_name(split, loaded.manifest_hash)] = loaded.manifest
        protocol = {"split": split, "manifest": loaded.manifest_hash[:KEY_DIGITS]}
        return DatasetBlock({**block, "manifest": loaded.manifest_hash}, protocol, rule, sizes, loaded)

    def _network(self, registry: Registry[Any], entry: Any) -> dict[str, Any]:
        params = resolve(registry, entry)
        plugin = registry.get(entry.name)
        try:
            weights = plugin(params).weights_id()
        except (WeightsError, MissingPackageError) as error:
            self.lacking[str(of_network(f"{registry.kind} {entry.name}", error))] = None
            weights = f"missing: {getattr(params, 'weights', '')}"
        # The key holds what is in the weights, not where they lie: a copy elsewhere is the same work.
        self.weights[entry.name, weights] = getattr(params, "weights", None)
        kept = params.model_dump(mode="json", exclude={"weights"})
        return {**identity(registry, entry.name), "params": kept, "weights": weights}


def _once(made: dict[str, T], key: object, make: Callable[[], T]) -> T:
    """What ``make`` gives; what it gave before where ``made`` has it by the JSON of ``key``."""
    name = canonical_json(to_jsonable_python(key))
    if name not in made:
        made[name] = make()
    return made[name]


def _sizes(loaded: LoadedDataset) -> dict[str, int]:
    """How many images are in every part of a data set, and in several together."""
    parts = loaded.splits
    trained = np.union1d(parts.train, parts.val)
    others = np.union1d(parts.database, trained)
    sizes = {
        "query": len(parts.query),
        "train": len(trained),
        "val": len(parts.val),
        "pool/database": len(np.setdiff1d(others, parts.kept_from_pools)),
        "database": len(parts.database),
        "distinct": len(np.union1d(parts.query, others)),
    }
    if isinstance(truth := loaded.images.truth, FrameTruth):
        sizes["videos"] = len(np.unique(truth.videos[trained]))
    return sizes


def _without_hardware(stage: Stage) -> Stage:
    """The same work on no machine in particular."""
    machine = {"hardware", "packages"}
    return replace(stage, spec={name: value for name, value in stage.spec.items() if name not in machine})
