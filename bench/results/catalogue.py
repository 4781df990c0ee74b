"""The catalogue of metrics: what they are called in records, in grids and for a reader, and where they stand.

It begins with the suite's own (``entries``) and learns those of plug-ins, from a plug-in or from results that
it made. Names that it does not know are shown as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from bench.errors import UsageError
from bench.results.entries import ENTRIES
from bench.results.sides import SIDES, apart
from bench.types import MetricEntry, MetricRole, Place

#: What two sources must say alike of one name, since verdicts hang on it. Words may differ: those stay that
#: were known first.
FACTS = ("unit", "role", "noise", "at", "main", "judged")
#: What a network is small by: the first of these that is known.
SIZES = ("macs", "params")

#: Name -> entry and who says so.
_known: dict[str, tuple[MetricEntry, str]] = {entry.name: (entry, "hash-pareto") for entry in ENTRIES}


def learn(declared: Iterable[MetricEntry], source: str) -> None:
    """Make the entries of a plug-in known, all or none; ``source``, who declares them, may correct its own.

    Raises:
        UsageError: an entry is not that of a name and a line of text, or states another fact of a known name.
    """
    several = list(declared)
    for one in several:
        values = dataclasses.asdict(one)
        if not one.name or base_name(one.name) != one.name:
            raise UsageError(f"{source}: metric entry {one.name!r} is no name; write it without @, : and [")
        if unfit := [field for field, value in values.items() if not str(value).isprintable()]:
            raise UsageError(f"{source}: metric entry '{one.name}': {unfit[0]} should be one line of text")
        if differing := contradiction(one, source):
            raise UsageError(f"{differing}; rename one of them")
    for one in several:
        if one.name not in _known or _known[one.name][1] == source:
            _known[one.name] = one, source


def contradiction(one: MetricEntry, source: str) -> str:
    """In which fact ``source`` contradicts what is known of a metric; empty: in none."""
    known, owner = _known.get(one.name, (one, source))
    differing = [field for field in FACTS if getattr(one, field) != getattr(known, field)]
    if owner == source or not differing:
        return ""
    theirs, ours = (getattr(entry, differing[0]) for entry in (one, known))
    return f"{source}: metric '{one.name}' has {differing[0]} {theirs!r} there and {ours!r} in {owner}"


def entry(name: str) -> MetricEntry | None:
    """What is known of a metric, in full or short; None: nothing."""
    known = _known.get(base_name(name))
    return known and known[0]


def entries() -> list[MetricEntry]:
    """Everything that is known, in order."""
    return [known for known, _ in _known.values()]


def learnt(names: Iterable[str] | None = None) -> list[MetricEntry]:
    """The entries of plug-ins, of the metrics called ``names`` alone where some are given."""
    asked = _known.keys() if names is None else {base_name(name) for name in names}
    own = {entry.name for entry in ENTRIES}
    return [known for known in entries() if known.name in asked and known.name not in own]


def as_json(one: MetricEntry) -> dict[str, object]:
    """An entry without what it has in common with most."""
    usual = {field.name: field.default for field in dataclasses.fields(one)}
    return {name: value for name, value in dataclasses.asdict(one).items() if value != usual[name]}


def shown_in(place: Place) -> list[str]:
    """The names that have a place of their own there."""
    return [known.name for known in entries() if place in known.shown]


def of_role(role: MetricRole) -> list[str]:
    """The names of accuracies, costs or diagnostics."""
    return [known.name for known in entries() if known.role == role]


def beside(main: str, names: Iterable[str]) -> list[str]:
    """The accuracies among ``names`` that belong beside ``main``, at all cuts and on all sides."""
    base = base_name(main)
    return [name for name in names if name != main and (known := entry(name)) and known.beside == base]


def is_judged(name: str) -> bool:
    """Whether ``check`` judges it; what is not known, it does."""
    known = entry(name)
    return known is None or known.judged


def full_name(name: str, names: Iterable[str]) -> str | None:
    """The full name of a metric among ``names``, the first that fits; None if none does.

    ``map@all`` finds ``map@all:expected:relevant``, ``latency_ms`` finds ``latency_ms@1``; ``map`` finds the
    accuracy that a cell is judged by, whatever its name. ``map[unseen]`` finds that of unseen classes, and a
    name without a side finds none that has one.
    """
    name, side = apart(name)
    candidates = [(plain, full) for full in names for plain, its in [apart(full)] if its == side]
    asked = [known.main for known in entries() if known.main] if name == "map" else [name]
    fits = (
        full
        for one in asked
        for plain, full in candidates
        if plain == one or plain.startswith((f"{one}@", f"{one}:"))
    )
    return next(fits, None)


def base_name(name: str) -> str:
    """The name without cut, batch size, variant and side: ``map`` of ``map@all:expected:min[unseen]``."""
    return apart(name)[0].partition("@")[0].partition(":")[0]


def title(name: str) -> str:
    """A metric's name as a column head: ``mAP@all``, ``latency, batch 1``, ``mAP@all, unseen classes``."""
    known = entry(name)
    whole, side = apart(name)
    name, _, variant = whole.partition(":")
    base, _, cut = name.partition("@")
    words = known.title if known else base
    if cut:
        words += f", batch {cut}" if known and known.at == "batch" else f"@{cut}"
    # How ties were ordered is told beside the number, not in its name.
    words = f"{words} ({variant})" if variant and base != "map" else words
    return f"{words}, {SIDES[side][0] if side in SIDES else side}" if side else words


def long_title(name: str) -> str:
    """A metric's name for somebody who sees it alone: ``multiply-adds per image``."""
    known = entry(name)
    return known.long_title if known and known.name == name and known.long_title else title(name)


def bounds(name: str, unit: str) -> tuple[float, float] | None:
    """Least and greatest value that a metric can have; None where it has none.

    Fractions, which have no unit, lie between 0 and 1; a change of one may be negative.
    """
    if unit:
        return None
    return (-1.0, 1.0) if base_name(name).endswith("_change") else (0.0, 1.0)
