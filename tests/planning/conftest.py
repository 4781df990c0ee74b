"""A grid that plans without data and weights from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import registry
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.plan import Plan
from bench.planning.points import Choice
from tests.conftest import PLUGINS

GRID = """\
schema: 1
name: grid
defaults: {image_size: 16}
axes:
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none, {name: cukd, params: {views: 2, epochs: 3}}]
  loss: [csq, dch]
  bits: [16, 32]
  seed: [0, 1]
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Plan]:
    """Build the plan of a grid text."""
    registry.include(PLUGINS / "tiny.py")

    def build(text: str = GRID, hardware: str = "here", **choice) -> Plan:
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return build_plan(load_grid(path), tmp_path, hardware, Choice(**choice))

    return build
