"""What tests of the numeric core share: random problems, and the definition of AP@k as a loop over ranks."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from hypothesis import settings

from bench.hamming import Codes, Normalizer, Ties, pack_codes

TIES = get_args(Ties)
NORMALIZERS = get_args(Normalizer)

some = settings(max_examples=60, deadline=None)


def score(ranking: Any, k: int, normalizer: str) -> float:
    """AP@k of one ranking, a sequence of 0/1, by the definition."""
    hits, gain = 0, 0.0
    for rank, relevant in enumerate(ranking[:k], start=1):
        hits += relevant
        gain += relevant * hits / rank
    total = sum(ranking)
    norm = {"relevant": total, "min": min(total, k), "hits": hits}[normalizer]
    return gain / norm if norm else 0.0


def codes(rng: np.random.Generator, n: int, bits: int) -> Codes:
    return pack_codes(rng.standard_normal((n, bits)))


def problem(seed: int, queries: int = 7, items: int = 90, bits: int = 8, classes: int = 4) -> tuple[Any, ...]:
    """Codes of queries and items, and a label of each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=queries), rng.integers(classes, size=items)
    return codes(rng, queries, bits), codes(rng, items, bits), *labels
