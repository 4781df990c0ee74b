"""Choose cells of a results folder by what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.errors import UsageError, did_you_mean
from bench.results import catalogue
from bench.results.folder import Results
from bench.results.names import Names
from bench.results.records import Record
from bench.results.sides import apart as side_apart
from bench.results.sides import with_side
from bench.results.wording import one_line

#: What cells may be chosen by -> the fields of a cell and the blocks of its parameters that hang on it.
#: Teachers hang on the method, because ``none`` has none, and what was searched on the loss.
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dataset": (("dataset",), ("dataset",)),
    "teacher": (("teachers",), ("teachers",)),
    "student": (("student",), ("student",)),
    "method": (("method", "teachers"), ("method", "teachers")),
    "loss": (("loss",), ("loss", "tuning")),
    "bits": (("bits",), ()),
    "seed": (("seed",), ()),
    "image_size": (("image_size",), ("image_size",)),
}


def filters(texts: Sequence[str]) -> dict[str, str]:
    """Read ``KEY=VALUE`` texts from a command line.

    Raises:
        UsageError: a text has another form, or a key is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"'{one_line(text)}': write it as KEY=VALUE with KEY one of {', '.join(PARTS)}")
        if key in found:
            raise UsageError(f"{one_line(key)} is given twice; write {key}={found[key]},{value} for either")
        found[key] = value
    return found


def choose(
    results: Results, names: Names, only: Mapping[str, str], other: Mapping[str, str] | None = None
) -> list[Record]:
    """The records of which every key of ``only`` has the value given, in full or as a pattern.

    Args:
        results: where to look.
        names: of all its records.
        only: keys of ``PARTS`` -> values, ``csq``, ``cukd[views=2]``, ``csq,dch`` or ``cukd*``.
        other: what the other side of a comparison within these results is chosen by. ``csq`` is every cell
            of that loss, but against ``csq[nested=16+32]`` it is the others: nothing is compared with itself.

    Raises:
        UsageError: an unknown key, or nothing matches.
    """
    kept, other = results.records, other or {}
    for key, value in only.items():
        if key not in PARTS:
            hint = did_you_mean(key, PARTS) or ";"
            raise UsageError(f"cells have no '{one_line(key)}'{hint} choose by one of: {', '.join(PARTS)}")
        matching = [record for record in results.records if _is(record, names, key, value)]
        if not matching:
            choices = dict.fromkeys(
                text for record in results.records for text in _called(record, names, key)
            )
            hint = did_you_mean(value, choices) or ";"
            known = ", ".join(map(one_line, choices)) or "none, as there are no records"
            raise UsageError(
                f"no cell of {one_line(results.name)} has {key} '{one_line(value)}'{hint} there are: {known}"
            )
        _refuse_another_key(results, names, key, value)
        kept = [record for record in kept if _is(record, names, key, value)]
    if only and not kept:
        asked = " and ".join(f"{key}={one_line(value)}" for key, value in only.items())
        raise UsageError(f"no cell of {one_line(results.name)} has {asked} at once; give fewer of them")
    for key in only.keys() & other.keys() - {"seed"}:
        if _is_part(results.records, names, key, other[key], only[key]):
            kept = [record for record in kept if not _is(record, names, key, other[key])]
    return kept


def _refuse_another_key(results: Results, names: Names, key: str, value: str) -> None:
    """A part of ``student=a,loss=b`` that names nothing, and would be left out without a word."""
    if any(value in _called(record, names, key) for record in results.records):
        return
    for part in value.split(","):
        asked, equals, wanted = part.strip().partition("=")
        if equals and asked in PARTS and not any(_is(one, names, key, part) for one in results.records):
            raise UsageError(
                f"{key} '{one_line(value)}' asks for two things; give the option once more for "
                f"{asked}={one_line(wanted)}"
            )


@dataclass(frozen=True)
class Apart:
    """A part of the grid in which no cell of one folder is like any of another.

    Attributes:
        key: one of ``PARTS``.
        base, new: what either side has there.
    """

    key: str
    base: list[str]
    new: list[str]

    def __str__(self) -> str:
        """``A has student cukd_v1, B has cukd_v2``."""
        base, new = (", ".join(map(one_line, side)) for side in (self.base, self.new))
        return f"A has {self.key} {base}, B has {new}"

    @property
    def question(self) -> tuple[dict[str, str], dict[str, str]] | None:
        """What to choose of either side, where there is one thing to choose."""
        if self.key == "dataset" or len(self.base) > 1 or len(self.new) > 1:
            return None
        return {self.key: self.base[0]}, {self.key: self.new[0]}


def apart(base: Results, new: Results) -> list[Apart]:
    """Parts in which two folders have nothing in common, but seeds, and teachers, which hang on methods."""
    found = []
    for key in PARTS.keys() - {"seed", "teacher"}:
        sides = [
            list(dict.fromkeys(str(getattr(record.cell, key)) for record in results.records))
            for results in (base, new)
        ]
        if all(sides) and not set(sides[0]) & set(sides[1]):
            found.append(Apart(key, *sides))
    return sorted(found, key=lambda one: list(PARTS).index(one.key))


def require_metric(name: str, records: Iterable[Record], *, accuracy: bool) -> None:
    """Refuse the name of a metric that no record has, or that is of another kind.

    Args:
        name: in full or short.
        records: where to look.
        accuracy: whether it must be a matter of trained networks; else it must be none.

    Raises:
        UsageError: says which names there are.
    """
    known: dict[str, None] = {}
    for record in records:
        if found := record.metric(name):
            full, metric = found
            if (metric.noise == "seeded") == accuracy:
                return
            text = (
                "depends on neither seeds nor queries; give an accuracy such as map"
                if accuracy
                else "is an accuracy and costs nothing; give a cost such as macs"
            )
            raise UsageError(f"{one_line(full)} {text}")
        known |= {full: None for full, one in record.metrics.items() if (one.noise == "seeded") == accuracy}
    raise UsageError(f"no record has the metric '{one_line(name)}'{_choices(name, list(known))}")


def _choices(name: str, known: Sequence[str]) -> str:
    """What somebody may have meant, and the short names that they would type; ``known`` are in full.

    Cuts are told to those who asked for one: ``map@all`` where there is no ``map@10``.
    """
    short: dict[str, None] = {}
    typed: set[str] = set()
    sides: set[str] = set()
    for full in known:
        plain, side = side_apart(full)
        base, at_cut = catalogue.base_name(plain), plain.partition(":")[0]
        short[at_cut if "@" in name else base] = None
        typed |= {with_side(base, side), with_side(at_cut, side)}
        sides |= {with_side("", side)} - {""}
    hint = did_you_mean(name, typed) or did_you_mean(name, known) or ";"
    many = f"; many also with {', '.join(map(one_line, sorted(sides)))}" if sides else ""
    return f"{hint} there are: {', '.join(map(one_line, short)) or 'none'}{many}"


def _is(record: Record, names: Names, key: str, value: str) -> bool:
    called = _called(record, names, key)
    # A name as reports show it may hold commas and brackets, which mean something else in patterns.
    return value in called or any(
        fnmatchcase(name, pattern) for name in called for pattern in value.split(",")
    )


def _is_part(records: Iterable[Record], names: Names, key: str, value: str, whole: str) -> bool:
    """Whether ``value`` chooses some of what ``whole`` chooses, and nothing else."""
    found = {(_is(record, names, key, value), _is(record, names, key, whole)) for record in records}
    return {(True, True), (False, True)} <= found and (True, False) not in found


def _called(record: Record, names: Names, key: str) -> list[str]:
    """What the part ``key`` of a cell goes by: in the grid, and in reports."""
    cell = record.cell
    if key == "teacher":
        return list(dict.fromkeys([*cell.teachers, "+".join(cell.teachers)])) if cell.teachers else []
    plain = str(getattr(cell, key))
    if key in {"bits", "seed", "image_size"}:
        return [plain]
    return list(dict.fromkeys([plain, str(getattr(names(record), key))]))
