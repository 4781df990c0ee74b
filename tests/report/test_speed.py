"""A report on a thousand records, from the command line, in the time that a reader will wait."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import environment
from bench.storage.sealed import sealed

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "published" / "methods" / "records"
PAIRS = [["map", "macs"], ["map", "latency_ms"], ["map", "params"]]
BITS = (32, 8, 12, 16, 24, 48, 64, 96, 128, 256)
MOST_SECONDS = 10  # on a machine that
PARSE_SECONDS = 0.5  # needs this to read the records with the standard library


def vary(record, dataset, variant, seed, chance):
    """A copy of a published record as another configuration or seed would have left it."""
    record = json.loads(json.dumps(record))
    name = f"{dataset}-{variant}-{seed}-{record['key']}"
    record |= {"key": f"key-{name}", "cell_key": f"cell-{name}", "per_query": {}}
    for said in ("sealed", "beside"):  # what lay beside the published one does not lie beside this one
        record.pop(said)
    record["cell"] |= {"seed": seed, "bits": BITS[variant % len(BITS)]}
    if dataset:
        record["cell"]["dataset"] = f"data_{dataset}"
    if variant >= len(BITS):
        record["cell"]["student"] += f"_{variant}"
    factor, shift = chance.uniform(0.7, 1.4), chance.gauss(0, 0.05)
    for metric in record["metrics"].values():
        if metric["unit"]:
            metric["value"] *= factor
        elif metric["value"] <= 1:
            metric["value"] = min(1.0, max(0.0, metric["value"] + shift))
    return record


def write(folder, datasets, configurations, seeds):
    chance = random.Random(0)
    everything = (json.loads(path.read_text()) for path in sorted(PUBLISHED.glob("*.json")))
    published = [record for record in everything if record["cell"]["seed"] == 0]
    (folder / "records").mkdir(parents=True)
    cells = {}
    for number in range(datasets * configurations * seeds):
        rest, seed = divmod(number, seeds)
        dataset, configuration = divmod(rest, configurations)
        variant, place = divmod(configuration, len(published))
        record = vary(published[place], dataset, variant, seed, chance)
        cells[record["cell_key"]] = f"cell-{number}"
        (folder / "records" / f"{number:05d}.json").write_text(sealed(record))
    index = {"schema_version": 1, "name": "thousand", "pareto": PAIRS, "cells": cells}
    (folder / "grid.json").write_text(json.dumps(index))


def seconds_to_parse(folder):
    """What the standard library needs to read the records: how fast this machine is at this moment."""
    start = time.perf_counter()
    for path in (folder / "records").iterdir():
        json.loads(path.read_bytes())
    return time.perf_counter() - start


def seconds_to_report(folder):
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "bench", "report", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return time.perf_counter() - start


def in_time(folder):
    """Whether a report took as long as it may; a machine that is slower, or busy, gets as much longer."""
    slowness = max(1.0, min(seconds_to_parse(folder) for _ in range(3)) / PARSE_SECONDS)
    return seconds_to_report(folder) < MOST_SECONDS * slowness


@pytest.mark.timed
@pytest.mark.slow
@pytest.mark.skipif(environment.default_threads() < 2, reason="10 seconds are meant for two cores")
@pytest.mark.parametrize(
    ("datasets", "configurations"), [(1, 334), (10, 33)], ids=["one data set", "ten data sets"]
)
def test_a_report_on_a_thousand_records_takes_seconds(tmp_path, datasets, configurations):
    folder = tmp_path / "results"
    write(folder, datasets, configurations, seeds=3)
    assert any(in_time(folder) for _ in range(4))
    drawn = list((folder / "report").glob("pareto_*.svg"))
    assert len(drawn) == (len(PAIRS) if datasets == 1 else datasets)
