"""Stage ``examples``: some queries with their first results, because people look before they read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.hamming import hamming_search
from bench.planning.stage import Stage
from bench.results.records import Example, Examples
from bench.stages import networks
from bench.stages.context import Context
from bench.stages.encode import read
from bench.stages.memory import Needs
from bench.types import ImageSet

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

#: Content of the artifact.
DESCRIPTION, SPRITE = "examples.json", "examples.webp"

#: Results per query, and the largest side of their pictures in pixels.
DEPTH = 10
TILE = 64


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write which images the codes find first, whether they answer the query, and one picture of them all."""
    encode, dataset = stage.inputs["encode"], context.dataset(stage.spec["dataset"])
    images, splits = dataset.images, dataset.splits
    codes = read(stage, encode, context)
    shown = _spread(images, splits.query, stage.spec["queries"])
    depth = min(DEPTH, len(splits.database))
    bits = networks.code_length(stage)
    vectors = codes["query"][shown], codes["database"]
    distances, found = hamming_search(*vectors, depth, bits=bits) if bits else _by_cosine(*vectors, depth)
    queries, results = splits.query[shown], splits.database[found]
    examples = Examples(
        tile=min(TILE, *images.pixels.shape[-2:]),
        rows=[
            Example(
                query=int(query),
                results=row.tolist(),
                distances=[round(float(distance), 4) for distance in far],
                right=[images.answers(int(query), int(result)) for result in row],
            )
            for query, row, far in zip(queries, results, distances, strict=True)
        ],
    )
    (folder / DESCRIPTION).write_text(examples.model_dump_json(), encoding="utf-8")
    (folder / SPRITE).write_bytes(_sprite(images, np.column_stack([queries, results]), examples.tile))
    return {"queries": len(queries)}


def memory(stage: Stage, needs: Needs) -> float:
    """Codes and their distances."""
    return needs.ranked(stage.inputs["encode"])


def _spread(images: ImageSet, queries: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Positions among the queries, evenly over the classes and the same for every network."""
    labels = images.labels[queries]
    by_class = np.argsort(labels if labels.ndim == 1 else labels.argmax(axis=1), kind="stable")
    places = np.linspace(0, len(queries) - 1, min(number, len(queries))).round().astype(int)
    return np.asarray(by_class[np.unique(places)])


def _by_cosine(query: NDArray[Any], database: NDArray[Any], depth: int) -> tuple[NDArray[Any], NDArray[Any]]:
    distances = 1 - query @ database.T
    found = np.argsort(distances, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(distances, found, axis=1), found


def _sprite(images: ImageSet, places: NDArray[np.int64], tile: int) -> bytes:
    """All pictures in one, a row per query, as WebP: lossless where they are small."""
    pixels = images.pixels[places.ravel()]
    sheet = Image.new("RGB", (places.shape[1] * tile, places.shape[0] * tile))
    for i, picture in enumerate(pixels):
        rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
        thumbnail = Image.fromarray(np.ascontiguousarray(rgb)).resize((tile, tile), Image.Resampling.LANCZOS)
        row, column = divmod(i, places.shape[1])
        sheet.paste(thumbnail, (column * tile, row * tile))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", lossless=tile < TILE, quality=80)
    return buffer.getvalue()
