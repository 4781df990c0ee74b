"""What is shipped is valid, and the schema is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.planning.config import load_grid
from bench.planning.schema import json_schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "bench/grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_grids_are_valid(path):
    assert load_grid(path).grid.name == path.stem


def test_the_default_grid_is_the_quick_grid_and_the_schema_is_current():
    strip = lambda path: path.read_text().split("\n", 1)[1]  # noqa: E731
    assert strip(ROOT / "grid.yaml") == strip(ROOT / "bench/grids/quick.yaml")
    shipped = json.loads((ROOT / "bench/grids/grid.schema.json").read_text())
    assert shipped == json_schema(), "run: make schema"
