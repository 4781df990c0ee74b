"""A folder of small pictures that a tiny network can tell apart, as the data set of the tiny grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES, PER_CLASS = 2, 20


def grid(**params: object) -> tuple[str, str]:
    """What makes the tiny grid one of such pictures."""
    quotas = {"query_per_class": 3, "train_per_class": 8, "val_per_class": 2}
    chosen = {"folder": "photos", "side": 16, **quotas, **params}
    said = ", ".join(f"{name}: {value}" for name, value in chosen.items())
    return "[synthetic]", f"[{{name: image_folder, params: {{{said}}}}}]"


#: The one cell that is run.
ONE = ("--only", "loss=csq", "--only", "method=none")


def picture(label: int, number: int) -> np.ndarray:
    """Another slope of colours for every class, with noise of its own."""
    rng = np.random.default_rng(100 * label + number)
    slope = np.linspace(0, 200, 16)
    base = slope[:, None, None] if label else slope[None, :, None]
    return (base + rng.integers(56, size=(16, 16, 3))).clip(0, 255).astype(np.uint8)


def write(root: Path) -> list[Path]:
    """The pictures, below ``root / "photos"``."""
    paths = []
    for label in range(CLASSES):
        for number in range(PER_CLASS):
            path = root / "photos" / f"class{label}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(label, number)).save(path)
            paths.append(path)
    return paths
