"""Product quantization: of each part of a feature, which of 256 centroids is the nearest. No labels.

H. Jegou, M. Douze, C. Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011: a byte a part,
centroids by k-means (FAISS's ``ProductQuantizer``), and asymmetric distances, of queries as they are from the
centroids of an image, as ``IndexPQ`` has them.

    loss: [pq]
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.losses._compressed import Compressed, by_distance
from bench.registry import LOSSES
from bench.types import Codebook, HashingTask

#: Bits that say which centroid of a part is the nearest, and centroids of a part.
PART_BITS = 8
CENTROIDS = 2**PART_BITS


@LOSSES.register
class Pq(Compressed):
    """A byte for each part of a feature: the nearest of 256 centroids; float queries."""

    version = 1

    @classmethod
    def check(cls, bits: int) -> str | None:
        """A part takes a byte."""
        if bits % PART_BITS == 0:
            return None
        below, above = bits // PART_BITS * PART_BITS, -(-bits // PART_BITS) * PART_BITS
        nearest = f"{below} or {above}" if below else f"{above}"
        return f"pq stores a byte for each part of a feature, not {bits} bits in all; take {nearest}"

    @classmethod
    def check_width(cls, bits: int, width: int) -> str | None:
        """A part has a number at least."""
        if bits // PART_BITS <= width:
            return None
        most = f"{width} parts of a byte, {width * PART_BITS} bits"
        return f"cuts features of {width} numbers into at most {most}, not {bits}"

    @classmethod
    def check_task(cls, params: Any, task: HashingTask) -> str | None:
        """A centroid is a mean of images."""
        return _too_few(task.train_images, params.pool)

    def codebook(self, features: NDArray[np.float32]) -> Codebook:
        """``centroids`` (parts, 256, numbers); the seed draws those that k-means begins with."""
        if refusal := _too_few(len(features), self.params.pool):
            raise BenchError(f"pq {refusal}")
        parts = self._cut(features)
        quantizer = faiss.ProductQuantizer(parts.shape[1], self.task.bits // PART_BITS, PART_BITS)
        quantizer.cp.seed = self.task.seed % 2**31  # FAISS takes no larger ones
        quantizer.cp.min_points_per_centroid = 1  # else FAISS writes to stderr that there were few images
        quantizer.train(parts)
        shape = quantizer.M, CENTROIDS, quantizer.dsub
        return {"centroids": faiss.vector_to_array(quantizer.centroids).reshape(shape)}

    def stored(self, codebook: Codebook, features: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The number of the nearest centroid of each part: uint8 (n, parts)."""
        codes: NDArray[np.uint8] = _quantizer(codebook).compute_codes(self._cut(features))
        return codes

    def compared(
        self, codebook: Codebook, query: NDArray[np.float32], codes: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Queries as they are, and the centroids that codes name, one behind the other."""
        decoded = _quantizer(codebook).decode(codes)
        return by_distance(self._cut(query), decoded, np.square(decoded).sum(axis=1))

    def _cut(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Parts one behind the other; those that are a number shorter than others end with a 0."""
        parts = np.array_split(features, self.task.bits // PART_BITS, axis=1)
        longest = parts[0].shape[1]
        return np.hstack([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in parts])


def _quantizer(codebook: Codebook) -> Any:
    centroids = codebook["centroids"]
    parts, _, numbers = centroids.shape
    quantizer = faiss.ProductQuantizer(parts * numbers, parts, PART_BITS)
    faiss.copy_array_to_vector(centroids.ravel(), quantizer.centroids)
    return quantizer


def _too_few(images: int, pool: str) -> str | None:
    """Why as many centroids cannot be found among so many images, or None if they can."""
    if images >= CENTROIDS:
        return None
    cure = "" if pool == "database" else "pool: database, "
    return (
        f"looks for {CENTROIDS} centroids among the features of {images} images; take {cure}more images, or "
        "loss itq"
    )
