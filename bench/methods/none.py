"""No distillation: step 2 starts from the student's own initial weights. The lower reference.

method: [none]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.registry import METHODS
from bench.types import Parameters

if TYPE_CHECKING:
    from torch import Tensor


@METHODS.register
class NoDistillation:
    """Takes no teacher and trains nothing; the plan has no step 1 for it."""

    version = 1
    teachers = (0, 0)
    same_width = False

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def terms(self, student: Tensor, teachers: list[Tensor]) -> dict[str, Tensor]:
        """No terms."""
        return {}
