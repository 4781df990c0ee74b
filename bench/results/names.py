"""Names that tell the configurations of one report apart, and no longer than that takes."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from bench.results import tuning
from bench.results.records import EXTERNAL, Record
from bench.results.wording import ELSEWHERE, FLOAT, UNKNOWN, assignments, natural, one_line


@functools.total_ordering
@dataclass(frozen=True)
class Configuration:
    """A cell without its seed, as a reader would name it; sorted by its fields, and by numbers in them."""

    dataset: str
    student: str
    bits: int
    loss: str
    method: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Student, method, loss and code length in words."""
        return self.student, self.method, self.loss, f"{self.bits} bit" if self.bits else FLOAT

    @functools.cached_property
    def _order(self) -> tuple[object, ...]:
        names = (self.dataset, self.student, self.loss, self.method)
        dataset, student, loss, method = map(natural, names)
        return dataset, student, self.bits, loss, method

    def __lt__(self, other: Configuration) -> bool:
        return self._order < other._order

    def __str__(self) -> str:
        return " · ".join(part for part in self.parts if part != UNKNOWN)


@dataclass(frozen=True, order=True)
class Matched:
    """A configuration of a baseline and what it is compared with, each as its own side calls it."""

    base: Configuration
    new: Configuration

    @property
    def dataset(self) -> str:
        """Of both: data sets are never compared with each other."""
        return self.new.dataset

    def __str__(self) -> str:
        """What both share once, the rest as ``none -> cukd``."""
        if (self.base.loss == UNKNOWN) != (self.new.loss == UNKNOWN):
            return f"{self.base} -> {self.new}"
        pairs = zip(self.base.parts, self.new.parts, strict=True)
        return " · ".join(old if old == new else f"{old} -> {new}" for old, new in pairs)


#: A data set and a network that teaches others on it.
Teacher = tuple[str, str]


def teachers_of(records: list[Record]) -> set[Teacher]:
    """Networks that teach others."""
    return {
        (record.cell.dataset, teacher)
        for record in records
        for teacher in record.cell.teachers
        if teacher != record.cell.student
    }


def is_teacher(record: Record, teachers: set[Teacher]) -> bool:
    """Whether the cell is one of ``teachers`` as it is without step 1."""
    return record.cell.method == "none" and (record.cell.dataset, record.cell.student) in teachers


_Scope = tuple[str, ...]

#: Parameters of a part that its name says whatever others have: they make something else of it. They are in a
#: record where they are not as usual alone.
_ALWAYS = {"loss": ("train",)}


class Names:
    """Names configurations: a part's parameters are spelt out where one name has several settings.

    Teachers that are trained in another way than students are told from them without that.
    """

    def __init__(self, records: list[Record]) -> None:
        # One that is a student, too, is named like all students.
        taught = {(record.cell.dataset, record.cell.student) for record in records if record.cell.teachers}
        self._teachers = teachers_of(records) - taught
        variants: dict[_Scope, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            for scope, values in itertools.chain.from_iterable(self._parts(record).values()):
                variants[scope].append(values)
        self._differing = {
            # Of several teachers each has settings of its own: where there are others, that is no difference.
            # And what is searched tells only tunings apart.
            scope: [
                *_ALWAYS.get(scope[0], ()),
                *_differing(settings, gaps=scope[0] not in {"teaching", "space"}),
            ]
            for scope, settings in variants.items()
        }
        # Where a method needs its teacher's name with one student, it is called so with all.
        told: dict[str, dict[str, None]] = defaultdict(dict)
        teaching = [scope for scope in self._differing if scope[0] == "teaching"]
        for scope in teaching:
            told[scope[-1]].update(dict.fromkeys(self._differing[scope]))
        self._differing |= {scope: [*told[scope[-1]]] for scope in teaching}

    def __call__(self, record: Record) -> Configuration:
        """The configuration of one of the records given at the start."""
        names = {part: self._name(scopes) for part, scopes in self._parts(record).items()}
        if record.status == EXTERNAL:
            names |= {"student": one_line(record.cell.student), "method": ELSEWHERE, "loss": UNKNOWN}
        return Configuration(bits=record.cell.bits, **names)

    def _name(self, scopes: list[tuple[_Scope, dict[str, Any]]]) -> str:
        (_, name, *_), _ = scopes[0]
        shown = {
            key: values[key]
            for scope, values in scopes
            for key in self._differing[scope]
            if values.get(key, tuning.SEARCHED) is not tuning.SEARCHED
        }
        return one_line(f"{name}[{assignments(shown)}]" if shown else name)

    def _parts(self, record: Record) -> dict[str, list[tuple[_Scope, dict[str, Any]]]]:
        """What to name, and the settings of each part with the scope within which they are compared."""
        cell, params = record.cell, record.params
        dataset: list[tuple[_Scope, dict[str, Any]]] = [
            (("dataset", cell.dataset), params.get("dataset", {}))
        ]
        if record.status == EXTERNAL:
            return {"dataset": dataset}
        role = "teacher" if is_teacher(record, self._teachers) else "student"
        # The teacher is part of how a student was distilled, but ``none`` has one for some students only.
        teaching = {"teacher": "+".join(cell.teachers)}
        for teacher, values in zip(cell.teachers, params.get("teachers", []), strict=False):
            teaching |= {f"{teacher}.{key}": value for key, value in values.items()}
        nested = {"nested": "+".join(map(str, params["nested"]))} if "nested" in params else {}
        tuned = tuning.as_named(record, "loss")
        shown = {"image_size": cell.image_size, **params.get("encode", {})}
        return {
            "dataset": dataset,
            "student": [(("student", cell.student), {**params.get("student", {}), **shown})],
            "method": [
                (("method", cell.method), {**params.get("method", {}), **tuning.as_named(record, "method")}),
                (("space", "method", cell.method), tuning.space_as_named(record, "method")),
                (("teaching", cell.student, cell.method), teaching),
            ],
            "loss": [
                (("loss", cell.loss, role), {**params.get("loss", {}), **nested, **tuned}),
                (("space", "loss", cell.loss), tuning.space_as_named(record, "loss")),
            ],
        }


def _differing(variants: list[dict[str, Any]], *, gaps: bool) -> list[str]:
    """Keys that do not have the same value wherever they occur.

    Args:
        gaps: whether to be absent is another value: that of a parameter which joined its plug-in later.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for values in variants:
        for key, value in values.items():
            found[key] |= set() if value is tuning.SEARCHED else {repr(value)}
    absent = {key for values in variants for key in found.keys() - values.keys()} if gaps else set()
    apart = absent | tuning.told_apart(variants)
    return [key for key, seen in found.items() if len(seen) > 1 or key in apart]
