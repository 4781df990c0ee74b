"""Input that is wrong by chance: made of sound input, tried in a process of its own, what came of it counted.

``FUZZ=10000`` tries as many of each kind; a few by default.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError

log = logging.getLogger("bench.fuzzing")

#: Seconds after which one input hangs, and megabytes that no input may take.
HANGS, MOST_MEMORY = 5, 1000

#: Makes one wrong input of the sound ones.
Change = Callable[[Sequence[bytes], random.Random], bytes]


@dataclass
class Figures:
    """What came of all inputs.

    Attributes:
        tracebacks, hangs: of each such input its seed, and how it ended or how long it took.
        lines: messages that are no single printable line, with their seeds.
        slowest: seconds.
        peak: megabytes of the process at its largest.
    """

    tried: int = 0
    refused: int = 0
    tracebacks: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    slowest: float = 0.0
    peak: float = 0.0

    def check(self) -> None:
        """Fail where anything but values and one line came of an input; the figures go to the log."""
        log.info("%s", self)
        assert self.tried, self
        assert not [*self.tracebacks, *self.hangs, *self.lines], self
        assert self.peak < MOST_MEMORY, self


def many(default: int = 100) -> int:
    """How many inputs of each kind are tried."""
    return int(os.environ.get("FUZZ", default))


def damaged(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """One of ``sound`` with bits turned, bytes changed, cut out, put in or repeated, numbers made large."""
    result = bytearray(rng.choice(sound))
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        place, length = rng.randrange(len(result) + 1), rng.choice([1, 2, 4, 8, rng.randrange(1, 40)])
        change = rng.randrange(7)
        if change == 0 and place < len(result):
            result[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            result[place : place + length] = rng.randbytes(length)
        elif change == 2:
            del result[place : place + length]
        elif change == 3:
            result[place:place] = result[place : place + length] * rng.choice([1, 1, 50])
        elif change == 4:
            result[place : place + length] = rng.choice([b"\xff", b"\x7f", b"\x00", b"\x80", b"("]) * length
        elif change == 5:
            del result[place:]
        else:
            other = rng.choice(sound)
            start = rng.randrange(len(other) + 1)
            result[place:place] = other[start : start + length]
    return bytes(result)


def fuzz(
    read: Callable[[Path], Any],
    sound: Sequence[bytes],
    path: Path,
    *,
    change: Change = damaged,
    first: int = 0,
    usual: int = 100,
) -> Figures:
    """Have ``read``, a function of a module, read as many wrong files as ``many`` says of ``usual``.

    Args:
        read: raises ``BenchError`` for what it refuses, and nothing else.
        sound: contents that it reads.
        path: where each file is written.
        change: makes a wrong input; a function of a module too.
        first: seed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_fuzz, read, list(sound), path, change, range(first, first + many(usual))).result()


class _Hang(BaseException):
    """Raised in whatever takes too long; nothing catches it."""


def _fuzz(
    read: Callable[[Path], Any], sound: list[bytes], path: Path, change: Change, seeds: Sequence[int]
) -> Figures:
    def stop(*_: object) -> None:
        raise _Hang

    # By what the processor has done: other work of the machine makes nothing hang. Who waits, pytest ends.
    signal.signal(signal.SIGPROF, stop)
    found = Figures()
    for seed in seeds:
        content = change(sound, random.Random(seed))
        path.write_bytes(content)
        begun = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_PROF, HANGS)
            try:
                read(path)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except BenchError as error:
            found.refused += 1
            if "\n" in str(error) or len(str(error)) > 2000:
                found.lines.append(f"{seed}: {str(error)[:300]}")
        except _Hang:
            found.hangs.append(f"{seed}: more than {HANGS} s")
        except Exception:
            found.tracebacks.append(f"{seed}: {traceback.format_exc(limit=-3)}")
        found.tried += 1
        found.slowest = max(found.slowest, time.process_time() - begun)
    found.peak = _peak_memory()
    return found


def _peak_memory() -> float:
    """Megabytes of this process at its largest; what its parent had does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
