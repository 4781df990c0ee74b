"""The project's own gate: defects put into the code turn it red, and name what fell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import loading
from bench.losses.dch import Dch
from bench.types import ImageSet

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gate(bench):
    """Train some cells of the gate's grid, and check them against the project's baseline."""

    def call(*only: str):
        loading._load.cache_clear()
        choice = [word for one in (*only, "method=none") for word in ("--only", one)]
        run = bench("run", "--grid", ROOT / "bench/grids/ci.yaml", "--out", "new", *choice)
        assert run.code == 0, run.err
        return bench("check", "--baseline", ROOT / "results/baselines/ci", "new", "--allow-missing")

    return call


def test_clean_code_is_green(gate):
    found = gate("loss=csq")
    assert found.code == 0, found.out
    assert found.out.startswith("Fine: ")


def test_a_loss_with_its_sign_flipped_is_red(gate, monkeypatch):
    right = Dch.terms
    monkeypatch.setattr(
        Dch, "terms", lambda self, *batch: {name: -term for name, term in right(self, *batch).items()}
    )
    found = gate("loss=dch")
    assert found.code == 3
    assert "none · dch · 32 bit: map@all:expected:relevant fell from 0.9" in found.out


def test_labels_shifted_by_one_image_are_red(gate, monkeypatch):
    right = ImageSet.multi_hot
    monkeypatch.setattr(ImageSet, "multi_hot", lambda self, indices: np.roll(right(self, indices), 1, axis=0))
    found = gate("loss=csq")
    assert found.code == 3
    assert "none · csq · 32 bit: map@all:expected:relevant fell from 0.9" in found.out


def test_another_split_is_not_compared(gate, monkeypatch):
    """Numbers of other images would be meaningless, whether higher or lower."""
    right = loading.load

    def other(name, params, root, limit, **how):
        return right(name, {**params, "split_seed": 1}, root, limit, **how)

    monkeypatch.setattr(loading, "load", other)
    found = gate("loss=csq")
    assert found.code == 4
    assert "other split" in found.out
