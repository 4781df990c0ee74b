"""Curves for tests, and their figures."""

from bench.report.charts import plots
from bench.report.charts.curves import draw, styles_of
from bench.results.curves import curves_of
from bench.results.summary import summarise
from tests.curved import PATH, write_curved


def curve_of(folder, cells, curves=(("map", PATH),), **kwargs):
    """The one curve of these cells, and its styles."""
    results = write_curved(folder, cells, curves, **kwargs)
    (one,), _ = curves_of(results)
    return one, styles_of(summarise(results).groups, [one])


def figure_of(one, styles):
    with plots.look():
        figure, _ = draw("labels", one, styles)
        figure.canvas.draw()
    return figure
