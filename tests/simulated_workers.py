"""Many workers on one shared folder in virtual time: a file server that counts, and stages that take long.

Each worker is the real ``SharedScheduler`` in a thread of its own. One thread runs at a time, the one whose
moment is next: whoever waits, for the server or for a stage, lets the clock go on.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.execution.pools.pool import Cause, End, Ended
from bench.execution.schedule import any_stage
from bench.execution.sharing import SharedScheduler
from bench.planning.plan import Cell
from bench.planning.stage import Stage, walk
from bench.storage.claims import BEATS

#: Seconds that the server takes to answer, and for each name that it lists.
ANSWER, NAME = 0.002, 5e-6


class World:
    """A clock, and threads that wait for moments of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._moments: list[tuple[float, int, threading.Semaphore]] = []
        self._number = itertools.count()
        self._done = threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        """Let the others go on until then."""
        turn = threading.Semaphore(0)
        heapq.heappush(self._moments, (self.now + seconds, next(self._number), turn))
        self._next()
        turn.acquire()

    def run(self, *works: Callable[[], None]) -> None:
        """All of ``works`` at once, to their end."""

        faults = []

        def whole(work: Callable[[], None], turn: threading.Semaphore) -> None:
            turn.acquire()
            try:
                work()
            except Exception as fault:
                faults.append(fault)
            self._next()

        threads = []
        for work in works:
            turn = threading.Semaphore(0)
            heapq.heappush(self._moments, (0.0, next(self._number), turn))
            threads.append(threading.Thread(target=whole, args=(work, turn)))
        for thread in threads:
            thread.start()
        self._next()
        self._done.acquire()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def _next(self) -> None:
        if not self._moments:
            self._done.release()
            return
        self.now, _, turn = heapq.heappop(self._moments)
        turn.release()


@dataclass
class Server:
    """What all workers share: artifacts, claims and notes of failures, as ``Store`` and ``FailureNotes``."""

    world: World
    lease: float = 60.0
    operations: Counter[str] = field(default_factory=Counter)
    artifacts: dict[str, set[str]] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)
    failed: dict[tuple[str, str], Cause] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)

    @property
    def claims(self) -> Server:
        """Of the store."""
        return self

    def ask(self, what: str, names: int = 0) -> None:
        """One operation."""
        self.operations[what] += 1
        self.world.sleep(ANSWER + NAME * names)

    def names(self, kind: str | None = None) -> set:
        """What is listed: artifacts of a kind, or claims."""
        listed = self.claimed if kind is None else self.artifacts.get(kind, set())
        self.ask("list", len(listed))
        return set(self.claimed if kind is None else self.artifacts.get(kind, set()))

    def alive(self, name: str) -> bool:
        """Nobody dies here."""
        self.ask("read claim")
        return name in self.claimed


@dataclass
class Notes:
    """Of failures."""

    server: Server

    def names(self) -> set[tuple[str, str]]:
        """All."""
        self.server.ask("list")
        return set(self.server.failed)

    def load(self, stage: Stage) -> Cause:
        """One."""
        self.server.ask("read note")
        return self.server.failed[stage.kind, stage.name]

    def save(self, stage: Stage, cause: Cause) -> None:
        """Another one."""
        self.server.ask("write note")
        self.server.failed.setdefault((stage.kind, stage.name), cause)


class VirtualPool:
    """One stage at a time, as ``make_if_free`` does it."""

    def __init__(
        self, server: Server, seconds: Callable[[Stage], float], fails: Callable[[Stage], bool]
    ) -> None:
        self._server, self._seconds, self._fails = server, seconds, fails
        self._stage: Stage | None = None

    def start(self, stage: Stage, *, fresh: bool) -> None:
        """Put it down."""
        self._stage = stage

    def listen(self, advance: object, patience: float | None = None) -> list[Ended]:
        """Make it, if nobody else does."""
        server, stage = self._server, self._stage
        assert stage is not None
        server.ask("create claim")
        if stage.name in server.claimed:
            return [Ended(stage, End(), [])]
        server.claimed[stage.name] = server.world.now
        server.ask("look for note")
        server.ask("look for silence")
        server.ask("read artifact")
        if stage.name in server.artifacts.get(stage.kind, ()):
            end = End(index={})
        else:
            server.made[stage.key] += 1
            seconds = self._seconds(stage)
            server.world.sleep(seconds)
            server.operations["sign of life"] += 2 * int(seconds * BEATS / server.lease)
            end = self._ended(stage, seconds)
        server.ask("release claim")
        del server.claimed[stage.name]
        return [Ended(stage, end, [])]

    def close(self) -> None:
        """Nothing is at work."""

    def _ended(self, stage: Stage, seconds: float) -> End:
        if self._fails(stage):
            cause = Cause("ValueError", "it had to fail", known=True)
            Notes(self._server).save(stage, cause)
            return End(cause=cause)
        self._server.ask("read claim")
        self._server.ask("rename artifact")
        self._server.artifacts.setdefault(stage.kind, set()).add(stage.name)
        return End({"seconds": seconds}, made=True)


class Silent:
    """Progress that nobody watches."""

    def start(self, *said: object) -> None: ...

    advance = finish = drop = stop = cell = close = start


@dataclass(frozen=True)
class Played:
    """What came of it.

    Attributes:
        makespan, bound: seconds that it took, and that it takes at least: all work on all workers, or the
            longest chain of stages.
        cpu_seconds: of all decisions of all workers, for real.
        ended: of each worker, cell -> whether it is well.
    """

    stages: int
    made: Counter[str]
    makespan: float
    bound: float
    operations: Counter[str]
    cpu_seconds: float
    ended: list[dict[str, bool]]


def play(
    cells: Sequence[Cell], workers: int, seconds: Callable[[Stage], float],
    fails: Callable[[Stage], bool] = lambda stage: False, takes: Sequence[Callable[[Stage], bool]] = (),
    patience: float = math.inf,
) -> Played:  # fmt: skip
    """Have so many workers make everything that ``cells`` need.

    Args:
        takes: of one worker after the other, what it makes; everything, where there are none.
    """
    world, ended = World(), []
    server = Server(world)
    shares = itertools.cycle(takes or [any_stage])

    def worker() -> None:
        scheduler = SharedScheduler(
            cells,
            server,
            Notes(server),
            next(shares),
            patience,
            clock=lambda: world.now,
            sleep=world.sleep,  # type: ignore[arg-type]
        )
        pool = VirtualPool(server, seconds, fails)
        outcomes = scheduler.run(pool, Silent())  # type: ignore[arg-type]
        ended.append({outcome.cell.key: outcome.failure is None for outcome in outcomes})

    before = time.process_time()
    world.run(*[worker] * workers)
    spent = time.process_time() - before
    stages = walk(leaf for cell in cells for leaf in cell.leaves.values())
    chains: dict[str, float] = {}
    for key, stage in stages.items():
        chains[key] = seconds(stage) + max((chains[one.key] for one in stage.inputs.values()), default=0.0)
    work = sum(map(seconds, stages.values()))
    bound = max(work / workers, *chains.values())
    return Played(len(stages), server.made, world.now, bound, server.operations, spent, ended)


def cells_of(count: int, bits: int = 10) -> list[Cell]:
    """So many cells: a distillation for every ``bits`` of them, then four stages each."""
    made = []
    for number in range(count):
        seed, code = divmod(number, bits)
        distill = Stage("distill", f"s{seed}", {"seed": seed}, images=8000)
        spec = {"seed": seed, "bits": code}
        finetune = Stage("finetune", f"c{number}", spec, {"distill": distill}, images=4000)
        encode = Stage("encode", f"c{number}", spec, {"finetune": finetune}, images=3000)
        leaves = {
            "measure/map": Stage("measure", f"c{number}", spec, {"encode": encode}),
            "examples": Stage("examples", f"c{number}", spec, {"encode": encode}),
        }
        made.append(Cell(None, {}, leaves, str(number), str(number)))  # type: ignore[arg-type]
    return made
