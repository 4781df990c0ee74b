"""The log of a run: a file of its own that has every line, whatever the program around it listens to."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError


@contextlib.contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Everything that is logged, tracebacks of failed cells included, also goes to ``path``, a new file.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot write ({error.strerror}); choose another --out") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    bench = logging.getLogger("bench")
    # Where nobody listens, Python shows warnings on stderr, but for loggers that have a file.
    added = [file, *([] if bench.hasHandlers() or logging.lastResort is None else [logging.lastResort])]
    with _every_line(bench):
        for handler in added:
            bench.addHandler(handler)
        try:
            yield
        finally:
            for handler in added:
                bench.removeHandler(handler)
            file.close()


@contextlib.contextmanager
def _every_line(bench: logging.Logger) -> Iterator[None]:
    """Log everything inside; who listens already hears no more of it than before."""
    level, heard = bench.level, bench.getEffectiveLevel()
    listening = [*bench.handlers, *(logging.getLogger().handlers if bench.propagate else [])]

    def as_before(record: logging.LogRecord) -> bool:
        return record.levelno >= heard or record.name.partition(".")[0] != bench.name

    for handler in listening:
        handler.addFilter(as_before)
    bench.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        bench.setLevel(level)
        for handler in listening:
            handler.removeFilter(as_before)
