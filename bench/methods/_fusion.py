"""Similarities between two views of a batch, and how those of several teachers become one.

"Let All be Whitened: Multi-teacher Distillation for Efficient Visual Retrieval", arXiv 2312.09716.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def similarities(features: Tensor) -> Tensor:
    """Cosines of the first half of the rows with the second: float (2n, d) -> (n, n), positives diagonal."""
    first, second = F.normalize(features, dim=1).chunk(2)
    return first @ second.T


def fuse(teachers: list[Tensor], fusion: str, generator: torch.Generator) -> Tensor:
    """One float (n, n) matrix of several.

    Args:
        fusion: what the entries are: ``mean``; ``rand``: those of a random teacher each; ``maxmin``,
            ``maxmean`` and ``maxrand``: the largest on the diagonal, elsewhere the smallest, the mean or that
            of a random teacher.
        generator: on the CPU, for ``rand`` and ``maxrand``.
    """
    stacked = torch.stack(teachers)
    if fusion.endswith("rand"):
        chosen = torch.randint(len(teachers), stacked.shape[1:], generator=generator).to(stacked.device)
        others = stacked.gather(0, chosen[None])[0]
    else:
        others = stacked.amin(dim=0) if fusion == "maxmin" else stacked.mean(dim=0)
    if not fusion.startswith("max"):
        return others
    positive = torch.eye(len(others), dtype=torch.bool, device=others.device)
    return torch.where(positive, stacked.amax(dim=0), others)


def fuse_back(teachers: list[Tensor], fusion: str, generator: torch.Generator) -> Tensor:
    """The same of view two against view one; random fusions draw anew."""
    return fuse([one.T for one in teachers], fusion, generator)


def symmetric_kl(student: Tensor, teacher: Tensor, temperature: float, back: Tensor | None = None) -> Tensor:
    """Sum over rows and over columns of KL(teacher || student) of their softmax, mean over the batch.

    Args:
        student, teacher: float (n, n), view one against view two.
        back: what is wanted of view two against view one, where that is not ``teacher`` transposed.
    """

    def kl(own: Tensor, wanted: Tensor) -> Tensor:
        logs = [F.log_softmax(x / temperature, dim=1) for x in (own, wanted)]
        return F.kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)

    return kl(student, teacher) + kl(student.T, teacher.T if back is None else back)
