"""Crops as matrix products against sampling a grid of points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.training.resampling import crop_and_resize


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("side", "size"), [(9, (24, 24)), (32, (16, 16)), (12, (12, 12)), (12, (24, 10))])
def test_resampling_is_what_sampling_a_grid_does(mode, side, size):
    """The oracle: torch's own, general way, with repeated borders."""
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.normal(size=(40, 3, side, side + 3)))
    left, top = torch.from_numpy(generator.uniform(-0.6, 0.9, (2, 40)))
    extent, flip = torch.from_numpy(generator.uniform(0.2, 1.3, 40)), torch.arange(40) % 2 * 1.0
    found = crop_and_resize(images, left, top, extent, flip, size, mode)
    zero = torch.zeros(40)
    rows = [[extent * (1 - 2 * flip), zero, 2 * left + extent - 1], [zero, extent, 2 * top + extent - 1]]
    matrix = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = F.affine_grid(matrix, [40, 3, *size], align_corners=False)
    expected = F.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
