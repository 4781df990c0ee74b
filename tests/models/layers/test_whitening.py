"""PCA whitening against golden cosines and its definition."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.layers.whitening import FLOOR, Whitening
from tests.tasks import noise, rotation

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/whitening.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["pca_whitening"], ids=lambda case: f"{case['output_dim']}d")
def test_golden_cosines_after_whitening(case):
    white = Whitening.learn(torch.tensor(case["fit"]), case["output_dim"])
    units = torch.nn.functional.normalize(white(torch.tensor(case["apply"])), dim=1)
    np.testing.assert_allclose(
        units @ units.T, case["cosine_similarity_after_whitening"], atol=case["tolerance"]
    )


def stretched(images=500, width=12):
    """Features of very different variances, turned, far from the origin, in float32."""
    scales = torch.logspace(0, -2, width, dtype=torch.float64)
    return ((noise(images, width) * scales) @ rotation(width) + 1).float()


@pytest.mark.parametrize("width", [12, 5])
def test_the_learning_set_gets_unit_covariance(width):
    features = stretched()
    white = Whitening.learn(features, width)(features).double()
    np.testing.assert_allclose(white.mean(dim=0), np.zeros(width), atol=1e-3)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(width), atol=1e-3)


def test_the_directions_of_largest_variance_are_kept():
    features = stretched()
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    values = np.linalg.eigvalsh(np.cov(unit.numpy().T, bias=True))[::-1]
    lengths = Whitening.learn(features, 4).projection.double().norm(dim=0)
    np.testing.assert_allclose(lengths**-2, values[:4], rtol=1e-3)


def test_small_eigenvalues_are_raised_to_the_floor():
    # Variance in five directions of twelve: the others would be divided by rounding errors.
    features = noise(200, 5, dtype=torch.float32) @ noise(5, 12, seed=1, dtype=torch.float32)
    white = Whitening.learn(features, 12)
    lengths = white.projection.norm(dim=0)
    assert float(lengths.max()) == pytest.approx(float(lengths[0]) / math.sqrt(FLOOR), rel=1e-3)
    assert white(features).abs().max() < 100


def test_whitening_leaves_its_argument_alone():
    features = stretched()
    before = features.clone()
    Whitening.learn(features, 12)(features)
    assert torch.equal(features, before)
