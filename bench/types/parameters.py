"""Parameters that plug-ins share: what a grid may set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

#: Images per forward pass, for parameters of metrics.
BatchSizes = tuple[Annotated[int, Field(ge=1)], ...]


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
    """Step 2: which part learns how fast, and which weights are kept; the query set has no say in it."""

    head_lr_scale: float = Field(
        1.0, gt=0, description="factor on lr for the hash head and for weights of the loss"
    )
    trunk_warmup: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the steps in which the rate of a trunk that step 1 has trained rises from 0, "
        "so that a random head does not undo what it knows; other trunks have their full rate at once",
    )

    select: Literal["last", "val"] = Field(
        "last",
        description="last: train on train and val, keep the last epoch; val: keep the best mAP on val",
    )
    eval_every: int = Field(5, ge=1, description="epochs between validations when select is val")
