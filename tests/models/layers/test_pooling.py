"""Generalised mean pooling."""

from __future__ import annotations

import torch

from models.layers.pooling import GeM


def test_gem_lies_between_mean_and_maximum_and_forgets_negatives():
    x = torch.rand(2, 3, 4, 5)
    pooled = GeM()(x)[:, :, 0, 0]
    expected = (x**3).mean(dim=(2, 3)) ** (1 / 3)
    torch.testing.assert_close(pooled, expected)
    assert (pooled > x.mean(dim=(2, 3))).all()
    assert (pooled < x.amax(dim=(2, 3))).all()
    assert GeM()(-x).max() <= 1.1e-6
