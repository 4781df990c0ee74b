"""The values of one cell as they stand in the specs of stages: names, versions, resolved parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.data.loading import LoadedDataset
from bench.planning.config import resolve
from bench.planning.schema import Defaults
from bench.registry import Registry, source_of
from bench.results.tuning import part
from bench.types import TrainingParameters
from bench.types.sizes import ImageSize

#: Parameters of data sets that hold images out for validation -> values with which they do.
HOLDING_OUT = {"val_share": "0.1", "val_per_class": "1 or more", "validation": "true"}
#: What validation images may be wanted for.
TO_CHOOSE, TO_TUNE = "choose an epoch with", "tune with"


@dataclass(frozen=True)
class DatasetBlock:
    """A data set as it stands in specs, its protocol as it stands in records, and its split sizes.

    ``loaded`` is None where nobody knows what is in it.
    """

    block: dict[str, Any]
    protocol: dict[str, Any]
    rule: dict[str, Any]
    sizes: dict[str, int]
    loaded: LoadedDataset | None = None

    @property
    def name(self) -> str:
        """As in the grid."""
        return str(self.block["name"])

    @property
    def classes(self) -> int:
        """Classes of its training images; 0 while nobody knows what is in it."""
        return self.loaded.images.classes if self.loaded else 0

    def size(self, part: str) -> int:
        """Images in a part; 0 where nothing is known while the data are missing."""
        return self.sizes.get(part, 0)

    @property
    def distinct(self) -> int:
        """Images in any part; while the data are missing, queries and database as far as they are known."""
        return self.sizes.get("distinct", self.size("query") + self.size("database"))

    def refuses_validation(self, to: str = TO_CHOOSE) -> str | None:
        """Why no epoch can be chosen by validation, or None if there are images for it, as far as known.

        Args:
            to: what they are wanted for.
        """
        params = self.block["params"]
        own = {name: value for name, value in HOLDING_OUT.items() if name in params}
        if self.sizes.get("val") != 0 and 0 not in [params[name] for name in own]:
            return None
        cures = [f"{name}: {value}" for name, value in own.items()]
        if to != TO_TUNE:
            cures.insert(0, "select: last")
        cure = f"set {' or '.join(cures)}" if cures else "leave out tune"
        return f"{self.name} has no validation images to {to}; {cure}"

    def pool(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a method with these parameters sees, for specs, and what to open for it (``Stage.opens``)."""
        asked = {
            "part": params["pool"],
            "fraction": params["pool_fraction"],
            "hold_out": params.get("hold_out", "always"),
        }
        opens = {**self.block, "pool": asked}
        if self.loaded is None:
            return opens, opens
        seen = {name: value for name, value in self.block.items() if name in {"name", "version", "source"}}
        return {**seen, "pool": self.loaded.pool(**asked).digest}, opens

    def pool_size(self, params: Mapping[str, Any]) -> int:
        """Images that a method with these parameters may look at, see ``DistillationParameters``.

        Published sizes do not say how many are held out.
        """
        pool = params["pool"]
        held_out = self.size("val") if params.get("hold_out", "always") == "always" else 0
        return self.sizes.get(f"pool/{pool}", self.size(pool)) - held_out


@dataclass(frozen=True)
class Tuning:
    """How loss and method of a cell are tuned.

    Attributes:
        budget: as in records: ``trials``, ``studies``, ``sampler``, ``epochs_share`` and ``space``.
        studies: of each, trial by trial, the block of what is searched, by ``loss`` and ``method``. Where
            each is drawn from what those before it have found, these stand for those to come.
    """

    budget: dict[str, Any]
    studies: list[list[dict[str, dict[str, Any]]]]

    def names(self, axis: str) -> list[str]:
        """The parameters of a loss or method that are searched; none where it is as the grid has it."""
        return [*part(self.budget["space"], axis)]

    def study(self, seed: int) -> dict[str, Any]:
        """As specs have it: the one whose winner cells of this seed take."""
        return {"study": seed % self.budget["studies"]}


@dataclass(frozen=True)
class Blocks:
    """The resolved values of one cell.

    Attributes:
        image_size: of the input of the student.
        defaults: what all cells of the grid share.
        bits: code length; 0 for embeddings.
        nested: all code lengths of the network, ascending; empty where it has one.
        encode: how the student sees images when codes are made; empty for once, as they are.
        tuning: of loss and method, whose blocks are without what it settles; None where nothing is tuned.
        teaching: the method as the grid has it, which live teachers are trained by, whatever is searched of
            it; None where that is ``method``.
    """

    dataset: DatasetBlock
    teachers: list[dict[str, Any]]
    student: dict[str, Any]
    method: dict[str, Any]
    loss: dict[str, Any]
    image_size: ImageSize
    defaults: Defaults
    bits: int
    seed: int
    encode: dict[str, Any]
    nested: tuple[int, ...] = ()
    tuning: Tuning | None = None
    teaching: dict[str, Any] | None = None

    @property
    def common(self) -> dict[str, Any]:
        """What all stages of training have in their specs."""
        return {"image_size": self.image_size, "precision": self.defaults.precision}

    @property
    def seen(self) -> dict[str, Any]:
        """What stages that make codes, or ask what they cost, have in their specs."""
        return {"encode": self.encode} if self.encode else {}

    def params(self) -> dict[str, Any]:
        """The ``params`` block of the record."""
        return {
            "dataset": self.dataset.block["params"],
            "teachers": [{**teacher["params"], "weights": teacher["weights"]} for teacher in self.teachers],
            "student": {**self.student["params"], "weights": self.student["weights"]},
            "method": self.method["params"],
            "loss": self.loss["params"],
            **self.common,
            **self.seen,
            **({"nested": list(self.nested)} if self.nested else {}),
            **({"tuning": self.tuning.budget} if self.tuning else {}),
        }


def plugin_block(registry: Registry[Any], entry: Any, defaults: TrainingParameters) -> dict[str, Any]:
    """Name, version and resolved parameters of a method or loss."""
    params = resolve(registry, entry, defaults).model_dump(mode="json")
    return {**identity(registry, entry.name), "params": params}


def identity(registry: Registry[Any], name: str) -> dict[str, Any]:
    """Name and version of a plug-in; of a user's own also the digest of its source."""
    plugin = registry.get(name)
    source = source_of(plugin)
    return {"name": name, "version": plugin.version, **({"source": source} if source else {})}
