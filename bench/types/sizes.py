"""Sizes of a network's input: the side of a square in pixels, or ``320x160``, its height and width.

In files: ``Annotated[ImageSize, Between(16, 2048)]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

#: The side of a square in pixels, or height and width as a text: a size is written in one way only.
ImageSize = int | str

#: What a text has to look like.
_SHAPE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")


def sides(size: ImageSize) -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        ValueError: ``size`` is a text that is no size.
    """
    if not isinstance(size, str):
        return size, size
    if not (shape := _SHAPE.fullmatch(size)):
        raise ValueError(f"'{size}' is no size; write height and width in pixels as 320x160")
    return int(shape[1]), int(shape[2])


def of_sides(height: int, width: int) -> ImageSize:
    """The size with these sides, as it is written."""
    return height if height == width else f"{height}x{width}"


def scaled(size: ImageSize, factor: float) -> ImageSize:
    """The size with sides ``factor`` times as long, in whole pixels."""
    height, width = sides(size)
    return of_sides(round(factor * height), round(factor * width))


def area(size: ImageSize) -> int:
    """Pixels; sizes are sorted by it."""
    height, width = sides(size)
    return height * width


def in_words(size: ImageSize) -> str:
    """For sentences: ``224 x 224``."""
    height, width = sides(size)
    return f"{height} x {width}"


@dataclass(frozen=True)
class Between:
    """An ``ImageSize`` that has both sides within bounds, in pixels."""

    least: int
    most: int

    def __call__(self, value: Any) -> ImageSize:
        """``value`` as it is written; a fault of pydantic's where it is no such size."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise PydanticKnownError("int_type")
        try:
            height, width = sides(value)
        except ValueError:
            message = "Input should be a side in pixels, or height and width as 320x160"
            raise PydanticCustomError("image_size", message) from None
        for side in (height, width):
            if side < self.least:
                raise PydanticKnownError("greater_than_equal", {"ge": self.least})
            if side > self.most:
                raise PydanticKnownError("less_than_equal", {"le": self.most})
        return of_sides(height, width)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.__call__)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [whole, {"type": "string", "pattern": f"^{_SHAPE.pattern}$"}]}
