"""Which stages have failed, for workers on other machines: a file each, beside the records.

Without it every worker would try such a stage for itself. An artifact that is there says more than a note.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.execution.pools.pool import Cause
from bench.planning.stage import Stage
from bench.storage import atomic, sealed


@dataclass(frozen=True)
class FailureNotes:
    """Notes in ``folder``, which is made when it is needed."""

    folder: Path

    def names(self) -> set[tuple[str, str]]:
        """Kind and name of the stages that have failed, by one look."""
        try:
            found = [file.removesuffix(".json").partition("-") for file in os.listdir(self.folder)]
        except FileNotFoundError:
            return set()
        return {(kind, name) for kind, _, name in found}

    def has(self, stage: Stage) -> bool:
        """Whether a stage has failed."""
        return self._path(stage).is_file()

    def save(self, stage: Stage, cause: Cause) -> None:
        """Note why a stage has failed; what others have noted of it stays."""
        atomic.write_new(self._path(stage), sealed.sealed(vars(cause)))

    def load(self, stage: Stage) -> Cause:
        """Why a stage has failed, as its note says."""
        try:
            content = sealed.read_bytes(self._path(stage))
        except OSError:
            content = b""
        if sealed.state(content) != "whole":
            return Cause("UnknownError", "another worker has failed, and its note cannot be read", known=True)
        noted = json.loads(content)
        return Cause(noted["type"], noted["message"], noted["known"])

    def clear(self, stages: Iterable[Stage]) -> None:
        """Have stages tried again."""
        noted = self.names()
        for stage in stages:
            if (stage.kind, stage.name) in noted:
                self._path(stage).unlink(missing_ok=True)

    def _path(self, stage: Stage) -> Path:
        return self.folder / f"{stage.kind}-{stage.name}.json"
