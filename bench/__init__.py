"""hash-pareto: how much retrieval accuracy does each unit of compute buy, and is the difference real?

``bench.run`` makes the records of a grid and ``bench.load`` reads them; ``bench.hamming`` ranks codes of
any origin.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["hamming", "load", "run"]

#: What a program calls -> the module that has it, imported when it is asked for.
_DOORS = {"load": "bench.results.frame", "run": "bench.execution.session"}

if TYPE_CHECKING:
    from bench import hamming as hamming
    from bench.execution.session import run as run
    from bench.results.frame import load as load
else:

    def __getattr__(name: str) -> Any:
        if name == "hamming":
            return importlib.import_module("bench.hamming")
        if name not in _DOORS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_DOORS[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
