"""All charts of a report, drawn in other processes beside the rest where there are cores for it."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Self

from bench.report.charts.styles import Styles
from bench.results import catalogue
from bench.results.fronts import Front
from bench.results.published import Beside, Point, points_of
from bench.results.summary import Summary
from bench.types import MetricEntry

log = logging.getLogger(__name__)

FORMATS = ("png", "svg", "pdf")
#: Of more charts than this the first of every group is drawn, as SVG, unless formats were asked for: nobody
#: looks at 100 pictures, and the web page has them all.
MANY = 12
#: More processes than this would wait for each other's share of memory.
_MOST_PROCESSES = 4


class ChartFiles:
    """The charts of one report.

    Args:
        processes: to draw in beside this one; with 0 this one draws. Others need a program that guards its
            main module. They start with the ``with`` block, so that they are ready when there is something to
            draw, and their end is not waited for.
    """

    def __init__(self, processes: int) -> None:
        self._processes = min(processes, _MOST_PROCESSES)
        self._pool: ProcessPoolExecutor | None = None
        self._names: list[str] = []
        self._drawn: Iterable[dict[str, bytes]] = ()

    def __enter__(self) -> Self:
        if self._processes:
            # Started anew and not forked: threads of numpy and a fork do not go together.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, context)
            for _ in range(self._processes):
                self._pool.submit(_prepare)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def start(
        self,
        summary: Summary,
        drawn: Mapping[str, Mapping[tuple[str, str], Front]],
        formats: Sequence[str] = (),
        published: Mapping[str, Beside] | None = None,
    ) -> list[str]:
        """Begin to draw.

        Args:
            summary: what the charts are drawn from.
            drawn: slug of a group -> pair of metrics as the grid names it -> front.
            formats: of ``FORMATS``; empty = all of them, unless there are ``MANY`` charts.
            published: slug of a group -> what may stand beside its rows.

        Returns:
            Names of the files, ``pareto_<accuracy>_<cost>[_<group>].<format>``.
        """
        beside = published or {}
        fronts = {
            _stem([*pair, *[slug] * (len(drawn) > 1)]): (front, points_of(front, beside.get(slug)))
            for slug, found in drawn.items()
            for pair, front in found.items()
        }
        if not formats and len(fronts) > MANY:
            # What others published is asked for, too.
            first = {id(front) for found in drawn.values() for front in [*found.values()][:1]}
            message = "%d charts: the first of every group is drawn, as SVG; --format svg draws them all"
            log.info(message, len(fronts))
            fronts = {stem: one for stem, one in fronts.items() if id(one[0]) in first or one[1]}
            formats = ("svg",)
        formats = tuple(dict.fromkeys(formats or FORMATS))
        styles = Styles(summary.groups)
        learnt = catalogue.learnt()
        draw = functools.partial(_draw, name=summary.name, styles=styles, formats=formats, learnt=learnt)
        if self._pool is None:
            self._drawn = map(draw, fronts.values())
        else:
            self._drawn = self._pool.map(draw, [(front.lean(), points) for front, points in fronts.values()])
        self._names = [f"{stem}.{form}" for stem in fronts for form in formats]
        return self._names

    def contents(self) -> dict[str, bytes]:
        """File name -> content; waits for what is still being drawn."""
        drawn = [content for contents in self._drawn for content in contents.values()]
        return dict(zip(self._names, drawn, strict=True))


def _prepare() -> None:
    """Import what draws, which takes half a second."""
    import bench.report.charts.plots  # noqa: F401


def _draw(
    one: tuple[Front, Sequence[Point]],
    name: str,
    styles: Styles,
    formats: Sequence[str],
    learnt: Sequence[MetricEntry],
) -> dict[str, bytes]:
    from bench.report.charts.plots import pareto_chart  # see ``_prepare``

    catalogue.learn(learnt, "results")  # another process has read them
    return pareto_chart(name, one[0], styles, formats, one[1])


def _stem(parts: list[str]) -> str:
    plain = (re.sub(r"[^\w@.-]+", "-", part, flags=re.ASCII).strip("-") for part in parts)
    return f"pareto_{'_'.join(plain)}"
