"""Retrieval-guided gradient resetting: which rows of the indicators retrieval still has a say in.

Capacity dynamic distillation, arXiv 2303.09230. Retrieval wants channels that the group lasso shrinks, and
the two would hold each other in balance. Channels that contribute little to the match of every sample with
its nearest teacher features lose the gradient of all other losses, so that the lasso takes them to zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.pruning.indicators import Indicator

#: What tells how near two features are.
Distance = Literal["cosine", "l2"]

#: Least norm that is divided by: a row may reach exactly 0.
EPSILON = 1e-12


class GradientReset:
    """Banks of teacher features, and per site the mask of the rows that keep their gradient.

    Attributes:
        masks: per site, bool (p,); True at first, and never True again once False.
    """

    def __init__(
        self,
        bank_size: int = 24_000,
        neighbours: int = 2,
        ratio: float = 0.5,
        lasso_weight: float = 0.004,
        distance: Distance = "cosine",
    ) -> None:
        """Start with empty banks and no masks.

        Args:
            bank_size: teacher rows to keep per site, at least 1; the oldest go first.
            neighbours: nearest rows to look at per sample, at least 1. The sample's own row is among them.
            ratio: share of the channels, in [0, 1], that one match may call unimportant.
            lasso_weight: factor of the group lasso.
            distance: ``cosine`` compares features of length 1, ``l2`` features as they are.
        """
        self.bank_size = bank_size
        self.neighbours = neighbours
        self.ratio = ratio
        self.lasso_weight = lasso_weight
        self.distance = distance
        self.masks: dict[str, Tensor] = {}
        self._banks: dict[str, Tensor] = {}
        self._pushed: dict[str, int] = {}

    def state_dict(self) -> dict[str, Any]:
        """Masks, and what the banks hold."""
        filled = {name: bank[: self._pushed[name]] for name, bank in self._banks.items()}
        return {"masks": self.masks, "banks": filled, "pushed": self._pushed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them, in banks of this size."""
        self.masks, self._pushed = dict(state["masks"]), dict(state["pushed"])
        for name, rows in state["banks"].items():
            self._banks[name] = rows.new_empty(self.bank_size, rows.shape[1])
            self._banks[name][: len(rows)] = rows

    @torch.no_grad()
    def update(self, teacher: Mapping[str, Tensor], student_after: Mapping[str, Tensor]) -> None:
        """Put the teacher's rows of a batch into the banks, and mask what no sample of it needs.

        Banks and masks live on the device of the features.

        Args:
            teacher: per site, float (n, p), pooled output of the batch normalisation.
            student_after: per site, float (n, p) for the same images, pooled output of the indicator.
        """
        for name, rows in teacher.items():
            if len(rows) == 0:
                continue
            queries, student = self._compared(rows), self._compared(student_after[name])
            bank = self._push(name, queries)
            nearest = self._nearness(queries, bank).topk(min(self.neighbours, len(bank))).indices
            unimportant = shared_minima(bank[nearest] * student[:, None, :], self.ratio)
            self.masks[name] = self.masks.get(name, torch.ones_like(unimportant)) & ~unimportant

    @torch.no_grad()
    def apply(self, indicators: Mapping[str, Indicator]) -> None:
        """Rewrite the gradients of indicators, in place, between the backward pass and the step.

        Row c becomes ``masks[c] * grad[c] + lasso_weight * weight[c] / norm(weight[c])``. Where there is
        no mask yet, all rows keep their gradient: the sum is then that of the loss plus
        ``lasso_weight * lasso(indicators)``.
        """
        for name, indicator in indicators.items():
            weight = indicator.weight
            norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True).clamp(min=EPSILON)
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            if name in self.masks:
                weight.grad.masked_fill_(~self.masks[name][:, None], 0)
            weight.grad.add_(weight / norms, alpha=self.lasso_weight)

    def _compared(self, rows: Tensor) -> Tensor:
        return F.normalize(rows, dim=1, eps=EPSILON) if self.distance == "cosine" else rows

    def _nearness(self, queries: Tensor, bank: Tensor) -> Tensor:
        """Larger is nearer: (n, p), (m, p) -> (n, m)."""
        if self.distance == "cosine":
            return queries @ bank.T
        # Differences, not products: large features that hardly differ would be told apart by rounding.
        return -torch.cdist(queries, bank, compute_mode="donot_use_mm_for_euclid_dist")

    def _push(self, name: str, rows: Tensor) -> Tensor:
        """Write rows over the oldest ones; returns the rows that the bank then holds."""
        if name not in self._banks:
            self._banks[name] = rows.new_empty(self.bank_size, rows.shape[1])
            self._pushed[name] = 0
        bank, pushed = self._banks[name], self._pushed[name]
        rows = rows[-self.bank_size :]  # of more rows than there are places, the last
        places = torch.arange(pushed, pushed + len(rows), device=rows.device) % self.bank_size
        bank[places] = rows
        self._pushed[name] = pushed + len(rows)
        return bank[: self._pushed[name]]


def shared_minima(products: Tensor, ratio: float) -> Tensor:
    """Channels that are among the smallest in all matches.

    Args:
        products: float (n, k, p), per sample and neighbour the channels' contributions, of any sign.
        ratio: the smallest ``floor(ratio * p)`` absolute values of a match are its small ones.

    Returns:
        bool (p,).
    """
    samples, neighbours, channels = products.shape
    small = products.abs().topk(math.floor(ratio * channels), largest=False, sorted=False).indices.flatten()
    counts = torch.zeros(channels, dtype=torch.int64, device=products.device)
    counts.scatter_add_(0, small, torch.ones_like(small))
    return counts == samples * neighbours


def lasso(indicators: Mapping[str, Indicator]) -> Tensor:
    """Group lasso: the sum of the norms of all rows, a float scalar; its gradient at rows of zeros is 0."""
    return torch.stack(
        [torch.linalg.vector_norm(indicator.weight, dim=1).sum() for indicator in indicators.values()]
    ).sum()
