"""Which image is which: its place in the data set, its part, its classes and its file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.data.image_files import ImageFiles
from bench.types import ImageSet, Splits

HEAD = ("part", "id", "label", "file")
PARTS = ("query", "database", "train", "val")


def listing(images: ImageSet, parts: Splits) -> str:
    """CSV with ``HEAD``: a line for each image of each part, by ascending ids.

    ``id`` is what ``query_ids`` and ``database_ids`` of ``evaluate --like`` are; of several classes
    ``label`` has all, with blanks between them; ``file`` is empty where the images lie in one file.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(_lines(images, parts))
    return text.getvalue()


def _lines(images: ImageSet, parts: Splits) -> Iterator[tuple[Any, ...]]:
    paths = images.pixels.paths if isinstance(images.pixels, ImageFiles) else ()
    for part in PARTS:
        for place in np.sort(getattr(parts, part)).tolist():
            label = images.labels[place]
            classes = label if images.labels.ndim == 1 else " ".join(map(str, np.flatnonzero(label)))
            yield part, place, classes, os.fspath(paths[place]) if paths else ""
