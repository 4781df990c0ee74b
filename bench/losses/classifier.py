"""A linear classifier: the code of an image is the code word of the class that it is given to.

No image is compared with another, and nothing but the classes of training is remembered: what codes gain by
knowing those alone. An image that is given to another class is as far away as any of that class, so where
many are, other losses rank better on the classes of training, too. Of unseen classes it can say nothing.
Code words are rows of a Hadamard matrix where the length is a power of two, else random; they differ. How
far apart they are does not matter to images that are classified rightly.

Plain cross-entropy, with the suite's own settings. That such codes win by the usual protocols is the point of
A. Sablayrolles et al., "How should we evaluate supervised hashing?", ICASSP 2017, arXiv 1609.06753.

    loss: [{name: classifier, params: {label_smoothing: 0.1}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.interfaces import Loss
from bench.losses._centers import findings, hash_centers, random_centers
from bench.losses._spaces import ADAPTIVE
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask, Space

if TYPE_CHECKING:
    from torch import Tensor, nn


@LOSSES.register
class Classifier(Loss):
    """Cross-entropy of the class; codes are code words of classes, so images of one class are all alike."""

    version = 1
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "weight_decay": (0.0, 1e-3, "linear"),
        "label_smoothing": (0.0, 0.3, "linear"),
    }
    nests = False
    deployed_head: ClassVar[Literal["linear", "code_words"]] = "code_words"

    class Params(HashingParameters):
        """Those of step 2; the classifier is the head."""

        label_smoothing: float = Field(
            0.0, ge=0, lt=1, description="share of the target that all classes have evenly"
        )

    def __init__(self, params: Params, task: HashingTask) -> None:
        import torch

        super().__init__(params, task)
        generator = np.random.default_rng(task.seed)
        drawn = random_centers if task.bits & (task.bits - 1) else hash_centers
        #: float (classes, bits) of +-1
        self.words = torch.from_numpy(drawn(task.classes, task.bits, generator)).float()
        self._forget()

    @classmethod
    def check_task(cls, params: Any, task: HashingTask) -> str | None:
        """An image has one class, and every class a code word of its own."""
        if task.multi_label:
            cure = "exclude it, or use greedyhash, which classifies by its code"
            return f"it tells one class of an image, and those of {task.dataset} have several; {cure}"
        if 2**task.bits < task.classes:
            cure = f"take {(task.classes - 1).bit_length()} bits or more"
            return f"there are {2**task.bits:,} code words, and {task.classes:,} classes; {cure}"
        return None

    def trained_head(self, linear: nn.Linear) -> nn.Module:
        """The classifier, and its code words."""
        from models.layers.heads import CodeWords

        return CodeWords(linear.in_features, self.words, self.params.head_start)

    def begin_epoch(self, epoch: int) -> None:
        """Count anew."""
        self._forget()

    def _forget(self) -> None:
        self.seen: int = 0
        self.right: Tensor | int = 0

    def state_dict(self) -> dict[str, Any]:
        """Images of this epoch, and those that were given to their class."""
        return {"seen": self.seen, "right": self.right}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Count on."""
        self.seen, self.right = state["seen"], state["right"]

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy; here ``codes`` are logits, float (n, classes)."""
        from torch.nn import functional as F

        classes = labels.argmax(dim=1)
        self.seen += len(codes)
        self.right = self.right + (codes.detach().argmax(dim=1) == classes).sum()
        smoothing = self.params.label_smoothing
        return {"classes": F.cross_entropy(codes, classes, label_smoothing=smoothing)}

    def summary(self) -> dict[str, Any]:
        """Share of the images of the last epoch, in its random views, that were given to their class."""
        return {"train_accuracy": int(self.right) / max(self.seen, 1), **findings(self.words)}
