"""Multi-teacher distillation with whitening: one student, the fused similarities of several teachers.

"Let All be Whitened: Multi-teacher Distillation for Efficient Visual Retrieval", arXiv 2312.09716. The
similarities of different teachers live on different scales; whitened features make them comparable. Only
similarities between two views are matched, so widths may differ.

    teacher: [[efficientnet_lite0, efficientnet_lite1]]
    method: [{name: whiten_mtd, params: {fusion: maxmin, views: 4}}]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.methods._projected import ProjectedMethod
from bench.methods._sampling import one_of_each, two_of_each
from bench.methods._spaces import ADAPTIVE
from bench.registry import METHODS
from bench.types import (
    AnySchedule,
    DistillationBatch,
    DistillationTask,
    FrozenTeacherParameters,
    RateSchedule,
    Space,
    cut,
)

if TYPE_CHECKING:
    from torch import Tensor

Fusion = Literal["maxmin", "mean", "maxmean", "rand", "maxrand"]


@METHODS.register
class WhitenMtd(ProjectedMethod):
    """Any number of frozen teachers; symmetric KL between two views of a batch."""

    version = 2
    teachers = (1, 16)
    views_per_step = 2
    space: ClassVar[Space] = {
        **ADAPTIVE,
        "temperature": (0.01, 0.3, "log"),
        "whitened_width": (32, 512, "log"),
    }

    class Params(FrozenTeacherParameters):
        """Published settings: Adam, cosine from 1e-3 to 1e-6, 200 epochs, whitened to 512 dimensions."""

        epochs: int = Field(200, ge=1)
        lr: float = Field(1e-3, gt=0)
        weight_decay: float = Field(1e-6, ge=0)
        schedule: AnySchedule = RateSchedule(fall="cosine", final_lr=1e-6)
        batch_size: int = Field(512, ge=4, description="images per step, 256 pairs as published")
        views: int = Field(4, ge=2, le=1000, description="augmented views per image, all whitened")
        fusion: Fusion = Field(
            "maxmin",
            description="of the teachers' similarities: maxmin takes the largest of a positive pair and the "
            "smallest of the others; maxmean their mean for the others, maxrand one teacher per entry; rand "
            "one teacher per entry, positive or not",
        )
        # Trainings that draw once have the keys that they had before there was a choice.
        draws: Literal["once", "each"] = Field(
            default_factory=lambda chosen: "each" if "rand" in chosen.get("fusion", "") else "once",
            exclude_if=lambda value: value == "once",
            description="of rand and maxrand: each, their default and as published: other teachers for the "
            "other direction of the loss; once: the same",
        )
        pairs: Literal["views", "labels", "videos"] = Field(
            "views",
            description="a positive pair: two views of one image; two images of one label (landmark); or two "
            "views of one random frame of every video, another one every epoch",
        )
        whitened_width: int = Field(512, ge=2, description="dimensions that whitening keeps, at most all")
        embedding: int | None = Field(
            512,
            ge=2,
            le=65_536,
            description="width of the linear layer behind the student; null = none",
        )
        temperature: float = Field(0.05, gt=0, description="of teachers and student")

        @model_validator(mode="after")
        def _drawn(self) -> Self:
            """Fusions that draw nothing would ignore how often."""
            if self.draws == "each" and "rand" not in self.fusion:
                raise ValueError(f"draws is of the fusions rand and maxrand, and {self.fusion} draws nothing")
            return self

    def __init__(self, params: Params, task: DistillationTask) -> None:
        import torch

        from models.layers.whitening import Whitening

        super().__init__(params, task)
        # All views, as the student will be shown all of them.
        learnt = [torch.cat(views).float() for views in task.targets]
        self._whiten = [
            Whitening.learn(features, min(params.whitened_width, *features.shape)) for features in learnt
        ]

    @classmethod
    def uses_labels(cls, params: Params) -> bool:
        """Only to pair images."""
        return params.pairs == "labels"

    @classmethod
    def uses_videos(cls, params: Params) -> bool:
        """To show one frame of each, so that no other of it is a negative."""
        return params.pairs == "videos"

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """First the images of view one, then their partners of view two, in the same order.

        A partner is the image itself; or, of every label once an epoch, two different images, the
        first where it has several, so that no other image of a batch is of the same one.
        """
        generator = np.random.default_rng([self.task.seed, epoch])
        if self.params.pairs == "labels":
            pairs = two_of_each(self.task.first_labels(), generator)
        elif self.params.pairs == "videos":
            assert self.task.videos is not None
            pairs = np.tile(one_of_each(self.task.videos, generator), (2, 1))
        else:
            pairs = np.tile(generator.permutation(self.task.images), (2, 1))
        half = min(self.params.batch_size // 2, pairs.shape[1])
        for part in cut(pairs.shape[1], half, self.params.incomplete) if half > 1 else ():
            yield pairs[:, part].reshape(-1)

    def terms(self, outputs: Tensor, batch: DistillationBatch) -> dict[str, Tensor]:
        """KL of the fused against the student's similarities, rows and columns."""
        import torch

        from bench.methods._fusion import fuse, fuse_back, similarities, symmetric_kl

        teachers = [similarities(white(x)) for white, x in zip(self._whiten, batch.teachers, strict=True)]
        # The generator of the training is set back where a batch that did not fit into memory comes again.
        drawn = teachers, self.params.fusion, torch.default_generator
        fused, back = fuse(*drawn), fuse_back(*drawn) if self.params.draws == "each" else None
        return {"kl": symmetric_kl(similarities(outputs), fused, self.params.temperature, back)}
