"""Results folders with scores by query, as a run leaves them."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from bench.comparison.statistics import paired_differences
from bench.results import records
from bench.results.folder import load_results, save_index
from tests.recorded import make_record

MAP = "map@all:expected:relevant"
QUERIES = 300


def scores_of(quality, seed, queries=QUERIES, noise=0.03):
    """Average precisions by query: the queries are the same for all networks, their errors are not."""
    shared = np.random.default_rng(99).beta(4, 2, queries)
    own = np.random.default_rng([seed, round(quality * 1e6)])
    return np.clip(shared - 0.66 + quality + own.normal(0, noise, queries) + own.normal(0, 0.001), 0, 1)


def write_scored(folder, cells, missing=()):
    """Write a results folder of (record, scores or None) and read it back; scores set a record's mAP."""
    index = {record.cell_key: f"cell-{i}" for i, (record, _) in enumerate(cells)}
    save_index(folder, folder.name, [("map", "macs")], index | {slug: slug for slug in missing})
    for i, (given, scores) in enumerate(cells):
        record = given
        if scores is not None:
            metric = record.metrics[MAP].model_copy(update={"value": float(np.nanmean(scores))})
            record = record.model_copy(update={"metrics": {**record.metrics, MAP: metric}})
            (folder / "per_query").mkdir(parents=True, exist_ok=True)
            save_file({MAP: scores.astype(np.float32)}, folder / "per_query" / f"{i:03d}.safetensors")
        records.save(record, folder / "records" / f"{i:03d}.json")
    return load_results(folder)


def grid(gains=None, seeds=3, **kwargs):
    """Cells of 2 losses x 2 bit lengths; ``gains`` says which (loss, bits) are better than usual."""
    found = []
    for loss in ("csq", "dch"):
        for bits in (16, 32):
            quality = 0.6 + bits / 1000 + (gains or {}).get((loss, bits), 0.0)
            for seed in range(seeds):
                found.append(
                    (make_record(loss=loss, bits=bits, seed=seed, **kwargs), scores_of(quality, seed))
                )
    return found


def anew(cells):
    """The same cells made by another version of some plug-in: other keys, whatever they score."""
    return [(one.model_copy(update={"cell_key": f"{one.cell_key}-anew"}), scores) for one, scores in cells]


def paired_difference(scores, level=0.95):
    """Mean, interval and p value of one configuration's differences."""
    return paired_differences([scores], level)[0]
