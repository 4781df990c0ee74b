"""Seen and unseen classes in the names of metrics: ``map@all:expected:relevant[unseen]``.

Where a data set keeps classes from training (``unseen_classes``), what is found of them says more than the
mean over all. A name without a side is over all queries and the whole database, as everywhere.
"""

from __future__ import annotations

#: What stands in brackets -> how a title ends, and what is asked of what.
SIDES = {
    "seen": ("seen classes", "queries of the classes trained on in a database of these alone"),
    "unseen": ("unseen classes", "queries of classes kept from training in a database of these alone"),
    "seen_in_all": ("seen among all", "queries of the classes trained on"),
    "unseen_in_all": ("unseen among all", "queries of classes kept from training"),
}


def with_side(name: str, side: str) -> str:
    """The name of a metric on one side; an empty one is none."""
    return f"{name}[{side}]" if side else name


def apart(name: str) -> tuple[str, str]:
    """A metric's name without its side, and the side; empty where it has none, as ``map[]`` has."""
    plain, _, rest = name.partition("[")
    return (plain, rest[:-1]) if len(rest) > 1 and rest.endswith("]") else (name, "")
