"""Whatever a metric gives in a test of it has an entry in the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from bench.registry import METRICS
from tests.recorded import assert_in_catalogue


@pytest.fixture(autouse=True)
def _in_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    def watched(compute: Any) -> Any:
        def checked(self: Any, subject: Any) -> Any:
            measurement = compute(self, subject)
            assert_in_catalogue(measurement.values)
            return measurement

        return checked

    for name in METRICS.names():
        metric: Any = METRICS.get(name)
        if metric.__module__.startswith(f"{METRICS.package}."):
            monkeypatch.setattr(metric, "compute", watched(metric.compute))
