"""A grid without a fault, to be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ConfigError
from bench.planning.config import load_grid

GOOD = """\
schema: 1
name: good
axes:
  dataset: digits
  teacher: [efficientnet_lite0, [efficientnet_lite0, efficientnet_lite1]]
  student: [cukd_v1]
  method: [none, {name: cukd, params: {lr: 1e-4}}]
  loss: [csq]
  bits: 16
"""


def load(tmp_path: Path, text: str, *overrides: str):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return load_grid(path, overrides).grid


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
