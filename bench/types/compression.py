"""What stores features in few bytes and reads them back, for float queries to be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: What codes are written and read with, by name.
Codebook = Mapping[str, NDArray[np.float32]]


class Compression(Protocol):
    """Beside the members of ``Loss``, those of one that ``compresses``. Features have length 1, or 0."""

    def codebook(self, features: NDArray[np.float32]) -> Codebook:
        """What is learnt from features (n, width) of the images of the pool.

        Raises:
            BenchError: they are too few; with the cure.
        """
        ...

    def stored(self, codebook: Codebook, features: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes (n, ceil(bits / 8)) of features (n, width): all that is kept of an image."""
        ...

    def compared(
        self, codebook: Codebook, query: NDArray[np.float32], codes: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors (q, m) and (n, m) of queries (q, width) and of codes.

        Their inner products are what codes tell of the cosines of features, and rank them.
        """
        ...
