"""What a tuning searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Parameter -> ``(low, high, "log")`` or ``(low, high, "linear")``, in which any value may be drawn, or the
#: values to choose from.
Space = Mapping[str, Sequence[Any]]
