"""Sizes of inputs in files: squares by their side, others by height and width, each in one way."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from bench.types.sizes import Between, ImageSize, area, in_words, scaled, sides


class Some(BaseModel, strict=True):
    size: Annotated[ImageSize, Between(16, 512)] | None = 32


@pytest.mark.parametrize(
    ("written", "kept", "height", "width"),
    [
        (64, 64, 64, 64),
        ("320x160", "320x160", 320, 160),
        ("64x64", 64, 64, 64),
        ("16x512", "16x512", 16, 512),
    ],
)
def test_each_size_is_written_in_one_way(written, kept, height, width):
    size = Some(size=written).size
    assert size == kept
    assert type(size) is type(kept)
    assert sides(size) == (height, width)
    assert area(size) == height * width
    assert in_words(size) == f"{height} x {width}"
    assert Some.model_validate_json(Some(size=written).model_dump_json()).size == kept


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (15, "greater than or equal to 16"),
        (513, "less than or equal to 512"),
        ("320x15", "greater than or equal to 16"),
        ("1024x320", "less than or equal to 512"),
        *((text, "height and width as 320x160") for text in ("64x", "x64", "64 x 64", "064x32", "64")),
        *((value, "valid integer") for value in (True, 64.0, [320, 160], {})),
    ],
)
def test_what_is_no_size_says_so(written, reason):
    with pytest.raises(ValidationError, match=reason):
        Some(size=written)


def test_scaled_sizes():
    assert [scaled("320x160", factor) for factor in (0.5, 1.0, 2.0)] == ["160x80", "320x160", "640x320"]
    assert scaled(224, 2**-0.5) == 158
    assert scaled("21x20", 0.25) == 5
