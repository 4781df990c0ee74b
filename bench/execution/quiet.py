"""Timings beside nothing else: one worker of a machine asks the others to make a pause.

It claims the machine and then waits until nobody else holds a claim there. The others claim a stage first and
then look whether their machine is claimed: one of the two always sees the other.
"""

from __future__ import annotations

import logging
import time

from bench.storage import claims
from bench.storage.claims import Claim, Claims
from bench.storage.keys import content_key, file_name

log = logging.getLogger(__name__)

#: Seconds between two looks at what is still at work.
PAUSE = 0.5


def name() -> str:
    """Of the claim on this machine."""
    return file_name("quiet", content_key(claims.machine()))


def asked_for(shared: Claims) -> bool:
    """Whether a worker of this machine takes timings, or waits to."""
    return shared.alive(name())


def wait(shared: Claims) -> None:
    """Return as soon as nobody does."""
    told = False
    while asked_for(shared):
        if not told:
            log.info("waiting for another worker of this machine, which takes timings")
        told = True
        time.sleep(PAUSE)


class Quiet:
    """Silence on this machine, from ``begin`` to ``end``."""

    def __init__(self, shared: Claims) -> None:
        self._claims = shared
        self._claim: Claim | None = None

    @property
    def kept(self) -> bool:
        """Whether it is this worker that has asked for it."""
        return self._claim is not None

    def begin(self) -> None:
        """Wait until no other worker of this machine makes anything."""
        if self._claim is not None:
            return
        self._claim = self._claims.wait(name(), lambda: log.info("timings: waiting for another worker's"))
        told = False
        while others := self._others():
            if not told:
                log.info("timings: waiting for stages of this machine to end: %s", "; ".join(others))
            told = True
            time.sleep(PAUSE)

    def end(self) -> None:
        """Let the others go on."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _others(self) -> list[str]:
        assert self._claim is not None
        here = [holder for holder in self._claims.holders() if holder.machine == claims.machine()]
        return [str(holder) for holder in here if holder.token != self._claim.token]
