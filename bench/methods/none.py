"""No distillation: step 2 starts from the student's own initial weights. The lower reference.

method: [none]
"""

from __future__ import annotations

from bench.interfaces import Method
from bench.registry import METHODS
from bench.types import Parameters


@METHODS.register
class NoDistillation(Method):
    """Takes no teacher and trains nothing; the plan has no step 1 for it."""

    version = 1
    trains = False
    teachers = (0, 0)

    class Params(Parameters):
        """Nothing to set."""
