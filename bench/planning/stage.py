"""A stage: one unit of cached work, under the hash of everything that determines its result.

A stage sees only its ``spec`` and its inputs, and the key is their hash: what can change a result is in
the key by construction, but for the number of threads, which changes rounding and is in the record.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.storage.keys import content_key, file_name

#: Where each kind of stage has a module of its name, with ``VERSION`` and ``run``.
MODULES = Path(__file__).parents[1] / "stages"

#: File of a measure artifact that holds values by query, float64 (q, ...) each.
SCORES_FILE = "per_query.safetensors"


#: Role of the stage that has the features of a frozen trunk, beside the one that left the network.
TRUNK = "trunk"
#: Kind and role of what finds parameters for step 1, step 2 or both.
TUNE = "tune"
#: Role of the trial before, where each is drawn from what those before it have found.
EARLIER = "earlier"

#: What timings, of whatever kind, count as where work is shared out: they are taken elsewhere than the rest.
TIMINGS = "timings"


@functools.cache
def kinds() -> tuple[str, ...]:
    """Every kind of stage that there is."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in MODULES.glob("*.py")}
    return tuple(sorted(kind for kind, source in sources.items() if _versions(source)))


@functools.cache
def version(kind: str) -> int:
    """The ``VERSION`` of the stages of one kind.

    It is read from their source: stages import torch, and planning does without.

    Raises:
        BenchError: there is no such module, or it does not say which version it is.
    """
    path = MODULES / f"{kind}.py"
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = _versions(source)
    if len(found) != 1:
        raise BenchError(f"{path}: no stage that names its version; write one line VERSION = 1 above its run")
    return int(found[0])


def _versions(source: str) -> list[str]:
    return re.findall(r"^VERSION = (\d+)$", source, re.MULTILINE)


@dataclass(frozen=True)
class Stage:
    """One unit of cached work.

    Attributes:
        kind: name of its module in ``bench/stages``.
        slug: readable part of the artifact's name.
        spec: everything that determines the result, plain JSON values.
        inputs: role -> stage whose artifact is read.
        opens: the data set to open, where the spec knows but the part of it that is seen; in no key.
        images: how many images it looks at, for estimates; 0 = none, or not known while data are missing.
        cost_class: stages of one kind and class cost about the same per image.
    """

    kind: str
    slug: str
    spec: Mapping[str, Any]
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    images: int = 0
    cost_class: str = ""
    opens: Mapping[str, Any] | None = None

    @functools.cached_property
    def key(self) -> str:
        """sha256 of kind, stage version, spec and the keys of the inputs."""
        inputs = {role: stage.key for role, stage in self.inputs.items()}
        identity = {"kind": self.kind, "version": version(self.kind), "spec": self.spec}
        return content_key({**identity, "inputs": inputs})

    @property
    def dataset(self) -> Mapping[str, Any] | None:
        """The data set that it reads: name, version, parameters, limit and manifest; None if none."""
        return self.opens or self.spec.get("dataset")

    @property
    def place(self) -> tuple[str, str, str]:
        """Where the store has its artifact: kind, slug and key."""
        return self.kind, self.slug, self.key

    @functools.cached_property
    def name(self) -> str:
        """Of its artifact: what the folder is called that the store has it in."""
        return file_name(self.slug, self.key)

    @property
    def timed(self) -> bool:
        """Whether it measures time, so that its result belongs to one machine, and must be measured alone."""
        return "hardware" in self.spec

    @property
    def share(self) -> str:
        """What it counts as where work is shared out: its kind, or timings."""
        return TIMINGS if self.timed else self.kind

    def settled(self, name: str) -> Mapping[str, Any]:
        """The spec that has ``name``: of this stage, or of the nearest one it is made from; empty if none.

        Stages ask for what they need by this, and not for the kind of stage that knows it.
        """
        level = [self]
        while level:
            if found := next((stage.spec for stage in level if name in stage.spec), None):
                return found
            level = [needed for stage in level for needed in stage.inputs.values()]
        return {}


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
