"""Codes, and what they can be made again from."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.left import loaded


def test_codes_can_be_made_again_when_step_one_is_gone(done, tiny, folder):
    before = {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    }
    for kind in ("features", "distill", "encode", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind)
    shutil.rmtree("results")
    assert tiny("run").code == 0
    assert {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    } == before
    assert not (folder / "cache" / "distill").exists()
