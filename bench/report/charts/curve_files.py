"""The files of all curves of a report, and each as a drawing for its page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.report.charts.files import FORMATS
from bench.results.curves import Curve
from bench.results.summary import Summary


@dataclass(frozen=True)
class CurveFiles:
    """What was drawn.

    Attributes:
        files: ``curve_<accuracy>_<path>[_<group>].<format>`` -> content.
        drawings: of every curve the SVG.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    drawings: list[bytes] = field(default_factory=list)


def curve_files(summary: Summary, curves: Sequence[Curve], formats: Sequence[str] = ()) -> CurveFiles:
    """Draw them, which few grids ask for and takes half a second each.

    Args:
        summary: of the same report.
        curves: what to draw.
        formats: of ``FORMATS``; empty = all of them.
    """
    made = CurveFiles()
    if curves:
        # Half a second, for those who have some.
        from bench.report.charts.curves import curve_chart, styles_of

        styles = styles_of(summary.groups, curves)
        wanted = tuple(dict.fromkeys(formats or FORMATS))
        for curve in curves:
            stem = re.sub(r"[^\w@.-]", "-", curve.stem, flags=re.ASCII)
            drawn = curve_chart(summary.name, curve, styles, dict.fromkeys((*wanted, "svg")))
            made.files.update((f"{stem}.{form}", drawn[form]) for form in wanted)
            made.drawings.append(drawn["svg"])
    return made
