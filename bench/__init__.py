"""hash-pareto: how much retrieval accuracy does each unit of compute buy, and is the difference real?"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: What a program calls -> the module that has it, imported when it is asked for.
_DOOR = {"run": "bench.execution.session"}


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_DOOR[name]), name)
