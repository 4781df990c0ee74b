"""The files of the critical-difference diagram of a report."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.charts.files import FORMATS
from bench.results.ranks import Ranks


def rank_files(report: str, ranks: Ranks | None, formats: Sequence[str] = ()) -> dict[str, bytes]:
    """``ranks_map.<format>`` -> content; nothing where too little can be ranked.

    Args:
        report: name of the grid.
        ranks: what to draw.
        formats: of ``FORMATS``; empty = all of them.
    """
    if ranks is None:
        return {}
    from bench.report.charts.ranks import rank_chart  # half a second, for those who have data sets enough

    drawn = rank_chart(report, ranks, tuple(dict.fromkeys(formats or FORMATS)))
    return {f"ranks_map.{form}": content for form, content in drawn.items()}
