"""Deep polarized network: every output beyond a margin on its side of 0, sides from a random code per class.

L. Fan et al., "Deep Polarized Network for Supervised Learning of Accurate Binary Hashing Codes", IJCAI 2020.
Outputs within the margin may count as 0 (``ternary``), and targets may follow the data (``adaptive``), as in
the public code. There a ternary output has no gradient, so that nothing is learnt; here it is passed straight
through.

    loss: [{name: dpn, params: {margin: 1.0}}]
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.interfaces import Loss
from bench.losses._spaces import ADAPTIVE
from bench.losses._targets import Targets, first, majority, told
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask, Space, later

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class Dpn(Loss):
    """Hinge of each bit against the target code of the image's labels."""

    version = 1
    space: ClassVar[Space] = {**ADAPTIVE, "margin": (0.25, 4.0, "log")}

    class Params(HashingParameters):
        """Published settings; half of each target's entries are -1 (p = 0.5)."""

        epochs: int = Field(150, ge=1)
        batch_size: int = Field(32, ge=2)
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "rmsprop"
        lr: float = Field(1e-5, gt=0)
        weight_decay: float = Field(1e-5, ge=0)
        margin: float = Field(1.0, gt=0, description="m, distance from 0 at which an output costs nothing")
        targets: Targets = later(
            "majority",
            description="of images with several labels: bit by bit the majority, or that of the first label",
        )
        ternary: bool = later(False, description="whether outputs count as -1, 0 (within the margin) or 1")
        adaptive: bool = later(
            False, description="whether targets become, epoch by epoch, what most of a class's outputs say"
        )

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        generator = np.random.default_rng(task.seed)
        self.centers = torch.from_numpy(class_targets(task.classes, task.bits, generator)).float()
        self.findings = told(self.centers, task, params.targets)
        # A bit on which the labels of an image disagree evenly takes the sign of one fixed random code.
        self.tie_break = torch.from_numpy(generator.choice([-1.0, 1.0], task.bits)).float()
        # Last ternary outputs and labels of the training images, from which targets are made anew.
        self.memory: tuple[Tensor, Tensor] | None = None

    @classmethod
    def check(cls, bits: int) -> str | None:
        """Half of the entries of a target are -1."""
        if bits < 2 or bits % 2:
            nearest = f"{bits - 1} or {bits + 1}" if bits > 2 else "2"
            return (
                f"dpn needs an even code length (half of a target's bits are -1), not {bits}; take {nearest}"
            )
        return None

    def begin_epoch(self, epoch: int) -> None:
        """Targets that are adaptive follow the last epoch; a bit of which it says nothing becomes 0."""
        if self.memory is not None:
            said, labels = self.memory
            self.centers = (labels.T @ said).sign()

    def state_dict(self) -> dict[str, Any]:
        """What changes with adaptive targets."""
        return {"memory": self.memory, "centers": self.centers} if self.params.adaptive else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with it."""
        if state:
            self.memory, self.centers = state["memory"] and tuple(state["memory"]), state["centers"]

    def targets(self, labels: Tensor) -> Tensor:
        """Target of each image: float (n, bits) of +-1 from labels (n, classes); 0 for bits without one."""
        # As published, the bits without a target are decided at random where images have several labels only.
        if self.params.targets == "first" or (self.params.adaptive and not self.task.multi_label):
            return first(labels, self.centers)
        return majority(labels, self.centers, self.tie_break)

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean over images and bits of max(0, m - u t)."""
        margin = self.params.margin
        ternary = (codes.detach().abs() > margin) * codes.detach().sign()
        if self.params.adaptive:
            self._remember(ternary, labels, index)
        if self.params.ternary:
            codes = ternary + (codes - codes.detach())
        return {"polarization": (margin - codes * self.targets(labels)).relu().mean()}

    def _remember(self, ternary: Tensor, labels: Tensor, index: Tensor) -> None:
        if self.memory is None:
            images = self.task.train_images
            self.memory = (
                ternary.new_zeros(images, ternary.shape[1]),
                labels.new_zeros(images, labels.shape[1]),
            )
        for kept, rows in zip(self.memory, (ternary, labels), strict=True):
            kept[index] = rows.to(kept)

    def summary(self) -> dict[str, Any]:
        """Bits that are the same in the targets of all classes; classes with the target of another."""
        if self.params.adaptive:
            cause = "as too few outputs were beyond the margin; lower margin, or leave out adaptive"
            return told(self.centers.float().cpu(), self.task, self.params.targets, cause)
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
