"""Results folders that several tests compare."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from bench.results import records
from bench.results.folder import save_index
from tests.comparison.gated import results, runs
from tests.comparison.paired import failed, seeds
from tests.recorded import make_record
from tests.scored import write_scored


@pytest.fixture
def baseline():
    return results(runs(np.random.default_rng(7), 10), Path("base"))


@pytest.fixture
def run_folder(baseline, tmp_path):
    folder = tmp_path / "results"
    save_index(
        folder, "grid", [("map", "macs")], {r.cell_key: f"c{i}" for i, r in enumerate(baseline.records)}
    )
    for i, record in enumerate(baseline.records):
        records.save(record, folder / "records" / f"c{i}-{i:012x}.json")
    return folder


@pytest.fixture
def write(tmp_path):
    """Write a results folder of (record, scores or None) and read it back."""
    return lambda name, cells, missing=(): write_scored(tmp_path / name, cells, missing)


@pytest.fixture
def run_records_everywhere():
    product = itertools.product(["none", "cukd"], ["csq", "dch"], [16, 32], [2, 0, 1])
    done = [make_record("cukd_v1", *point) for point in product]
    return [*done, *seeds(3, student="efficientnet_lite0", method="none"), failed(bits=64)]
