"""When a run will have ended: what its stages should take, played through in the order they are made in.

What a stage should take is known best from stages of its class in this run, then from earlier runs on this
machine at the pace of this one, then from stages of its kind. Only where no such stage has been met is it
guessed from those of other kinds.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.execution.schedule import Schedule
from bench.planning.estimate import Cost
from bench.planning.stage import Stage

#: Seconds of a stage that looks at no images, and of a timing, while none has been met.
SHORT, TIMING = 0.2, 5.0
#: Both steps train students, and a trial is the second one.
AKIN = {"distill": "finetune", "finetune": "distill", "trial": "finetune"}
#: Images that a stage at work must have done before its own speed counts, as a share.
ENOUGH = 0.03
#: Samples of a class or kind that count: the last ones.
RECENT = 50
#: The forecast is made again after a second, and after so many times what it takes.
SECONDS, PATIENCE = 1.0, 50.0
#: Kind of stages, whether they measure time, and whether they look at images.
_Kind = tuple[str, bool, bool]


@dataclass
class _Work:
    """A stage at work."""

    stage: Stage
    started: float
    images: int = 0
    before: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds spent on it, by earlier runs as well."""
        return self.before + time.perf_counter() - self.started

    @property
    def per_image(self) -> float | None:
        """Seconds, once enough has been done."""
        enough = self.images and self.images >= ENOUGH * self.stage.images
        return self.elapsed / self.images if enough else None


class Forecast:
    """Learns what stages take while they run.

    Args:
        schedule: of the run; it goes on while the run does.
        costs: key of a stage -> what history says.
    """

    def __init__(self, schedule: Schedule, costs: Mapping[str, Cost]) -> None:
        self._schedule = schedule
        self._work: dict[str, _Work] = {}
        self._seen: dict[tuple[str, str], deque[float]] = defaultdict(_recent)
        self._kinds: dict[_Kind, deque[float]] = defaultdict(_recent)
        self._pace: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._said: tuple[float, float] | None = None  # when, and until when it takes
        self._pause = 0.0
        self._history: dict[str, float] = {}
        for key, stage in schedule.waiting.items():
            expected = costs[key].seconds if key in costs else None
            if expected is not None:
                self._history[key] = expected
                self._kinds[_kind(stage)].append(expected / _size(stage))
        schedule.clock, schedule.left = time.perf_counter, self.left

    def start(self, stage: Stage) -> None:
        """A stage begins."""
        self._work[stage.key] = _Work(stage, time.perf_counter())

    def advance(self, key: str, images: int, seconds: float = 0.0) -> None:
        """A stage at work is done with so many more images; earlier runs were, in ``seconds``."""
        self._work[key].images += images
        self._work[key].before += seconds

    def finish(self, key: str, seconds: float | None = None) -> None:
        """A stage at work is there.

        Args:
            seconds: that it took by its own clock, without what starting a process took.
        """
        work = self._work.pop(key)
        stage, spent = work.stage, min(work.elapsed, seconds if seconds is not None else work.elapsed)
        self._seen[_class(stage)].append(spent / _size(stage))
        self._kinds[_kind(stage)].append(spent / _size(stage))
        if expected := self._history.get(key):
            self._pace.append((spent, expected))

    def drop(self, key: str) -> None:
        """A stage at work has ended otherwise."""
        self._work.pop(key, None)

    def left(self, key: str) -> float:
        """Seconds that a stage at work should still take."""
        return self._expectation().left(self._work[key])

    def time_left(self) -> float | None:
        """Seconds to the end of the run; None while nothing at all is known."""
        if not self._work and not self._schedule.waiting:
            return 0.0
        now = time.perf_counter()
        if self._said is None or now - self._said[0] >= self._pause:
            left = self._played()
            if left is None:
                return None
            self._said = now, now + left
            self._pause = max(SECONDS, PATIENCE * (time.perf_counter() - now))
        return max(0.0, self._said[1] - now)

    def _played(self) -> float | None:
        if not any(self._kinds.values()) and not any(work.per_image for work in self._work.values()):
            return None
        expects = self._expectation()
        left = {key: expects.left(work) for key, work in self._work.items()}
        return played_through(self._schedule, expects.seconds, left)

    def _expectation(self) -> _Expectation:
        seen = {group: statistics.median(samples) for group, samples in self._seen.items()}
        kinds = {group: statistics.median(samples) for group, samples in self._kinds.items() if samples}
        for work in self._work.values():
            rate = work.per_image
            if rate is not None:
                seen.setdefault(_class(work.stage), rate)
                kinds.setdefault(_kind(work.stage), rate)
        spent, expected = (sum(pair) for pair in zip(*self._pace, strict=True)) if self._pace else (1.0, 1.0)
        return _Expectation(seen, kinds, self._history, spent / expected)


class SharedForecast(Forecast):
    """Of a worker among others: how long they all will take is not known here."""

    def time_left(self) -> float | None:
        """Nobody knows."""
        return None


@dataclass(frozen=True)
class _Expectation:
    """What stages should take, as far as is known at one moment."""

    seen: Mapping[tuple[str, str], float]
    kinds: Mapping[_Kind, float]
    history: Mapping[str, float]
    pace: float

    def seconds(self, stage: Stage) -> float:
        """Of a whole stage."""
        if _class(stage) in self.seen:
            return self.seen[_class(stage)] * _size(stage)
        if stage.key in self.history:
            return self.history[stage.key] * self.pace
        kind, timed, looking = _kind(stage)
        of_kind = self.kinds.get((kind, timed, looking), self.kinds.get((AKIN.get(kind, ""), timed, looking)))
        if of_kind is not None:
            return of_kind * _size(stage)
        if stage.images:
            per_image = [rate for (_, _, looking), rate in self.kinds.items() if looking]
            return statistics.fmean(per_image) * _size(stage) if per_image else SHORT
        return TIMING if stage.timed else SHORT

    def left(self, work: _Work) -> float:
        """Of a stage at work."""
        rate = work.per_image
        if rate is not None:
            return max(0, work.stage.images - work.images) * rate
        return max(0.0, self.seconds(work.stage) - work.elapsed)


def expected_seconds(schedule: Schedule, costs: Mapping[str, Cost]) -> float:
    """Of a run that has not begun, as far as anything is known of its stages."""
    return played_through(schedule, lambda stage: costs[stage.key].seconds or 0.0, {})


def played_through(schedule: Schedule, seconds: Callable[[Stage], float], left: Mapping[str, float]) -> float:
    """Seconds until everything has ended, if nothing fails.

    Args:
        seconds: of a stage that has not begun.
        left: key of a stage at work -> seconds that it still takes.
    """
    play, began, now = schedule.copy(), schedule.clock(), 0.0
    ends = {key: left.get(key, 0.0) for key in play.running}
    play.clock, play.left = lambda: began + now, lambda key: ends[key] - now
    while True:
        while (stage := play.next()) is not None:
            ends[stage.key] = now + seconds(stage)
        if not ends:
            return now
        key = min(ends, key=ends.__getitem__)
        now = ends.pop(key)
        play.ended(play.running[key])


def _recent() -> deque[float]:
    return deque(maxlen=RECENT)


def _size(stage: Stage) -> int:
    return max(stage.images, 1)


def _kind(stage: Stage) -> _Kind:
    return stage.kind, stage.timed, stage.images > 0


def _class(stage: Stage) -> tuple[str, str]:
    return stage.kind, stage.cost_class
