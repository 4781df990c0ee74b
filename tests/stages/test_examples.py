"""Examples: first results as the codes rank them, marked right or wrong as the protocol judges."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench.planning.stage import Stage
from bench.results.records import Examples
from bench.stages import examples
from bench.types import ImageSet, Splits

IMAGES = 40


def image_set():
    pixels = np.arange(IMAGES, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 9, 7), np.uint8)
    return ImageSet(pixels, np.arange(IMAGES) % 4, 4)


def run(folder, *, codes, finetuned=True, queries=3):
    images, every = image_set(), np.arange(IMAGES)
    splits = Splits("p", query=every[:8], train=every[8:], val=every[:0], database=every[8:])
    before = {"finetune": Stage("finetune", "f", {"loss": {}, "bits": 16})} if finetuned else {}
    stage = Stage(
        "examples", "x", {"dataset": {}, "queries": queries}, {"encode": Stage("encode", "e", {}, before)}
    )
    context = SimpleNamespace(
        dataset=lambda block: SimpleNamespace(images=images, splits=splits),
        tensors=lambda encode, file: {"query": codes[:8], "database": codes[8:]},
    )
    assert examples.run(stage, context, folder) == {"queries": queries}
    return Examples.model_validate_json((folder / examples.DESCRIPTION).read_text())


def test_results_come_nearest_first_with_equal_distances_in_database_order(tmp_path):
    codes = torch.zeros(IMAGES, 2, dtype=torch.uint8)
    codes[20:] = 1  # one bit away from every query
    found = run(tmp_path, codes=codes)
    assert found.tile == 7
    for row in found.rows:
        assert row.results == list(range(8, 18))
        assert row.distances == [0] * 10
        assert row.right == [(result - row.query) % 4 == 0 for result in row.results]
    assert {row.query % 4 for row in found.rows} >= {0, 3}  # from the first class to the last


def test_embeddings_are_ranked_by_cosine(tmp_path):
    angles = torch.arange(IMAGES) * 0.05
    codes = torch.stack([angles.cos(), angles.sin()], dim=1)
    for row in run(tmp_path, codes=codes, finetuned=False).rows:
        assert row.results == list(range(8, 18))
        assert row.distances[0] == pytest.approx(1 - np.cos(0.05 * (8 - row.query)), abs=1e-4)


def test_the_picture_has_the_query_before_its_results(tmp_path):
    found = run(tmp_path, codes=torch.zeros(IMAGES, 2, dtype=torch.uint8))
    sheet = np.asarray(Image.open(io.BytesIO((tmp_path / examples.SPRITE).read_bytes())))
    assert sheet.shape == (3 * 7, 11 * 7, 3)
    for i, row in enumerate(found.rows):
        assert (sheet[i * 7, ::7, 0] == [row.query, *row.results]).all()
