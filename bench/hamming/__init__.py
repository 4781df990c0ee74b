"""Exact Hamming ranking of binary codes, and the average precision of it.

Importable by itself: it needs numpy and FAISS only. Codes are packed, eight bits to a byte, or of any form
that ``pack_codes`` takes; two items are relevant to each other if they share a label. The database is
walked in blocks: working memory stays below ``memory_mb`` (512 by default), whatever the number of queries
and items, but for a bit per query and class of multi-hot labels, and for packed copies of unpacked codes.
``bits``, the code length, is needed only where 0 and 1 alone leave open what they are. Work is spread over
as many threads as FAISS uses (``OMP_NUM_THREADS``, ``faiss.omp_set_num_threads``); results do not depend on
it.

    >>> codes = pack_codes(np.array([[0.3, -1.2], [0.1, 0.0], [-2.0, -0.7]]))
    >>> hamming_search(codes[:1], codes, k=2)
    (array([[0, 1]], dtype=int32), array([[0, 1]]))
    >>> evaluate(codes[:1], codes, [4], [4, 5, 4], bits=2).map.value
    0.9166666666666666
"""

from __future__ import annotations

from bench.hamming.codes import first_bits, pack_codes, pack_signs, popcount_distances
from bench.hamming.counts import distance_histograms
from bench.hamming.evaluation import Evaluation, Score, evaluate
from bench.hamming.precision import average_precision
from bench.hamming.scan import MEMORY_MB, Codes
from bench.hamming.search import cross_check, hamming_search
from bench.hamming.ties import Normalizer, Ties, average_precision_from_histograms, hits_within

__all__ = [
    "MEMORY_MB",
    "Codes",
    "Evaluation",
    "Normalizer",
    "Score",
    "Ties",
    "average_precision",
    "average_precision_from_histograms",
    "cross_check",
    "distance_histograms",
    "evaluate",
    "first_bits",
    "hamming_search",
    "hits_within",
    "pack_codes",
    "pack_signs",
    "popcount_distances",
]
