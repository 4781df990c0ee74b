"""Have a cluster make a plan: ask for the workers that can be of use and are not there, and watch what comes.

Nothing is known but what folders and Slurm's queue say at the moment, so that the same command may be given
again at any time, and whoever watches may stop.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.execution.cluster import ClusterFile
from bench.execution.cluster_plan import Left, left_of
from bench.execution.forecast import SharedForecast
from bench.execution.keeping import keep
from bench.execution.machine import Machine
from bench.execution.progress import SECONDS_BETWEEN_LINES, ProgressReport, bars_wanted
from bench.execution.recorded import Recorded
from bench.execution.run import Manner, Outcome, opened, to_do
from bench.execution.slurm import Jobs, Slurm
from bench.execution.slurm_job import WorkerJob
from bench.planning.plan import Plan
from bench.planning.stage import TIMINGS
from bench.results.folder import ResultsFolder
from bench.storage import atomic
from bench.storage.claims import Claims
from bench.storage.keys import content_key, file_name

log = logging.getLogger(__name__)

#: Seconds between two looks at what has been made.
PAUSE = 10.0
#: So many times a kind of workers is asked for though nothing has come of the times before.
TRIES = 3
#: Seconds that a worker for timings waits for something to do, if its kind does not say.
TIMING_PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run of a cluster is about.

    Attributes:
        file: the cluster's workers.
        arguments: options of every ``worker``, but for those that follow from its kind and from folders.
        device: ``auto`` = GPUs for workers that have some, the processor for others.
        threads: of each job of a worker.
    """

    plan: Plan
    machine: Machine
    file: ClusterFile
    out: Path
    manner: Manner
    arguments: list[str]
    device: str
    threads: int


def run_on_cluster(asked: Asked, grid: dict[str, Any], *, wait: bool) -> Outcome:
    """Ask for workers, and stay until they are done if ``wait`` says so.

    Args:
        grid: what the grid says; workers may begin when its file says something else.

    Raises:
        UsageError: nothing can be asked for, or there is no result of what was.
    """
    shared = asked.file.shared_out(stage.share for stage in asked.plan.stages())
    slurm = Slurm(ResultsFolder(asked.out).jobs.absolute())
    outcome = opened(asked.plan, asked.out, asked.manner)
    if todo := to_do(outcome, asked.manner, asked.machine.store):
        path = slurm.folder / f"{file_name('grid', content_key(grid))}.yaml"
        atomic.write_text(path, json.dumps(grid, indent=1) + "\n")  # which is YAML, too
        crew = _Crew(asked, slurm, shared, path)
        left = left_of(todo, asked.machine.store, asked.out)
        outcome.submitted = crew.complete(left)
        if wait:
            _watch(crew, left, outcome, asked)
        else:
            outcome.jobs = crew.jobs()
    if not outcome.jobs:
        outcome.kept = keep(asked.plan.keep, asked.machine.store, asked.out)
    return outcome


def _watch(crew: _Crew, left: Left, outcome: Outcome, asked: Asked) -> None:
    """Stay until every cell has a record, say what comes, and ask again for workers that are missing."""
    for jobs in outcome.submitted:
        log.info("submitted: %s", jobs)
    stages = len(left.schedule.waiting)
    progress = ProgressReport(stages, len(left.cells), SharedForecast(left.schedule, {}))
    told, when = "", -math.inf
    try:
        while left.cells:
            try:
                text = crew.look() or "no worker is queued or at work"
                lacking = crew.lacking(left, again=True)
            except UsageError as error:  # Slurm may answer the next time
                text, lacking = str(error), []
            now = time.monotonic()
            if text != told or (now - when >= SECONDS_BETWEEN_LINES and not bars_wanted()):
                log.info("[%d/%d] %s", stages - len(left.schedule.waiting), stages, text)
                told, when = text, now
            for jobs in crew.complete(left, again=True) if lacking else []:
                log.info("submitted, as something is left: %s", jobs)
            time.sleep(PAUSE)
            before, left = left, left_of(left.cells, asked.machine.store, asked.out)
            for key in before.schedule.waiting.keys() - left.schedule.waiting.keys():
                progress.drop(key)
            _count(before, left, outcome, progress)
        outcome.stages_run = stages
    except KeyboardInterrupt:
        if ids := " ".join(jobs.id for jobs in crew.jobs()):
            log.info("the jobs go on without being watched; to end them: scancel %s", ids)
        raise
    finally:
        progress.close()


def _count(before: Left, left: Left, outcome: Outcome, progress: ProgressReport) -> None:
    """Take note of cells that have a record now."""
    still = {cell.key for cell in left.cells}
    if not (done := [cell for cell in before.cells if cell.key not in still]):
        return
    recorded = Recorded(outcome.out, anywhere=True)
    for cell in done:
        record = recorded.of(cell)
        if record is not None:
            outcome.count(cell, record)
            outcome.ok += record.status == "ok"
            outcome.elsewhere += record.status == "ok"
            progress.cell(cell.slug, record.status)


class _Crew:
    """The workers of a run, by kind.

    Args:
        shared: kind of workers -> what it takes.
        grid: the file that they read.
    """

    def __init__(self, asked: Asked, slurm: Slurm, shared: dict[str, frozenset[str]], grid: Path) -> None:
        self._asked, self._slurm, self._shared, self._grid = asked, slurm, shared, grid
        self._workers = asked.file.cluster.workers
        self._last: dict[str, tuple[int, int]] = {}  # what was left when a kind was asked for the last time
        self._tries: Counter[str] = Counter()
        self._states: dict[Jobs, Counter[str]] = {}

    def jobs(self) -> list[Jobs]:
        """Those that are queued or at work as of the last look, and how many there are of them."""
        return [dataclasses.replace(jobs, count=states.total()) for jobs, states in self._states.items()]

    def look(self) -> str:
        """Ask Slurm; what it says in words, ``train: 3 running, 5 pending (Priority)``.

        Raises:
            UsageError: it does not answer.
        """
        self._states = self._slurm.states()
        by_kind: dict[str, Counter[str]] = defaultdict(Counter)
        for jobs, states in self._states.items():
            by_kind[jobs.worker] += states
        said = {name: [f"{n} {state}" for state, n in states.items()] for name, states in by_kind.items()}
        return "; ".join(f"{name}: {', '.join(texts)}" for name, texts in said.items())

    def lacking(self, left: Left, *, again: bool = False) -> list[tuple[str, int]]:
        """Kinds of workers that can be of use and are not there as of the last look, and how many.

        Args:
            again: only kinds of which none is there, and that have something to do at once.
        """
        found = []
        for name in sorted(self._shared, key=lambda name: TIMINGS in self._shared[name]):
            shares = self._shared[name]
            there = sum(states.total() for jobs, states in self._states.items() if jobs.worker == name)
            count = left.workers(self._workers[name], shares, self._asked.threads) - there
            if count > 0 and not (again and (there or not left.ready(shares))):
                found.append((name, count))
        return found

    def complete(self, left: Left, *, again: bool = False) -> list[Jobs]:
        """Ask for those that are lacking.

        Raises:
            UsageError: Slurm does not take them or does not answer, or nothing has come of those before.
        """
        made = []
        # Nobody else, who has given the same command, counts at the same time.
        claim = Claims(self._slurm.folder).wait("submitting")
        try:
            self.look()
            for name, count in self.lacking(left, again=again):
                shares = self._shared[name]
                stages = left.stages(shares)
                self._count_tries(name, (len(stages), len(left.cells)))
                about = (
                    f"{self._workers[name].described()}; {len(stages)} to make of {', '.join(sorted(shares))}"
                )
                after = [jobs.id for jobs in self._states] if TIMINGS in shares else []
                made.append(
                    self._slurm.submit(
                        Jobs("", name, count, about),
                        self._workers[name],
                        self._asked.file.cluster,
                        self._job(name, shares),
                        after,
                    )
                )
                self._states[made[-1]] = Counter({"pending": count})
        finally:
            claim.release()
        return made

    def _count_tries(self, name: str, left: tuple[int, int]) -> None:
        """Go on unless a kind of workers was asked for in vain."""
        self._tries[name] = self._tries[name] + 1 if self._last.get(name) == left else 1
        self._last[name] = left
        if self._tries[name] > TRIES:
            last = [jobs for jobs in self._slurm.submitted() if jobs.worker == name][-1]
            words = self._slurm.last_words(last) or f"their logs in {self._slurm.folder} are empty"
            raise UsageError(f"workers.{name}: asked for {TRIES} times, and nothing has come of it; {words}")

    def _job(self, name: str, shares: frozenset[str]) -> WorkerJob:
        asked, worker = self._asked, self._workers[name]
        device = asked.device if asked.device != "auto" else "cuda" if worker.gpus else "cpu"
        # Those for timings begin when the others have ended: what they still wait for, nobody makes.
        patience = worker.patience or (TIMING_PATIENCE if TIMINGS in shares else None)
        arguments = [
            *("worker", "--grid", str(self._grid), "--out", str(asked.out.absolute())),
            *("--data-root", str(asked.machine.data_root.absolute()), "--device", device),
            *("--jobs", str(worker.jobs_of(asked.threads)), "--threads", str(asked.threads)),
            *("--stages", ",".join(sorted(shares))),
            *(("--patience", str(patience)) if patience else ()),
            *asked.arguments,
        ]
        # Cores that Slurm gives are not always all that a process sees.
        environment = {
            "BENCH_CACHE": str(asked.machine.store.root.absolute()),
            "OMP_NUM_THREADS": str(worker.cpus),
        }
        return WorkerJob(arguments, environment, str(Path.cwd()))
