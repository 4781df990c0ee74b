"""The errors a user may meet: one family, one line each, with the exit code on the class.

Exit codes: 0 done, 1 a cell failed, 2 usage or configuration, 3 regression, 4 nothing to compare or an
accuracy that cannot be judged, 130 interrupted. Only ``bench.cli`` turns an error into an exit; everything
below raises.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class BenchError(Exception):
    """Anything that went wrong in a way the user can act on: says what, where, and the cure."""

    exit_code = 1


class CellError(BenchError):
    """A stage of one cell failed; the other cells go on."""


class UsageError(BenchError):
    """The command line, the environment or a name in it is wrong; nothing was started."""

    exit_code = 2


class DataError(UsageError):
    """A data set is damaged, or does not allow what is asked of it."""


class MissingDataError(DataError):
    """A data set is not where it was looked for; the message says how to get it."""


class WeightsError(UsageError):
    """Pretrained weights are missing or do not fit the network."""


class MissingPackageError(UsageError):
    """An optional package is needed; the message ends with the pip line to type."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package; run: pip install 'hash-pareto[{extra}]'")


def require(what: str, extra: str, *packages: str) -> None:
    """Raise MissingPackageError unless all ``packages`` of an extra can be imported; imports none."""
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise MissingPackageError(what, extra)


class NothingToCompareError(BenchError):
    """Two results have no configuration in common that could be compared."""

    exit_code = 4


class RecordError(UsageError):
    """A record cannot be read: damaged, or written by a newer version."""


@dataclass(frozen=True, order=True)
class Problem:
    """One fault in a grid file, ready to print as ``file:line:col: message``."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(UsageError):
    """Every fault of one grid file at once, in file order, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``choices``, or an empty string."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
