"""The values of one cell as they stand in the specs of stages: names, versions, resolved parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.planning.config import resolve
from bench.planning.schema import Defaults
from bench.registry import Registry, source_of
from bench.types import TrainingParameters


@dataclass(frozen=True)
class DatasetBlock:
    """A data set as it stands in specs, its protocol as it stands in records, and its split sizes."""

    block: dict[str, Any]
    protocol: dict[str, Any]
    rule: dict[str, Any]
    sizes: dict[str, int]

    @property
    def name(self) -> str:
        """As in the grid."""
        return str(self.block["name"])

    def size(self, part: str) -> int:
        """Images in a part; 0 where nothing is known while the data are missing."""
        return self.sizes.get(part, 0)

    def pool_size(self, pool: str) -> int:
        """Images that step 1 may look at; published sizes do not say how many are held out."""
        return self.sizes.get(f"pool/{pool}", self.size(pool))


@dataclass(frozen=True)
class Blocks:
    """The resolved values of one cell.

    Attributes:
        image_size: input side of the student in pixels.
        defaults: what all cells of the grid share.
        bits: code length; 0 for embeddings.
        encode: how the student sees images when codes are made; empty for once, as they are.
    """

    dataset: DatasetBlock
    teachers: list[dict[str, Any]]
    student: dict[str, Any]
    method: dict[str, Any]
    loss: dict[str, Any]
    image_size: int
    defaults: Defaults
    bits: int
    seed: int
    encode: dict[str, Any]

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
