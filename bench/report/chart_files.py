"""All charts of a report, several at a time where there are cores and charts enough."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from bench.report.fronts import Front
from bench.report.plots import FORMATS, pareto_chart
from bench.report.rows import Summary
from bench.report.styles import Styles

log = logging.getLogger(__name__)

#: More charts than this are drawn as SVG alone, unless formats were asked for: nobody looks at 100 pictures.
MANY = 12
#: Fewer charts than this are drawn sooner than another process has started.
_WORTH_PROCESSES = 3

Drawn = Mapping[str, Mapping[tuple[str, str], Front]]


def chart_files(
    summary: Summary, drawn: Drawn, formats: Sequence[str] = (), processes: int = 1
) -> dict[str, bytes]:
    """Draw every front.

    Args:
        summary: what the charts are drawn from.
        drawn: slug of a group -> pair of metrics as the grid names it -> front.
        formats: of ``FORMATS``; empty = all of them, or SVG where there are many charts.
        processes: to draw in; more than one only from a program that guards its main module.

    Returns:
        ``pareto_<accuracy>_<cost>[_<group>].<format>`` -> content.
    """
    stems = {
        _stem([*pair, *[slug] * (len(drawn) > 1)]): front
        for slug, fronts in drawn.items()
        for pair, front in fronts.items()
    }
    if not formats and len(stems) > MANY:
        formats = ("svg",)
        log.info("%d charts, so as SVG alone; --format png --format pdf draws them all", len(stems))
    styles, chosen = Styles(summary.groups), tuple(formats or FORMATS)
    draw = functools.partial(_draw, name=summary.name, styles=styles, formats=chosen)
    if processes == 1 or len(stems) < _WORTH_PROCESSES:
        made = list(map(draw, stems.values()))
    else:
        # Started anew and not forked: threads of numpy and a fork do not go together.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(processes, len(stems)), context) as pool:
            made = list(pool.map(draw, [front.lean() for front in stems.values()]))
    return {
        f"{stem}.{form}": content
        for stem, contents in zip(stems, made, strict=True)
        for form, content in contents.items()
    }


def _draw(front: Front, name: str, styles: Styles, formats: Sequence[str]) -> dict[str, bytes]:
    return pareto_chart(name, front, styles, formats)


def _stem(parts: list[str]) -> str:
    return re.sub(r"[^\w@.-]", "-", f"pareto_{'_'.join(parts)}", flags=re.ASCII)
