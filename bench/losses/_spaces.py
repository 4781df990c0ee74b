"""What a tuning searches of the parameters that all losses have.

Rates are searched over three orders of magnitude and more, for random weights and pretrained ones alike: a
badly chosen default costs trials, and not the result.
"""

from __future__ import annotations

from bench.types import Space

#: Of Adam and its kind, which move every weight by about the rate; and of plain gradient descent.
ADAPTIVE: Space = {
    "lr": (1e-5, 3e-2, "log"),
    "head_lr_scale": (1.0, 30.0, "log"),
    "weight_decay": (1e-7, 1e-3, "log"),
}
DESCENT: Space = {
    "lr": (1e-4, 1e-1, "log"),
    "head_lr_scale": (1.0, 30.0, "log"),
    "weight_decay": (1e-6, 1e-2, "log"),
}
