"""What a tuning searches of the parameters that all methods have.

Rates are searched over three orders of magnitude and more, as those of losses are. Several methods were
published without any decay, so that is among the values to choose from.
"""

from __future__ import annotations

from bench.types import Space

#: Of Adam and its kind, which move every weight by about the rate; and of plain gradient descent.
ADAPTIVE: Space = {
    "lr": (1e-5, 3e-2, "log"),
    "weight_decay": (0.0, 1e-6, 1e-5, 1e-4, 1e-3),
}
DESCENT: Space = {
    "lr": (1e-4, 1e-1, "log"),
    "weight_decay": (1e-6, 1e-2, "log"),
}
