"""What a command ends with: one table, from which every verb's ``--help`` says its part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

#: Of every verb.
ALWAYS = {
    0: "done",
    1: "a defect of hash-pareto",
    2: "usage or configuration",
    129: "ended by SIGHUP",
    130: "interrupted",
    143: "ended by SIGTERM",
}
_CELL, _IMAGE = {1: "a cell failed"}, {1: "an image cannot be read"}
_UNTOLD = "nothing to compare"
#: Verb -> what it ends with beside that, or means by one of those.
OF_VERBS: Mapping[str, Mapping[int, str]] = {
    "run": _CELL,
    "worker": _CELL,
    "compare": {4: _UNTOLD},
    "check": {
        0: "nothing is worse",
        3: "worse than the baseline",
        4: f"{_UNTOLD} or an accuracy that cannot be judged",
    },
    "verify": {0: "all is as it was written", 1: "something is not"},
    "evaluate": {1: "the codes cannot be judged"},
    "export": {1: "the bundle would not compute what the student does"},
    "encode": _IMAGE,
    "search": _IMAGE,
    "measure": {1: "the network cannot be measured"},
    "data check": _IMAGE,
    "doctor": {1: "with --cluster: something will not work"},
}


def of_verb(name: str) -> dict[int, str]:
    """Exit code -> what it means for a verb; a verb within another one is ``"data check"``."""
    return dict(sorted({**ALWAYS, **OF_VERBS.get(name, {})}.items()))


def tell(group: click.Group) -> None:
    """Have ``--help`` of every verb of ``group``, and of those within, end in its exit codes."""
    for name, command in verbs(group):
        codes = ", ".join(f"{code} {meaning}" for code, meaning in of_verb(name).items())
        command.epilog = f"Exit codes: {codes}."


def verbs(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb of ``group``, and of those within, under its whole name."""
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from verbs(command, f"{before}{name} ")
