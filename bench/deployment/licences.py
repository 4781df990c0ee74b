"""Under which licence the weights are that a student and its teachers started from, where that is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.errors import UsageError
from bench.registry import STUDENTS, TEACHERS, Registry
from bench.results.records import Record


def licences(record: Record) -> Iterator[str]:
    """A line for the student and each teacher."""
    yield f"student {record.cell.student}: {_of(STUDENTS, record.cell.student, record.params['student'])}"
    for name, params in zip(record.cell.teachers, record.params["teachers"], strict=True):
        yield f"teacher {name}: {_of(TEACHERS, name, params)}"


def _of(registry: Registry[Any], name: str, params: dict[str, Any]) -> str:
    weights = str(params["weights"])
    if weights == "none":
        return "started from random weights"
    plugin = registry.get(name)
    network = plugin(plugin.Params.of({**params, "weights": "default"}))
    try:
        published = network.weights_id() == weights
    except UsageError:
        published = False
    if not published:
        return f"started from weights {weights}; their licence is unknown"
    licence = network.licence() if hasattr(network, "licence") else ""
    return f"started from published weights, {weights}, licence: {licence or 'unknown'}"
