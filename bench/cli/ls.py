"""``ls``: what a grid may name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import include_option, verb
from bench.cli.plugin_card import card, lines
from bench.cli.saying import say
from bench.errors import UsageError, did_you_mean, escaped, shortened

KINDS = ("datasets", "teachers", "students", "methods", "losses", "metrics")


class _Kind(click.Choice[str]):
    """One of the kinds; of anything else, what may have been meant."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from bench.registry import REGISTRIES

        if value in KINDS:
            return value
        of = [kind for kind in KINDS if value in REGISTRIES[kind].names()]
        known = f" (kinds: {', '.join(KINDS)})"
        commands = " or ".join(f"ls {kind} {value}" for kind in of)
        hint = (
            f", but the name of a plug-in; run: {commands}" if of else f"{did_you_mean(value, KINDS)}{known}"
        )
        raise UsageError(f"ls: '{escaped(shortened(value))}' is no kind{hint}")


@click.command(name="ls")
@click.argument("kind", type=_Kind(KINDS), required=False)
@click.argument("name", required=False)
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def list_plugins(kind: str | None, name: str | None, plugins: Sequence[Path], as_json: bool) -> None:
    """List what a grid may name: everything, of one KIND, or the parameters of one plug-in by its NAME."""
    from bench.registry import include_all

    include_all(plugins)
    if kind and name:
        about = card(kind, name, _summaries(kind, name)[name])
        for line in [json.dumps(about, indent=1)] if as_json else lines(about):
            say(line)
        return
    found = {one: _summaries(one) for one in ([kind] if kind else KINDS)}
    if as_json:
        say(json.dumps(found[kind] if kind else found, indent=1))
        return
    for one, summaries in found.items():
        if not kind:
            say(f"{one}:")
        width = max(map(len, summaries))
        for plugin, summary in summaries.items():
            say(f"{'' if kind else '  '}{plugin:{width}}  {summary}")


def _summaries(kind: str, *names: str) -> dict[str, str]:
    """Everything of one kind, or what is called ``names``, each in one line."""
    from bench.registry import REGISTRIES

    registry = REGISTRIES[kind]
    summaries = {name: _summary(name, registry.get(name)) for name in names or registry.names()}
    if kind == "methods":
        summaries = {name: f"{text} [{_needs(registry.get(name))}]" for name, text in summaries.items()}
    if names:
        return summaries
    return summaries | {
        f"{family}:<name>": f"Any network of {family} under its name there, for example {family}:resnet18."
        for family in registry.families
    }


def _summary(name: str, plugin: type) -> str:
    """What a plug-in is, in one line.

    One of a library is known by its name there. A built-in one is its file, whose docstring says it. The file
    of any other may begin with anything, and hold several: the docstring of its class comes first, never that
    of a parent.
    """
    from bench.registry import REGISTRIES

    family, colon, rest = name.partition(":")
    if colon and any(family in registry.families for registry in REGISTRIES.values()):
        return f"The network {rest} of {family}."
    module, own = sys.modules.get(plugin.__module__), plugin.__dict__.get("__doc__")
    package, _, file = plugin.__module__.rpartition(".")
    built_in = file == name and package in {registry.package for registry in REGISTRIES.values()}
    texts = [module.__doc__ if module and file == name else None, own]
    for text in texts if built_in else reversed(texts):
        first = (text or "").strip().partition("\n")[0]
        if first and not re.search("copyright|licen[cs]e|spdx", first, re.IGNORECASE):
            return first
    return f"class {plugin.__qualname__} of {file}, which has no docstring"


def _needs(method: Any) -> str:
    """What a method takes: ``1 teacher (cached features), no labels``."""
    least, most = method.teachers
    if not method.trains:
        return "no teacher, no labels"
    if method.teacher_output == "network":
        output = "live, trained first"
    else:
        output = f"cached {method.teacher_output}"
    number = str(least) if least == most else f"{least} to {most}"
    teachers = f"{number} teacher{'s' if most > 1 else ''} ({output})" if most else "no teacher"
    return f"{teachers}, {'labels' if method.uses_labels(method.Params()) else 'no labels'}"
