"""Share of relevant items among the first k: what a user sees on the first page.

measure: {precision_at_k: {ks: [1, 10, 100]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.interfaces import Metric
from bench.metrics._cuts import at_cuts
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject


@METRICS.register
class PrecisionAtK(Metric):
    """Mean over queries of the expectation over all orders of items at the same distance."""

    version = 2
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    embeddings = True
    by_side = True

    class Params(Parameters):
        """Where the ranking is cut."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(
            (1, 10, 100),
            min_length=1,
            description="ranks; those beyond the size of the database are left out",
        )

    def compute(self, subject: Retrieval) -> Measurement:
        """``precision_at_k@<k>``: hits within k, divided by k."""
        return at_cuts("precision_at_k", subject, self.params.ks, lambda hits, total, k: hits / k)
