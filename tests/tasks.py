"""Tasks and batches of step 1 by hand, for tests of single methods."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bench.types import DistillationBatch, DistillationTask


def task(targets=(), width=6, *, images=None, labels=None, videos=None, seed=0, trunk=None):
    """What a method sees of students that put out (n, width) for inputs of that shape.

    ``targets`` holds one float (images, d) per teacher, the only view of each.
    """
    if images is None:
        images = len(targets[0]) if len(targets) else len(labels)
    return DistillationTask(
        trunk=nn.Linear(width, width) if trunk is None else trunk,
        width=width,
        targets=[[one] for one in targets],
        networks=[],
        network_tensors=[],
        labels=None if labels is None else np.asarray(labels, np.uint8),
        classes=0 if labels is None else labels.shape[1],
        images=images,
        seed=seed,
        teacher_widths=[one.shape[1] for one in targets],
        videos=videos,
    )


def batch(*teachers, labels=None, epoch=0, inputs=None):
    """What one float (n, d) per teacher says of a batch."""
    count = next(len(one) for one in (*teachers, labels, inputs) if one is not None)
    inputs = torch.empty(count, 0) if inputs is None else inputs
    return DistillationBatch(inputs, torch.arange(count), list(teachers), labels, epoch)


def noise(*shape, seed=0, dtype=torch.float64):
    """Normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def rotation(size, seed=0):
    """A random orthogonal float64 matrix."""
    return torch.linalg.qr(noise(size, size, seed=seed)).Q
