"""The tiny grid, broken off before one chosen change of a file, and gone on with; a program of its own.

Python tells a hook of every file that is opened for writing, made, renamed, linked or removed. The hook kills
the process before the change with a chosen number, or has the disk be full from there on. One process has
loaded all that a run needs, and each trial is a copy of it: trials take a second or two.

    python -m tests.faults.interposed FOLDER kill|full TRIALS SEED
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.cli import main
from bench.results.folder import ResultsFolder, load_results
from tests.conftest import PLUGINS, TINY_GRID
from tests.trainings import made

#: What Python tells of changes, and whether a full disk refuses them; ``open`` is told of reading, too.
CHANGES = {
    "open": True,
    "os.mkdir": True,
    "os.link": True,
    "os.rename": False,
    "os.remove": False,
    "os.rmdir": False,
    "os.chmod": False,
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Hook:
    """Counts changes below ``root`` and calls ``at`` before that with number ``which`` and all after it."""

    def __init__(self, root: Path, which: float, at: Callable[[str, str], None]) -> None:
        self._root, self._which, self._at = str(root), which, at
        self.seen = 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.fsdecode(path)
        if not name.startswith(self._root) or (event == "open" and not _writes(arguments)):
            return
        if self.seen >= self._which:
            self._at(event, name)
        self.seen += 1


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1:3]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool((flags or 0) & WRITING)


class Grid:
    """A run below ``folder``; everything it changes lies there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "grid.yaml").write_text(TINY_GRID)
        os.environ.update(BENCH_CACHE=str(folder / "store"), OMP_NUM_THREADS="1", CI="1")
        untimed = "measure={latency: false, peak_memory: false, search: false}"
        places = ["--grid", folder / "grid.yaml", "--include", PLUGINS / "tiny.py", "--out", folder / "out"]
        self._arguments = ["run", *places, "--jobs", 1, "--device", "cpu", "-q", "--set", untimed]

    def run(self) -> int:
        """In this process."""
        return main([str(argument) for argument in self._arguments])

    def forget(self) -> None:
        """Begin anew."""
        for name in ("store", "out"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def found(self) -> Any:
        """What must not depend on anything that happened on the way."""
        artifacts = {
            str(path.parent.relative_to(self.folder)): _made(path)
            for path in (self.folder / "store").glob("*/*/artifact.json")
            if path.parent.parent.name != "damaged"
        }
        records = {
            record.key: {name: metric.value for name, metric in record.metrics.items()}
            for record in load_results(self.folder / "out").records
        }
        return artifacts, records

    def left(self) -> list[Path]:
        """What nobody needs any more."""
        store, out = self.folder / "store", ResultsFolder(self.folder / "out")
        hidden = [path for top in (store, out.path) for path in top.rglob(".*")]
        shown = [folder.glob("[!.]*") for folder in (store / "partial", store / "claims", out.at_work)]
        return [*hidden, *itertools.chain.from_iterable(shown)]


def _made(path: Path) -> str:
    """What an artifact is, however it came to be."""
    index = json.loads(path.read_text())
    index["summary"].pop("resumed_at", None)
    return made(index)


def apart(folder: Path, what: Callable[[], int]) -> tuple[int, str]:
    """How a copy of this process ended that did ``what``, and what it said."""
    said = folder / "said"
    sys.stdout.flush()
    sys.stderr.flush()
    if not (child := os.fork()):
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        code = 70
        with contextlib.suppress(BaseException):
            try:
                code = what()
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text(errors="replace")


def kill(event: str, name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full(event: str, name: str) -> None:
    if CHANGES[event]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


def trial(grid: Grid, way: str, which: int, expected: Any) -> str:
    """What is wrong after one, in words; nothing if all is as it should be."""

    def broken_off() -> int:
        sys.addaudithook(Hook(grid.folder, which, kill if way == "kill" else full))
        return grid.run()

    grid.forget()
    code, said = apart(grid.folder, broken_off)
    if code != {"kill": -signal.SIGKILL, "full": 2}[way]:
        return f"ended with {code}: {said}"
    if way == "full" and (len(said.splitlines()) != 1 or "No space left" not in said or "; " not in said):
        return f"said {said}"
    code, said = apart(grid.folder, grid.run)
    if code:
        return f"did not go on: {code}: {said}"
    if "Traceback" in said:
        return said
    for path in grid.left():  # what is young may be somebody's
        with contextlib.suppress(OSError):
            os.utime(path, (0, 0))
    code, said = apart(grid.folder, grid.run)
    if code or "nothing to do" not in said:
        return f"was not done: {code}: {said}"
    if grid.found() != expected:
        return "other results"
    if left := grid.left():
        return f"left {', '.join(map(str, left))}"
    return ""


def run_trials(folder: Path, way: str, trials: int, seed: int) -> int:
    """Break off at so many changes, of all if there are fewer; 1 if one run did not end as it should."""
    grid = Grid(folder)
    assert grid.run() == 0  # loads all that there is, and nothing of it has started a thread
    grid.forget()
    hook = Hook(folder, float("inf"), kill)
    sys.addaudithook(hook)
    assert grid.run() == 0
    expected, changes = grid.found(), hook.seen
    chosen = random.Random(seed).sample(range(changes), min(trials, changes))
    wrong = 0
    for which in sorted(chosen):
        if problem := trial(grid, way, which, expected):
            wrong += 1
            print(f"{way} at {which} of {changes}: {problem}")  # noqa: T201
    print(f"{way}: {len(chosen) - wrong} of {len(chosen)} as if nothing had been, of {changes} changes")  # noqa: T201
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(run_trials(Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
