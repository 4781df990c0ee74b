"""Share of all relevant items that are among the first k.

measure: {recall_at_k: {ks: [100, 1000]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bench.interfaces import Metric
from bench.metrics._cuts import at_cuts
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject


@METRICS.register
class RecallAtK(Metric):
    """Mean over queries of the expectation over all orders of items at the same distance."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    embeddings = True
    by_side = True

    class Params(Parameters):
        """Where the ranking is cut."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(
            (100, 1000),
            min_length=1,
            description="ranks; those beyond the size of the database are left out",
        )

    def compute(self, subject: Retrieval) -> Measurement:
        """``recall_at_k@<k>``: hits within k, divided by all relevant items; 0 if there are none."""
        return at_cuts(
            "recall_at_k", subject, self.params.ks, lambda hits, total, k: hits / np.maximum(total, 1)
        )
