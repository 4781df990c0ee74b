"""Plug-ins of the suite whose source is no longer the one that made what is cached, under the same version.

A plug-in of the user's has its source in its keys. For ours the version says when results change, since most
edits change none, and an edit that should have raised it is told of.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bench
from bench.errors import UsageError
from bench.planning.stage import Stage
from bench.registry import DATASETS, LOSSES, METHODS, METRICS, STUDENTS, TEACHERS, Registry, is_own, source_of
from bench.storage.store import Store

#: Blocks in the spec of a stage -> whose plug-ins they name.
_KINDS: dict[str, Registry[Any]] = {
    "dataset": DATASETS,
    "teacher": TEACHERS,
    "student": STUDENTS,
    "method": METHODS,
    "loss": LOSSES,
    "metric": METRICS,
}
#: Artifacts of a plug-in that are looked at, so that a run that finds all done stays as fast.
LOOKED_AT = 3


def made_by(stage: Stage) -> dict[str, str]:
    """What ``artifact.json`` says of the suite's plug-ins that make a stage: name -> digest of its source."""
    own = {f"{kind} {name}": _digest(kind, name) for kind, name, _ in _named(stage)}
    return {"release": bench.__version__, **{name: digest for name, digest in own.items() if digest}}


def warnings(stages: Iterable[Stage], store: Store) -> list[str]:
    """A line for each plug-in that has changed since something cached was made; a few artifacts are read."""
    by_plugin: dict[tuple[str, str], list[Stage]] = {}
    for stage in stages:
        for kind, name, _ in _named(stage):
            by_plugin.setdefault((kind, name), []).append(stage)
    found = (_warning(store, *plugin, made) for plugin, made in by_plugin.items())
    return list(dict.fromkeys(line for line in found if line))


def check(stage: Stage) -> None:
    """Refuse to make a stage by another source than the one that its key was made of.

    Raises:
        UsageError: a plug-in was edited after the run had begun, and this process has read it since.
    """
    for kind, name, block in _named(stage):
        expected = block.get("source")
        if expected and source_of(_KINDS[kind].get(name)) != expected:
            raise UsageError(
                f"{kind} '{name}' is not what it was when the run began; run the same command again"
            )


def _named(stage: Stage) -> Iterator[tuple[str, str, Any]]:
    """Kind, name and block of the plug-ins in a stage's own spec."""
    for kind in _KINDS:
        block = stage.spec.get(kind)
        if isinstance(block, dict):  # a stage may say something else by the same word
            yield kind, block["name"], block
    for asked in stage.spec.get("online_teachers", ()):
        yield "teacher", asked["teacher"]["name"], asked["teacher"]


def _warning(store: Store, kind: str, name: str, stages: list[Stage]) -> str | None:
    plugin = _KINDS[kind].get(name)
    if not is_own(plugin):
        return None
    for stage in stages[:: max(1, -(-len(stages) // LOOKED_AT))]:
        made = (store.index(store.path(*stage.place)) or {}).get("sources")
        if not isinstance(made, dict) or made.get("release") != bench.__version__:
            continue  # versions are what tells releases apart
        if made.get(f"{kind} {name}") not in {None, _digest(kind, name)}:
            return (
                f"{_file(plugin).name} has changed since {stage.kind} {stage.name} was made, but its version "
                f"is still {plugin.version}, and what is cached is used: raise it if results change"
            )
    return None


@functools.cache
def _digest(kind: str, name: str) -> str | None:
    """Of a plug-in of the suite: its file, and the ``_x.py`` beside it that it names. None of others."""
    plugin = _KINDS[kind].get(name)
    if not is_own(plugin):
        return None
    content = _file(plugin).read_bytes()
    shared = [path for path in _file(plugin).parent.glob("_[a-z]*.py") if path.stem.encode() in content]
    return hashlib.sha256(content + b"".join(path.read_bytes() for path in sorted(shared))).hexdigest()


def _file(plugin: type) -> Path:
    return Path(str(sys.modules[plugin.__module__].__file__))
