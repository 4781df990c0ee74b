"""Deep polarized network: every output beyond a margin on its side of 0, sides from a random code per class.

L. Fan et al., "Deep Polarized Network for Supervised Learning of Accurate Binary Hashing Codes", IJCAI 2020.
The variants with ternary outputs (-T) and with targets that follow the data (-A) are left out: both need a
threshold that no source of this suite gives.

    loss: [{name: dpn, params: {margin: 1.0}}]
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.interfaces import Loss
from bench.losses._centers import findings, majority
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class Dpn(Loss):
    """Hinge of each bit against the target code of the image's labels."""

    version = 1

    class Params(HashingParameters):
        """Published settings; half of each target's entries are -1 (p = 0.5)."""

        epochs: int = Field(150, ge=1)
        batch_size: int = Field(32, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        margin: float = Field(1.0, gt=0, description="m, distance from 0 at which an output costs nothing")

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        generator = np.random.default_rng(task.seed)
        self.centers = torch.from_numpy(class_targets(task.classes, task.bits, generator)).float()
        self.findings = findings(self.centers)
        # A bit on which the labels of an image disagree evenly takes the sign of one fixed random code.
        self.tie_break = torch.from_numpy(generator.choice([-1.0, 1.0], task.bits)).float()

    @classmethod
    def check(cls, bits: int) -> str | None:
        """Half of the entries of a target are -1."""
        if bits < 2 or bits % 2:
            return f"dpn needs an even code length (half of a target's bits are -1), not {bits}"
        return None

    def targets(self, labels: Tensor) -> Tensor:
        """Target of each image: float (n, bits) of +-1 from labels (n, classes), majority over its labels."""
        return majority(labels, self.centers, self.tie_break)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean over images and bits of max(0, m - u t)."""
        return {"polarization": (self.params.margin - codes * self.targets(labels)).relu().mean()}

    def summary(self) -> dict[str, Any]:
        """Bits that are the same in the targets of all classes; classes with the target of another."""
        return self.findings


def class_targets(classes: int, bits: int, generator: np.random.Generator) -> NDArray[np.int8]:
    """One random target per class, int8 (classes, bits) of +-1, exactly bits / 2 of them -1.

    A target that another class has is drawn again, so all are distinct; with more classes than balanced
    codes, every code is used once before any is used again.
    """
    balanced = np.repeat(np.array([-1, 1], dtype=np.int8), bits // 2)
    targets: list[NDArray[np.int8]] = []
    taken: set[bytes] = set()
    for _ in range(classes):
        if len(taken) == comb(bits, bits // 2):
            taken.clear()
        target = generator.permutation(balanced)
        while target.tobytes() in taken:
            target = generator.permutation(balanced)
        taken.add(target.tobytes())
        targets.append(target)
    return np.stack(targets)
