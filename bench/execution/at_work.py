"""Who is at work on a results folder: runs and workers say so there, and see one another."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.results.folder import ResultsFolder
from bench.storage.claims import Claims, Holder

log = logging.getLogger(__name__)

Role = Literal["run", "worker"]

#: Why cells may be others, and what comes of it.
OTHERS = "grid, plug-ins, data or release differ; reports show the cells of whoever has begun last"


@dataclass(frozen=True)
class AtWork:
    """The others on one folder."""

    _claims: Claims
    _token: str

    def others(self) -> list[Holder]:
        """Those that give signs of life."""
        return [holder for holder in self._claims.holders() if holder.token != self._token]


@contextlib.contextmanager
def at_work(out: Path, role: Role, lease: float, *, timings: bool, cells: str) -> Iterator[AtWork]:
    """Be seen at work inside, and say who else is.

    Args:
        timings: whether it takes timings.
        cells: the same for all who have the same cells.

    Raises:
        UsageError: the folder cannot be written.
    """
    claims = Claims(ResultsFolder(out).at_work, lease)
    try:
        claim = claims.take(secrets.token_hex(8), role=role, timings=timings, cells=cells)
    except OSError as error:
        raise UsageError(f"{out}: cannot write ({error.strerror or error}); choose another --out") from error
    assert claim is not None
    try:
        claims.clear()  # of those that were killed
        present = AtWork(claims, claim.token)
        for other in present.others():
            what = other.about.get("role", "run")
            log.info("at work on %s, too: a %s, %s", out, what, other)
            if other.about.get("cells") != cells:
                log.warning("warning: that %s has other cells than this one: %s", what, OTHERS)
        yield present
    finally:
        claim.release()
        with contextlib.suppress(OSError):  # others are still at work
            claims.folder.rmdir()
