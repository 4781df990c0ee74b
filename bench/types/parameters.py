"""Parameters that plug-ins share: what a grid may set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bench.types.sizes import Between, ImageSize

#: What any parameter can be: a whole number of 32 bits, a size that float32 can calculate with, and a text
#: that is no longer than a path. What is beyond them only ever fails later, after hours of training.
MOST_WHOLE, MOST, LEAST, LONGEST = 2**32 - 1, 1e9, 1e-15, 4000

#: Images per forward pass, for parameters of metrics.
BatchSizes = tuple[Annotated[int, Field(ge=1, le=4096)], ...]

#: Timings that are kept, and how long something is timed.
Samples = Annotated[int, Field(ge=5, le=100_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

#: Side of an image in pixels.
Side = Annotated[int, Field(ge=16, le=4096)]

#: Draws splits or weights: 32 bits, as NumPy's and torch's generators have them in common.
Seed = Annotated[int, Field(ge=0, le=MOST_WHOLE)]


def later(default: Any, **options: Any) -> Any:
    """A field that joins a plug-in which has results already: at ``default``, it stands in no key or record.

    What was done before the field was there is what its default does, under the key that it had.

    Args:
        default: what was done all along.
        options: see ``pydantic.Field``.
    """
    return Field(default, exclude_if=lambda value: bool(value == default), **options)


class Parameters(BaseModel):
    """Base of every plug-in's parameters: unknown keys are errors, values never change.

    Bounds are inherited: those of all parameters, and those of ``at_most``, also where a plug-in declares a
    field anew to give it another default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    #: field -> the largest value that means anything
    at_most: ClassVar[Mapping[str, float]] = {}

    @field_validator("*", mode="after")
    @classmethod
    def _bounded(cls, value: Any, info: ValidationInfo) -> Any:
        """``value``, or a fault that says what it should be."""
        name = str(info.field_name)
        most = cls.at_most.get(name)
        if most is not None and isinstance(value, int | float) and value > most:
            raise ValueError(f"{name} should be at most {most:,}, not {value}")
        _check(name, value)
        return value

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check plain JSON values; through JSON, so that strictness takes a list for a tuple, no more."""
        return cls.model_validate_json(json.dumps(values))


def _check(name: str, value: Any) -> None:
    """Raise ValueError unless ``value``, or whatever it consists of, can be a parameter called ``name``."""
    if isinstance(value, tuple | list):
        for one in value:
            _check(name, one)
    elif isinstance(value, dict):
        for part in (*value, *value.values()):
            _check(name, part)
    elif isinstance(value, str):
        if len(value) > LONGEST:
            raise ValueError(f"{name} should have at most {LONGEST:,} characters, not {len(value):,}")
        if "\0" in value:
            raise ValueError(f"{name} should have no character U+0000")
    elif isinstance(value, int):  # bools are small ones
        if abs(value) > MOST_WHOLE:
            raise ValueError(f"{name} should be at most {MOST_WHOLE:,} in size, not {value}")
    elif isinstance(value, float) and value and not LEAST <= abs(value) <= MOST:
        raise ValueError(f"{name} should be 0, or {LEAST:g} to {MOST:g} in size, not {value:g}")


#: How a hash head starts: N(0, 0.01²) with biases of 0, or as PyTorch starts linear layers.
HeadStart = Literal["normal", "pytorch"]


class RateSchedule(Parameters):
    """How the learning rate goes where no name says it: it rises, stays, and falls."""

    fall: Literal["cosine", "steps"] = Field(
        description="cosine: to final_lr at the end; steps: to a factor of itself every so many epochs"
    )
    warmup: float = later(0.0, ge=0, lt=1, description="share of the epochs in which it rises in a line")
    warmup_from: float = later(0.1, ge=0, lt=1, description="share of lr that it rises from")
    level: float = later(0.0, ge=0, lt=1, description="share of the epochs before a cosine begins to fall")
    final_lr: float = later(0.0, ge=0, description="what a cosine ends at, whatever lr_scale a layer has")
    every_epochs: int | None = later(None, ge=1, description="between two steps")
    factor: float = later(0.1, gt=0, lt=1, description="of a step")
    per: Literal["step", "epoch"] = later("step", description="how often the rate changes")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """What the other kind of fall alone has would be ignored."""
        others = ("level", "final_lr") if self.fall == "steps" else ("every_epochs", "factor")
        fields = type(self).model_fields
        if strays := [name for name in others if getattr(self, name) != fields[name].default]:
            raise ValueError(f"a schedule with fall: {self.fall} has no {' and no '.join(strays)}")
        if self.fall == "steps" and self.every_epochs is None:
            raise ValueError("a schedule with fall: steps needs every_epochs")
        if not self.warmup and self.warmup_from != fields["warmup_from"].default:
            raise ValueError("a schedule without warmup has no warmup_from")
        if 0 < self.level < self.warmup:
            raise ValueError("a schedule should begin to fall (level) after its warmup, not before")
        return self


#: A schedule by name, or spelt out; what is wrong with a mapping is told of mappings alone.
AnySchedule = Annotated[
    Annotated[Literal["constant", "cosine", "flat_cosine"], Tag("name")]
    | Annotated[RateSchedule, Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict | RateSchedule) else "name"),
]


#: What becomes of a batch that is not full.
Incomplete = Literal["drop", "keep"]


class TrainingParameters(Parameters):
    """How one training step runs; methods (step 1) and losses (step 2) add their own fields to it."""

    #: Rates and weights beyond these leave nothing finite; batches of more images fill any memory.
    at_most: ClassVar[Mapping[str, float]] = {
        "epochs": 100_000,
        "batch_size": 65_536,
        "lr": 1_000,
        "weight_decay": 1_000,
    }

    epochs: int = Field(30, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=2, description="images per step")
    incomplete: Incomplete = later(
        "drop",
        description="the batch of an epoch that the images left over would fill in part; keep: as published "
        "code mostly does, but for a single image",
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = Field(
        "adam", description="update rule, of PyTorch; adamw decays weights apart from their gradients"
    )
    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="of all that is trained, as the optimizer has it")
    schedule: AnySchedule = Field(
        "constant",
        description="cosine: one epoch of linear warm-up (at most 10 % of the steps), then to 0; "
        "flat_cosine: warm-up for 1/12 of the steps, flat up to 1/3, then cosine to 0; or a mapping",
    )


class DistillationParameters(TrainingParameters):
    """Step 1: on which images."""

    pool: Literal["database", "train"] = Field(
        "database",
        description="images to distil on: database and train, or train only; val as hold_out says",
    )
    hold_out: Literal["always", "if_chosen"] = later(
        "always",
        description="validation images: never in the pool; or only where the loss chooses its epoch by them "
        "(select: val)",
    )
    pool_fraction: float = Field(
        1.0, gt=0, le=1, description="share of the pool that is used, drawn once for all seeds"
    )


class EncodingParameters(Parameters):
    """How a network sees the images whose codes or embeddings it makes, whatever it was trained on.

    The outputs of several views have length 1, and their sum counts; a mirror image is a view, too.
    """

    scales: tuple[Annotated[float, Field(gt=0, le=2)], ...] = Field(
        (1.0,),
        min_length=1,
        max_length=8,
        description="sides of the views, relative to image_size; for networks whose feature has one width, "
        "such as ResNets. Published for landmarks: [1, 0.7071, 0.5]",
    )
    flip: bool = Field(False, description="whether every view is seen mirrored, too")

    @field_validator("scales")
    @classmethod
    def _distinct(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(scales)) < len(scales):
            raise ValueError("scales should differ from one another")
        return scales


class FrozenTeacherParameters(DistillationParameters):
    """Step 1 with outputs of frozen teachers: seen at which size."""

    teacher_image_size: Annotated[ImageSize, Between(16, 4096)] | None = Field(
        None, description="input side of the teacher in pixels; null = the size it was trained at"
    )


class SharedViewsParameters(FrozenTeacherParameters):
    """Step 1 in which teachers see the random views that the student sees: how many of them."""

    views: Annotated[int, Field(ge=1, le=1000)] | Literal["online"] = Field(
        4,
        description="augmented views per image, shared by teacher and student, of which the teacher is asked "
        "once; online: a fresh one in every epoch, of which it is asked every time",
    )


class FittingParameters(Parameters):
    """Step 2 without training: on which images codes are fitted."""

    pool: Literal["database", "train"] = Field(
        "database",
        description="images whose features codes are fitted to, without labels: database and train, or train "
        "only; validation images among them, as nothing is chosen, and never a query",
    )


class HashingParameters(TrainingParameters):
    """Step 2: which part learns how fast, and which weights are kept; the query set has no say in it."""

    at_most: ClassVar[Mapping[str, float]] = {**TrainingParameters.at_most, "head_lr_scale": 1_000_000}

    train: Literal["all", "head"] = later(
        "all",
        description="all: trunk and head; head: the trunk stays as it is, and the head learns from features "
        "of images as they are searched, which are computed once",
    )
    head_lr_scale: float = Field(
        1.0, gt=0, description="factor on lr for the hash head and for weights of the loss"
    )
    head_start: HeadStart = later(
        "normal",
        description="of the hash head; normal: weights N(0, 0.01²) and biases 0, as published for ResNets; "
        "pytorch: uniform, by the width of the feature, as published for other networks",
    )
    trunk_warmup: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the steps in which the rate of a trunk that step 1 has trained rises from 0, "
        "so that a random head does not undo what it knows; other trunks have their full rate at once",
    )

    random_views: bool = later(
        True, description="whether training shows random views of images, or that in which they are searched"
    )
    select: Literal["last", "val"] = Field(
        "last",
        description="last: train on train and val, keep the last epoch; val: keep the best mAP on val",
    )
    eval_every: int = Field(5, ge=1, description="epochs between validations when select is val")
    length_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = later(
        None,
        max_length=16,
        description="of the losses of a network with several code lengths, shortest first; null: their mean",
    )

    @model_validator(mode="after")
    def _seen_once(self) -> Self:
        """Views that nobody will see must not be asked for."""
        if self.train == "head" and self.random_views and "random_views" in self.model_fields_set:
            raise ValueError("train should be all where random_views is true: a head alone sees no views")
        return self
