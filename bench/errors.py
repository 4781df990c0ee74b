"""The errors a user may meet: one family, one line each, with the exit code on the class.

Exit codes: 0 done, 1 a cell failed, 2 usage or configuration, 3 regression, 4 nothing to compare or an
accuracy that cannot be judged, 130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP. Only ``bench.cli``
turns an error into an exit; everything below raises.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Suggestions for a name that is wrong: how many at most, and by how many edits one may be further than the
#: first; what another digit and another beginning count for; characters that a name cut off short must have.
SUGGESTED, ABOUT, DIGIT, BEGINNING, SHORTEST = 3, 0.25, 1.5, 0.25, 3


class BenchError(Exception):
    """Anything that went wrong in a way the user can act on: says what, where, and the cure."""

    exit_code = 1


def path_fault(error: OSError) -> str:
    """What the system said of a path that a user gave: which, what is wrong, and the cure."""
    path = escaped(shortened(str(error.filename)))
    return f"{path}: {error.strerror or error}; give another path, or the permission to use this one"


def escaped(text: str, but: str = "") -> str:
    """``text`` with every character that shows nothing, or that something acts on, as its escape.

    Names of files, classes and plug-ins may hold any: control characters, marks that turn the direction of
    what follows, breaks of lines, halves of surrogate pairs.

    Args:
        text: what is to be shown.
        but: characters that stay as they are.
    """
    if text.isprintable():
        return text
    for one in but:  # what lies between breaks of lines can nearly always stay, and is looked at as a whole
        if one in text:
            return one.join(escaped(part, but.replace(one, "")) for part in text.split(one))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, most: int = 200) -> str:
    """``text``, its middle left out where it is longer than a message should be."""
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 4 :]}"


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


def of_network(name: str, error: UsageError) -> UsageError:
    """``error`` with the network it is about, unless it says so itself: files and parameters know none."""
    return error if name.rpartition(" ")[2] in str(error) else UsageError(f"{name}: {error}")


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


def close(name: str, choices: Iterable[str]) -> list[str]:
    """Up to three of ``choices`` that somebody may have meant who wrote ``name``, all about as close.

    ``name`` itself is never among them, and the order of ``choices`` does not matter.
    """
    costs = {choice: _distance(name.lower(), choice.lower()) for choice in set(choices) - {name}}
    near = sorted((cost, choice) for choice, cost in costs.items() if cost is not None)
    return [choice for cost, choice in near[:SUGGESTED] if cost <= near[0][0] + ABOUT]


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for what is ``close``, or an empty string."""
    *others, last = ["", *(f"'{choice}'" for choice in close(name, choices))]
    first = f"{', '.join(others[1:])} or " if others[1:] else ""
    return f"; did you mean {first}{last}?" if last else ""


def _distance(name: str, choice: str) -> float | None:
    """How far apart two names are, in edits; None where they are no slip of each other.

    An edit inserts, drops or replaces a character, or swaps two neighbours; a third of the characters may be
    edited. Another digit counts for one and a half: ``resnet05`` is a slip of ``resnet50``, ``resnet18``
    none. What is cut off short counts for little: ``vgg`` may mean ``vgg11``.
    """
    if name == choice:
        return 0.5  # in capitals, or not
    cut = choice.startswith(name) or (name.startswith(choice) and 2 * len(choice) >= len(name))
    if cut and min(len(name), len(choice)) >= SHORTEST:
        return 1 + abs(len(name) - len(choice)) / len(choice)
    limit = max(1.0, max(len(name), len(choice)) / 3)
    if not name or not choice or abs(len(name) - len(choice)) > limit:
        return None
    before, row = [0.0], [float(place) for place in range(len(choice) + 1)]
    for i, given in enumerate(name):
        above, before, row = before, row, [i + 1.0]
        for j, meant in enumerate(choice):
            digits = given.isdigit() and meant.isdigit()
            replaced = 0.0 if given == meant else DIGIT if digits else 1.0
            cheapest = min(before[j] + replaced, before[j + 1] + 1, row[j] + 1)
            if i and j and given == choice[j - 1] and name[i - 1] == meant:
                cheapest = min(cheapest, above[j - 1] + 1)
            row.append(cheapest)
        if min(row) > limit:
            return None
    edits = row[-1] + (BEGINNING if name[0] != choice[0] else 0)
    return edits if edits <= limit else None


@contextlib.contextmanager
def told_to_people() -> Iterator[None]:
    """Four faults that are nobody's defect become a ``UsageError``.

    They are a path that cannot be; a full disk; ``sys.exit``, because the exit code of a plug-in that ends
    the program would be taken for a verdict of ours; and a package that is not installed, because ``encode``
    and ``search`` run without most of those that the suite needs.
    """
    try:
        yield
    except SystemExit as error:
        text = f"a plug-in ended the program (SystemExit: {error.code}); let it raise an exception"
        raise UsageError(text) from error
    except OSError as error:
        if error.filename is not None:
            raise UsageError(path_fault(error)) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UsageError(f"{error.strerror}; make room, or write elsewhere") from error
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "bench", "models"}:
            raise
        raise UsageError(f"this needs the package '{package}'; run: pip install hash-pareto") from error
