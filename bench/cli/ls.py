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
from bench.cli.saying import say

KINDS = ("datasets", "teachers", "students", "methods", "losses", "metrics")


@click.command(name="ls")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def list_plugins(kind: str | None, plugins: Sequence[Path], as_json: bool) -> None:
    """List what a grid may name: of one kind, or everything."""
    from bench.registry import include_all

    include_all(plugins)
    found = {one: _summaries(one) for one in ([kind] if kind else KINDS)}
    if as_json:
        say(json.dumps(found[kind] if kind else found, indent=1))
        return
    for one, summaries in found.items():
        if not kind:
            say(f"{one}:")
        width = max(map(len, summaries))
        for name, summary in summaries.items():
            say(f"{'' if kind else '  '}{name:{width}}  {summary}")


def _summaries(kind: str) -> dict[str, str]:
    """Everything of one kind, each in one line."""
    from bench.registry import REGISTRIES

    registry = REGISTRIES[kind]
    summaries = {name: _summary(name, registry.get(name)) for name in registry.names()}
    if kind == "methods":
        summaries = {name: f"{text} [{_needs(registry.get(name))}]" for name, text in summaries.items()}
    return summaries | {
        f"{family}:<name>": f"Any network of {family} under its name there, for example {family}:resnet18."
        for family in registry.families
    }


def _summary(name: str, plugin: type) -> str:
    """What a plug-in is, in one line.

    A built-in one is its file, whose docstring says it. The file of any other may begin with anything, and
    hold several: the docstring of its class comes first, never that of a parent.
    """
    from bench.registry import REGISTRIES

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
