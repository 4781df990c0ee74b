"""How the similarities of several teachers become one: what a grid may say of it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bench.types import FrozenTeacherParameters

Fusion = Literal["maxmin", "mean", "maxmean", "rand", "maxrand"]


class FusionParameters(FrozenTeacherParameters):
    """Which fusion, and how often one that is random draws; see ``_fusion``."""

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

    @model_validator(mode="after")
    def _drawn(self) -> Self:
        """Fusions that draw nothing would ignore how often."""
        if self.draws == "each" and "rand" not in self.fusion:
            raise ValueError(f"draws is of the fusions rand and maxrand, and {self.fusion} draws nothing")
        return self
