"""The curves that a grid asks for: each once, and those that nobody could draw with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import did_you_mean
from bench.results import along, catalogue
from bench.results.catalogue import base_name
from bench.results.records import Record
from bench.results.wording import one_line


def distinct(curves: Iterable[tuple[str, str]], finished: list[Record]) -> list[tuple[str, str]]:
    """Each once: ``map`` may be ``map@all``, whichever was written first."""
    named: dict[tuple[str, str], tuple[str, str]] = {}
    for accuracy, path in curves:
        found = next(filter(None, (record.metric(accuracy) for record in finished)), None)
        named.setdefault((found[0] if found else accuracy, path), (accuracy, path))
    return [*named.values()]


def refusal(asked: tuple[str, str], finished: list[Record]) -> str:
    """Why nobody could draw it, whatever cells are compared."""
    accuracy, path = asked
    if not (found := next(filter(None, (record.metric(accuracy) for record in finished)), None)):
        known = dict.fromkeys(name for record in finished for name in record.metrics)
        hint = did_you_mean(accuracy, [*known, *map(base_name, known)]) or ";"
        return f"no record has the metric '{one_line(accuracy)}'{hint} there are: {', '.join(known)}"
    entry = catalogue.entry(found[0])
    if found[1].noise != "seeded" or (entry and entry.role != "accuracy"):
        return f"{one_line(found[0])} is no accuracy"
    return along.refusal(path, [along.numbers(record.cell, record.params) for record in finished])
