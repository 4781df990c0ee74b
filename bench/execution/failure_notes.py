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
from bench.storage import atomic
from bench.storage.keys import file_name


@dataclass(frozen=True)
class FailureNotes:
    """Notes in ``folder``, which is made when it is needed."""

    folder: Path

    def names(self) -> set[str]:
        """File names of all notes, by one look; ``name`` says whose."""
        try:
            return set(os.listdir(self.folder))
        except FileNotFoundError:
            return set()

    def has(self, stage: Stage) -> bool:
        """Whether a stage has failed."""
        return self._path(stage).is_file()

    def save(self, stage: Stage, cause: Cause) -> None:
        """Note why a stage has failed; what others have noted of it stays."""
        atomic.write_new(self._path(stage), json.dumps(vars(cause)) + "\n")

    def load(self, stage: Stage) -> Cause | None:
        """Why a stage has failed; None if nobody says so."""
        try:
            return Cause(**json.loads(self._path(stage).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def clear(self, stages: Iterable[Stage]) -> None:
        """Have stages tried again."""
        for name in self.names() & {self.name(stage) for stage in stages}:
            (self.folder / name).unlink(missing_ok=True)

    @staticmethod
    def name(stage: Stage) -> str:
        """File name of the note on a stage."""
        return f"{file_name(f'{stage.kind}-{stage.slug}', stage.key)}.json"

    def _path(self, stage: Stage) -> Path:
        return self.folder / self.name(stage)
