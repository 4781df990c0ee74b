"""What must be equal before the numbers of two records are set against each other.

Accuracies compare where data, protocol and precision are the same, whatever machine found them. Timings
belong to a machine, too. A table holds both kinds and says once what they were found under, so its rows share
everything; but what was measured elsewhere has no timings, and stands in every table of its protocol. What
else was measured, and how often, makes no other configuration.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from bench.results.records import EXTERNAL, Record

#: Of an environment: what a reader would name of a machine.
_HARDWARE = ("cpu", "gpu", "device", "threads")


def protocol(record: Record) -> dict[str, Any]:
    """The split and the ranking rule, without what is not set."""
    return {name: value for name, value in record.cell.protocol.items() if value is not None}


def limited(protocol: Mapping[str, Any]) -> bool:
    """Whether cells of this protocol saw only a part of the data: such numbers compare with nothing."""
    return bool(protocol.get("limit"))


def precision(record: Record) -> Any:
    """The number format of the networks."""
    return record.params.get("precision") or record.environment.get("precision")


def machine(record: Record) -> str:
    """Equal for records whose timings were taken on like machines."""
    return str(record.environment.get("fingerprint"))


def hardware(record: Record) -> dict[str, Any]:
    """The machine as a reader would name it."""
    return {name: record.environment.get(name) for name in _HARDWARE}


def waiting(record: Record) -> str | None:
    """How threads wait for others where that is not as in most runs; it is part of every timing."""
    found = record.environment.get("waiting")
    return None if found in (None, "passive") else str(found)


def settings(record: Record) -> dict[str, Any]:
    """The parameters that make it the configuration that it is."""
    return {name: value for name, value in record.params.items() if name != "measure"}


def accuracy_conditions(record: Record) -> dict[str, Any]:
    """What must be equal for accuracies on one data set to be comparable."""
    return {**protocol(record), "precision": precision(record)}


def ranking_key(record: Record, cost: str | None = None) -> Hashable:
    """Equal for records that may be ranked together by accuracy, and by the cost with this full name."""
    timed = cost is not None and record.metrics[cost].noise == "timed"
    conditions = _hashable(accuracy_conditions(record))
    return record.cell.dataset, conditions, machine(record) if timed else None


def table_facts(record: Record) -> dict[str, Any]:
    """What the rows of one table share beside the data set: its settings, protocol, machine, precision."""
    return {
        **{f"dataset.{name}": value for name, value in record.params.get("dataset", {}).items()},
        **protocol(record),
        **({} if record.status == EXTERNAL else hardware(record)),
        "precision": precision(record),
        **({"waiting": how} if record.status != EXTERNAL and (how := waiting(record)) else {}),
    }


def may_join(record: Record, other: Record) -> bool:
    """Whether ``record``, measured elsewhere, may stand in a table of ``other``."""
    own, shared = table_facts(record), table_facts(other)
    return record.cell.dataset == other.cell.dataset and own == {name: shared.get(name) for name in own}


def _hashable(value: Any) -> Hashable:
    """A JSON value of which equal ones have equal hashes."""
    if isinstance(value, dict):
        return tuple(sorted((name, _hashable(inner)) for name, inner in value.items()))
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
