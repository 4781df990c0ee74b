"""The record of codes from elsewhere: what may be stated of them, and that numbers outlive a folder."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def codes(folder):
    """A file of codes in the working folder."""
    rng = np.random.default_rng(0)
    sides = {"query": 5, "database": 20}
    arrays = {f"{side}_codes": rng.choice([-1, 1], (count, 16)) for side, count in sides.items()}
    arrays |= {f"{side}_labels": rng.integers(0, 2, count) for side, count in sides.items()}
    np.savez(folder / "codes.npz", **arrays)


@pytest.mark.usefixtures("codes")
@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (["code_bytes=1"], "--cost code_bytes: the codes themselves say it; leave it out"),
        (["params=1", "macs=2", "params=3"], "--cost params: given twice; give it once"),
    ],
)
def test_costs_that_contradict_are_refused(bench, folder, costs, message):
    stated = [part for cost in costs for part in ("--cost", cost)]
    result = bench("evaluate", "codes.npz", "--out", "mine", "--name", "x", *stated)
    assert (result.code, result.err) == (2, f"error: {message}\n")
    assert not (folder / "mine").exists()


@pytest.mark.usefixtures("codes")
def test_numbers_come_before_a_folder_that_cannot_be_written(bench, folder):
    (folder / "file").write_text("")
    result = bench("evaluate", "codes.npz", "--out", "file/mine", "--name", "x")
    assert result.code == 2
    assert "file/mine" in result.err
    assert "mAP@all" in result.out
