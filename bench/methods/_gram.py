"""Losses that compare two feature spaces through their Gram matrices, so that widths may differ.

Arguments ``student`` (m, d_s) and ``teacher`` (m, d_t) hold unit vectors; ``compared`` (m, m) is 1 where a
pair counts and 0 elsewhere, on the diagonal for one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mix(features: Tensor, first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """Unit vectors of images, then of mixtures of two images each.

    Args:
        features: float (n, d), of any length.
        first, second: int64 (p,) rows that are mixed, after each has got length 1.
        weights: float (p,) share of the first.

    Returns:
        float (n + p, d); opposite vectors may cancel, and a vector shorter than 1e-6 is not made longer.
    """
    unit = F.normalize(features, dim=1, eps=1e-6)
    mixed = weights[:, None] * unit[first] + (1 - weights[:, None]) * unit[second]
    return torch.cat([unit, F.normalize(mixed, dim=1, eps=1e-6)])


def compared_pairs(index: Tensor, first: Tensor, second: Tensor, *, parents: bool, copies: bool) -> Tensor:
    """Which pairs of images and mixtures count.

    Args:
        index: int64 (n,) which image each row of a batch is.
        first, second: int64 (p,) rows that are mixed.
        parents: whether mixtures count with the images that they consist of.
        copies: whether rows of one image count with each other, as if they were two images.

    Returns:
        float (n + p, n + p) of 0 and 1, symmetric.
    """
    one, other = (torch.cat([index, index[rows]]) for rows in (first, second))
    apart = torch.ones(len(one), len(one), dtype=torch.bool)
    if not copies:
        # A mixture of two copies is a third.
        same = (one[:, None] == one) & (other[:, None] == other) & (one == other)
        apart &= ~(same & same.T)
    if not parents:
        rows = torch.arange(len(index))
        made = (rows == first[:, None]) | (rows == second[:, None])
        if not copies:
            made = (index == index[first][:, None]) | (index == index[second][:, None])
        apart[len(index) :, : len(index)] &= ~made
        apart[: len(index), len(index) :] &= ~made.T
    return apart.fill_diagonal_(False).float()


def pair_loss(student: Tensor, teacher: Tensor, compared: Tensor) -> Tensor:
    """Mean squared difference of similarities."""
    difference = student @ student.T - teacher @ teacher.T
    return (compared * difference.square()).sum() / compared.sum()


def list_loss(student: Tensor, teacher: Tensor, compared: Tensor, temperature: float) -> Tensor:
    """Mean KL divergence of soft rankings: each row's softmax over the others, teacher against student."""
    away = compared == 0
    logs = [
        (gram / temperature).masked_fill(away, -1e9).log_softmax(dim=1)
        for gram in (student @ student.T, teacher @ teacher.T)
    ]
    return F.kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)


def rank_loss(
    student: Tensor, teacher: Tensor, compared: Tensor, margin: float, temperature: float
) -> Tensor:
    """Softplus where the student orders two items unlike the teacher, who tells them apart by ``margin``."""
    own, wanted = student @ student.T, teacher @ teacher.T
    valid = compared[:, :, None] * compared[:, None, :]
    ordered = valid * (wanted[:, :, None] > wanted[:, None, :] + margin)
    swapped = F.softplus((own[:, None, :] - own[:, :, None]) / temperature)
    return (ordered * swapped).sum() / ordered.sum().clamp(min=1)
