"""Keys of the shipped grids stay what they are: whoever has a cache finds all of it after an update.

Who means to change keys (another version of a stage or plug-in, another default) writes the golden file
again: ``python -m tests.planning.test_keys``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from bench.planning.build import build_plan
from bench.planning.config import load_grid

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/keys.json"
#: Weights that are missing are in keys under the path that leads to them from here.
GRIDS = sorted(path.relative_to(ROOT) for path in (ROOT / "bench/grids").glob("*.yaml"))


def summary_of(path: Path) -> dict[str, list[object]]:
    """Number and digest of the keys of cells, and of stages by kind, on no machine in particular."""
    plan = build_plan(load_grid(path), Path("/no data"), "no hardware")
    keys: dict[str, set[str]] = {"cells": {cell.key for cell in plan.cells}}
    for stage in plan.stages():
        spec = {name: value for name, value in stage.spec.items() if name not in {"hardware", "packages"}}
        keys.setdefault(stage.kind, set()).add(dataclasses.replace(stage, spec=spec).key)
    return {
        kind: [len(some), hashlib.sha256("\n".join(sorted(some)).encode()).hexdigest()[:16]]
        for kind, some in sorted(keys.items())
    }


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_keys_of_shipped_grids_stay(path, monkeypatch, folder):
    monkeypatch.chdir(ROOT)
    # Releases are in the keys of weights that a library publishes.
    monkeypatch.setattr("models.families.zoo.version", lambda library: "1")
    assert summary_of(path) == json.loads(GOLDEN.read_text())[path.stem]


if __name__ == "__main__":
    from models.families import zoo

    zoo.version = lambda library: "1"  # type: ignore[assignment]
    GOLDEN.write_text(json.dumps({path.stem: summary_of(path) for path in GRIDS}, indent=1) + "\n")
