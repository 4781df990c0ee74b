"""Blocks that others are built from."""

from __future__ import annotations

import torch

from models.layers.blocks import BasicBlock


def test_block_is_the_identity_plus_its_residual_branch():
    block = BasicBlock(8, 8).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 8, 5, 5)
    assert torch.equal(block(x), x)
    assert BasicBlock(8, 16, stride=2)(x).shape == (1, 16, 3, 3)
