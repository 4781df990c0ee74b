"""The values and interfaces that layers share; no torch, no files, no configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

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
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="cosine: one epoch of linear warm-up (at most 10 % of the steps), then to 0"
    )


class DistillationParameters(TrainingParameters):
    """Step 1 with cached teacher features: which images, which views of them, seen at which size."""

    views: int = Field(4, ge=1, description="augmented views per image, shared by teacher and student")
    pool: Literal["database", "train"] = Field(
        "database", description="unlabelled images to distil on: all but query and validation, or train only"
    )
    teacher_image_size: int | None = Field(
        None, ge=16, description="input side of the teacher in pixels; null = the size it was trained at"
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
        flip: whether half of the views are mirrored; off where a mirror image changes the meaning.
    """

    crop: float = 0.875
    flip: bool = True
    evaluation_crop: float = 1.0


@dataclass(frozen=True)
class ImageSet:
    """Images of one data set in memory.

    Attributes:
        pixels: uint8 (n, channels, height, width), channels 1 or 3.
        labels: int64 (n,) class indices, or uint8 (n, classes) 0/1 for multi-label sets.
        classes: number of classes.
        augmentation: which random views keep the meaning of an image.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[Any]
    classes: int
    augmentation: Augmentation = Augmentation()

    def __len__(self) -> int:
        return len(self.pixels)

    def multi_hot(self) -> NDArray[np.uint8]:
        """Labels as uint8 (n, classes) 0/1, whatever form the data set has."""
        if self.labels.ndim == 2:
            return np.asarray(self.labels, dtype=np.uint8)
        return np.asarray(np.eye(self.classes, dtype=np.uint8)[self.labels])


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


# -- What plug-ins look like ---------------------------------------------------------------------


class Dataset(Protocol):
    """A data set and its retrieval protocol (``bench/datasets/<name>.py``)."""

    version: ClassVar[int]
    #: rank cut-off of mAP when the grid names none; None = the whole database
    default_k: ClassVar[int | None]
    Params: ClassVar[type[Parameters]]

    def __init__(self, params: Any) -> None: ...

    def prepare(self, root: Path) -> str:
        """Download or check what the set needs below ``root``; return one line that says what is there.

        Raises:
            DataError: what is missing, where it was looked for, and how to get it.
        """
        ...

    def load(self, root: Path) -> ImageSet:
        """Read the images from ``root``; never downloads."""
        ...

    def splits(self, images: ImageSet) -> Splits:
        """Draw the protocol's splits from the split seed; the same for every method and bit length."""
        ...


class Network(Protocol):
    """An image encoder without a head (``models/teachers``, ``models/students``)."""

    version: ClassVar[int]
    Params: ClassVar[type[Parameters]]
    preprocessing: Preprocessing

    def __init__(self, params: Any) -> None: ...

    def weights_id(self) -> str:
        """Fingerprint of the initial weights, ``"none"`` for random ones; needs no torch.

        Raises:
            WeightsError: the weights cannot be had; says what to install or pass.
        """
        ...

    def feature_dim(self, image_size: int) -> int:
        """Width of the feature for square inputs of ``image_size`` pixels."""
        ...

    def build(self) -> nn.Module:
        """A new module: float (n, 3, s, s) normalised images -> float (n, feature_dim(s)).

        Random weights come from torch's global generator, which the caller seeds.
        """
        ...


class Method(Protocol):
    """A way to distil a teacher into a student, step 1 (``bench/methods/<name>.py``)."""

    version: ClassVar[int]
    #: how many teachers the method takes, least and most
    teachers: ClassVar[tuple[int, int]]
    #: whether student and teacher features must have one width (a projection is then added and dropped)
    same_width: ClassVar[bool]
    Params: ClassVar[type[Parameters]]

    def __init__(self, params: Any) -> None: ...

    def terms(self, student: Tensor, teachers: list[Tensor]) -> dict[str, Tensor]:
        """Weighted loss terms by name for one batch; their sum is minimised.

        Args:
            student: float (n, d_s) features with gradient.
            teachers: one float (n, d_t) tensor of features per teacher, without gradient.
        """
        ...


@dataclass(frozen=True)
class HashingTask:
    """What a hashing loss may know when it is made."""

    bits: int
    classes: int
    train_images: int
    seed: int


class Loss(Protocol):
    """A hashing loss, step 2 (``bench/losses/<name>.py``)."""

    version: ClassVar[int]
    Params: ClassVar[type[Parameters]]

    def __init__(self, params: Any, task: HashingTask) -> None: ...

    @classmethod
    def check(cls, bits: int) -> str | None:
        """Why this loss cannot make codes of ``bits`` bits, or None if it can."""
        ...

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms by name for one batch; their sum is minimised.

        Args:
            codes: float (n, bits), raw output of the hash head with gradient.
            labels: float (n, classes) 0/1.
            index: int64 (n,) position of each image in the training set.
        """
        ...


@dataclass(frozen=True)
class Retrieval:
    """What a metric on codes sees.

    Attributes:
        query, database: packed uint8 codes (q, bits / 8) and (n, bits / 8).
        query_labels, database_labels: int (n,) or 0/1 (n, classes).
    """

    query: NDArray[np.uint8]
    database: NDArray[np.uint8]
    query_labels: NDArray[Any]
    database_labels: NDArray[Any]
    bits: int
    protocol: RankingRule


@dataclass(frozen=True)
class Deployment:
    """What a metric on a network sees: the net that would be shipped, trunk and hash head.

    Attributes:
        net: eval mode, on ``device``; a metric must leave it unchanged.
        image_size: side of the square input in pixels.
        precision: ``fp32``, or ``bf16`` for autocast.
        bits: length of the codes it makes.
    """

    net: nn.Module
    image_size: int
    device: torch.device
    precision: Literal["fp32", "bf16"]
    bits: int


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
    """What a metric returns: numbers for the record, and arrays to keep, float64 (q, ...) by query."""

    values: dict[str, MetricValue]
    per_query: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class Metric(Protocol):
    """A metric (``bench/metrics/<name>.py``)."""

    version: ClassVar[int]
    #: ``codes``: computed from a Retrieval; ``network``: from a Deployment; ``system``: from a System
    subject: ClassVar[Subject]
    noise: ClassVar[Noise]
    Params: ClassVar[type[Parameters]]

    def __init__(self, params: Any) -> None:
        """Called before any work is done.

        Raises:
            MissingPackageError: an optional package is not installed.
        """
        ...

    def compute(self, subject: Any) -> Measurement:
        """Measure ``subject``, a Retrieval, Deployment or System as the class attribute says."""
        ...
