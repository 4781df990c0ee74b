"""The values that layers share; no torch, no files, no configuration. Interfaces: ``bench.interfaces``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Noise = Literal["exact", "seeded", "timed"]
#: Images per forward pass, for parameters of metrics.
BatchSizes = tuple[Annotated[int, Field(ge=1)], ...]
Subject = Literal["codes", "network", "system"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]
#: What says which database images answer a query: shared labels, or one of the kinds of ground truth below.
Judge = Literal["labels", "revisited", "cameras", "frames"]


class Parameters(BaseModel):
    """Base of every plug-in's parameters: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check plain JSON values; through JSON, so that strictness takes a list for a tuple, no more."""
        return cls.model_validate_json(json.dumps(values))


class TrainingParameters(Parameters):
    """How one training step runs; methods (step 1) and losses (step 2) add their own fields to it."""

    epochs: int = Field(30, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=2, description="images per step")
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "cosine", "flat_cosine"] = Field(
        "constant",
        description="cosine: one epoch of linear warm-up (at most 10 % of the steps), then to 0; "
        "flat_cosine: warm-up for 1/12 of the steps, flat up to 1/3, then cosine to 0",
    )


class DistillationParameters(TrainingParameters):
    """Step 1: on which images."""

    pool: Literal["database", "train"] = Field(
        "database",
        description="images to distil on, none of validation: database and train, or train only",
    )
    pool_fraction: float = Field(
        1.0, gt=0, le=1, description="share of the pool that is used, drawn once for all seeds"
    )


class FrozenTeacherParameters(DistillationParameters):
    """Step 1 with outputs of frozen teachers: seen at which size."""

    teacher_image_size: int | None = Field(
        None, ge=16, description="input side of the teacher in pixels; null = the size it was trained at"
    )


class SharedViewsParameters(FrozenTeacherParameters):
    """Step 1 in which teachers see the random views that the student sees: how many of them."""

    views: Annotated[int, Field(ge=1)] | Literal["online"] = Field(
        4,
        description="augmented views per image, shared by teacher and student, of which the teacher is asked "
        "once; online: a fresh one in every epoch, of which it is asked every time",
    )


class HashingParameters(TrainingParameters):
    """Step 2: which weights are kept. The query set never takes part in the choice."""

    select: Literal["last", "val"] = Field(
        "last",
        description="last: train on train and val, keep the last epoch; val: keep the best mAP on val",
    )
    eval_every: int = Field(5, ge=1, description="epochs between validations when select is val")


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its input; it travels with the weights.

    Attributes:
        mean, std: per RGB channel, for pixels scaled to [0, 1].
        image_size: side of the square input the weights were trained at, in pixels.
        interpolation: how images are resized to it.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    image_size: int = 224
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True)
class Augmentation:
    """Random views for training: a square crop of ``crop`` of the side at a random place, and a flip.

    Attributes:
        crop: side of the crop relative to the image; 1.0 = whole image. Evaluation uses the centre
            crop of side ``evaluation_crop``.
        shift: how far a crop may lie outside of the image, relative to its side; borders are repeated.
        flip: whether half of the views are mirrored; off where a mirror image changes the meaning.
        erase: share of the views in which a random box is painted over with the mean colour.
    """

    crop: float = 0.875
    flip: bool = True
    evaluation_crop: float = 1.0
    shift: float = 0.0
    erase: float = 0.0


class Pixels(Protocol):
    """Images of one size: an array, or files that are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width), channels 1 or 3."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """uint8 (m, channels, height, width) of the images at ``indices``, int64 (m,)."""
        ...


@dataclass(frozen=True)
class RevisitedTruth:
    """Landmarks as Revisited Oxford and Paris judge them (F. Radenovic et al., CVPR 2018).

    Attributes:
        easy, hard, junk: query image -> int64 indices of database images, all into the data set.
    """

    easy: Mapping[int, NDArray[np.int64]]
    hard: Mapping[int, NDArray[np.int64]]
    junk: Mapping[int, NDArray[np.int64]]


@dataclass(frozen=True)
class CameraTruth:
    """Re-identification: the labels are identities, and a match by the query's own camera does not count.

    Attributes:
        cameras: int64 (n,) camera of each image of the data set.
    """

    cameras: NDArray[np.int64]


@dataclass(frozen=True)
class FrameTruth:
    """Near-duplicate videos: every image is a frame, and videos are compared, not frames.

    Attributes:
        videos: int64 (n,) video of each image of the data set.
        judged: query video -> {candidate video: whether it is a near-duplicate}. A query is compared with
            the candidates judged for it and with all videos of the database that nobody judged.
    """

    videos: NDArray[np.int64]
    judged: Mapping[int, Mapping[int, bool]]


Truth = RevisitedTruth | CameraTruth | FrameTruth


@dataclass(frozen=True)
class ImageSet:
    """Images of one data set.

    Attributes:
        pixels: uint8 (n, channels, height, width), channels 1 or 3.
        labels: int64 (n,) class indices, or uint8 (n, classes) 0/1 for multi-label sets. Images outside
            the training set may have class indices from ``classes`` on: identities seen in tests only.
        classes: number of classes of the training set.
        augmentation: which random views keep the meaning of an image.
        truth: what answers a query, where labels alone do not say it.
        names: of the classes, for messages, where the data set knows them; no part of its identity.
    """

    pixels: Pixels
    labels: NDArray[Any]
    classes: int
    augmentation: Augmentation = Augmentation()
    truth: Truth | None = None
    names: Sequence[str] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.pixels)

    def multi_hot(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Labels of some images as uint8 (m, classes) 0/1, whatever form the data set has."""
        labels = self.labels[indices]
        if labels.ndim == 2:
            return np.asarray(labels, dtype=np.uint8)
        hot = np.zeros((len(labels), self.classes), np.uint8)
        hot[np.arange(len(labels)), labels] = 1
        return hot


@dataclass(frozen=True)
class Splits:
    """Which image plays which part; every array holds int64 indices into the data set, sorted.

    ``query`` is disjoint from all others. ``train`` and ``val`` are disjoint and may lie inside
    ``database``, as the protocol says. ``protocol`` names the rule and its parameters.
    """

    protocol: str
    query: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    database: NDArray[np.int64]


@dataclass(frozen=True)
class MetricValue:
    """One number of a record.

    Attributes:
        value: the number, in ``unit``.
        unit: ``""`` for fractions in [0, 1].
        noise: ``exact`` (same code, same number), ``seeded`` (varies with the seed) or ``timed``.
        samples: raw measurements behind a timed value, in ``unit``.
        interval: 95 % interval over queries, where there are queries.
        detail: anything a reader needs to defend the number (counts, conditions).
    """

    value: float
    unit: str
    higher_is_better: bool
    noise: Noise
    samples: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RankingRule:
    """How accuracy is measured: rank cut-off, tie rule, normaliser (see ``bench.hamming``)."""

    k: int | None = None
    ties: Literal["expected", "index", "best", "worst"] = "expected"
    normalizer: Literal["relevant", "min", "hits"] = "relevant"


@dataclass(frozen=True)
class HashingTask:
    """What a hashing loss may know when it is made; ``multi_label``: some image has not exactly one label."""

    bits: int
    classes: int
    train_images: int
    seed: int
    multi_label: bool = False


@dataclass(frozen=True)
class DistillationTask:
    """What a method may know when step 1 begins.

    Attributes:
        trunk: the student as built: float (n, 3, s, s) -> float (n, width). It is trained in place.
        width: of the student's feature.
        targets: cached outputs by teacher and view, float16 (images, d) each, rows in the order of the
            pool; empty for methods that use the networks themselves, and for ``views: online``.
        networks: live teachers, frozen and in eval mode; empty for methods that use cached outputs.
        network_tensors: what their own training kept beside them (``Method.tensors``).
        labels: int64 (images,) class indices or uint8 (images, classes) 0/1 for methods that use labels,
            else None.
        classes: number of them.
        images: size of the pool.
        seed: of the training.
        teacher_widths: of the outputs of frozen teachers, cached or asked for online.
    """

    trunk: nn.Module
    width: int
    targets: list[list[Tensor]]
    networks: list[nn.Module]
    network_tensors: list[dict[str, Tensor]]
    labels: NDArray[Any] | None
    classes: int
    images: int
    seed: int
    teacher_widths: Sequence[int] = ()

    def first_labels(self) -> NDArray[np.int64]:
        """One class index per image, the first of several: int64 (images,)."""
        assert self.labels is not None
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(axis=1).astype(np.int64)


@dataclass(frozen=True)
class DistillationBatch:
    """One batch of step 1.

    Attributes:
        inputs: float (n, 3, s, s), the views that the student was shown.
        index: int64 (n,) positions in the pool.
        teachers: one float (n, d) per teacher: its output for these views, cached or of the live network.
        labels: float (n, classes) 0/1 for methods that use labels, else None.
        epoch: from 0.
    """

    inputs: Tensor
    index: Tensor
    teachers: list[Tensor]
    labels: Tensor | None
    epoch: int


@dataclass(frozen=True)
class Retrieval:
    """What a metric on codes sees.

    Attributes:
        query, database: packed uint8 codes (q, bits / 8) and (n, bits / 8), compared by Hamming distance;
            or, where ``bits`` is 0, float32 embeddings (q, d) and (n, d) of length 1, compared by cosine.
        query_labels, database_labels: int (n,) or 0/1 (n, classes).
        query_index, database_index: int64 (q,) and (n,), their places in the data set, for ``truth``.
    """

    query: NDArray[Any]
    database: NDArray[Any]
    query_labels: NDArray[Any]
    database_labels: NDArray[Any]
    bits: int
    protocol: RankingRule
    query_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    database_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    truth: Truth | None = None


@dataclass(frozen=True)
class Deployment:
    """What a metric on a network sees: the net that would be shipped, trunk and hash head.

    Attributes:
        net: eval mode, on ``device``; a metric must leave it unchanged.
        image_size: side of the square input in pixels.
        precision: ``fp32``, or ``bf16`` for autocast.
        bits: length of the codes it makes; 0 for a network whose feature is the embedding.
        original: the same net before step 1 pruned it; None where it did not.
    """

    net: nn.Module
    image_size: int
    device: torch.device
    precision: Literal["fp32", "bf16"]
    bits: int
    original: nn.Module | None = None


@dataclass(frozen=True)
class System:
    """What a metric sees that deploys the trained network in another way and asks what that costs.

    Attributes:
        deployment: the trained network.
        retrieval: its codes and their labels.
        batches: the images of ``"query"``, ``"database"`` or ``"train"`` in the evaluation view, in the
            order of the codes, as float32 (n, 3, s, s) batches on the deployment's device.
    """

    deployment: Deployment
    retrieval: Retrieval
    batches: Callable[[str], Iterator[Tensor]]


@dataclass(frozen=True)
class Measurement:
    """What a metric returns.

    Attributes:
        values: numbers for the record.
        per_query: arrays to keep, float64 (q, ...) by query.
        warnings: what a reader must know to trust the cell's numbers, the same sentence wherever it holds.
    """

    values: dict[str, MetricValue]
    per_query: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
