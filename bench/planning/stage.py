"""A stage: one unit of cached work, under the hash of everything that determines its result.

A stage sees only its ``spec`` and its inputs, and the key is their hash: what can change a result is in
the key by construction, but for the number of threads, which changes rounding and is in the record.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.storage.keys import content_key

#: Raised by one when the stage of that kind behaves differently, so that old artifacts are not reused.
STAGE_VERSIONS = {"features": 4, "distill": 3, "finetune": 3, "encode": 3, "measure": 1, "examples": 1}

#: File of a measure artifact that holds values by query, float64 (q, ...) each.
PER_QUERY = "per_query.safetensors"


@dataclass(frozen=True)
class Stage:
    """One unit of cached work.

    Attributes:
        kind: one of STAGE_VERSIONS.
        slug: readable part of the artifact's name.
        spec: everything that determines the result, plain JSON values.
        inputs: role -> stage whose artifact is read.
        images: how many images it looks at, for estimates.
        cost_class: stages of one class cost about the same per image.
    """

    kind: str
    slug: str
    spec: Mapping[str, Any]
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    images: int = 0
    cost_class: str = ""

    @functools.cached_property
    def key(self) -> str:
        """sha256 of kind, stage version, spec and the keys of the inputs."""
        inputs = {role: stage.key for role, stage in self.inputs.items()}
        identity = {"kind": self.kind, "version": STAGE_VERSIONS[self.kind], "spec": self.spec}
        return content_key({**identity, "inputs": inputs})

    @property
    def place(self) -> tuple[str, str, str]:
        """Where the store has its artifact: kind, slug and key."""
        return self.kind, self.slug, self.key

    @property
    def timed(self) -> bool:
        """Whether it measures time, so that its result belongs to one machine, and must be measured alone."""
        return "hardware" in self.spec


def walk(leaves: Iterable[Stage], there: Callable[[Stage], bool] = lambda stage: False) -> dict[str, Stage]:
    """Key -> stage of ``leaves`` and all they are made from, inputs before users, each once.

    Args:
        leaves: what is wanted in the end.
        there: whether the artifact of a stage is, so that it is left out with all that only it needs;
            asked once of each.
    """
    found: dict[str, Stage] = {}
    seen: set[str] = set()

    def visit(stage: Stage) -> None:
        if stage.key in seen:
            return
        seen.add(stage.key)
        if not there(stage):
            for needed in stage.inputs.values():
                visit(needed)
            found[stage.key] = stage

    for leaf in leaves:
        visit(leaf)
    return found
