"""Charts as somebody sees them: nothing too small, nothing on top of other things."""

import itertools

import pytest
from matplotlib.text import Text

from bench.report.charts import plots
from bench.report.charts.text import WIDTH, Pen
from bench.results.folder import load_results
from tests import recorded
from tests.report.charts import (
    PUBLISHED,
    all_methods,
    figure_of,
    lengths_together,
    long_everything,
    long_names,
    many,
    one_loss,
    tradeoff,
    two_students,
)

FIXTURES = {
    "two students": (two_students, "macs"),
    "one point": (lambda: [recorded.make_record()], "macs"),
    "long names": (long_names, "macs"),
    "long everything": (long_everything, "a cost that a plug-in gives a long name " * 3),
    "60 points": (many, "macs"),
    "60 methods": (lambda: many(methods=[f"a_rather_long_method_{i}" for i in range(60)]), "macs"),
    "tradeoff": (tradeoff, "macs"),
    "tradeoff by latency": (tradeoff, "latency_ms"),
    "lengths together": (lengths_together, "macs"),
    "one loss": (one_loss, "macs"),
    "all methods": (all_methods, "macs"),
    "limited": (lambda: [recorded.make_record(f"s{i}", protocol={"limit": 9}) for i in range(30)], "macs"),
    **{
        f"{grid} by {cost}": (lambda grid=grid: load_results(PUBLISHED / grid).records, cost)
        for grid in ("quick", "tradeoff", "methods")
        for cost in ("macs", "latency_ms", "params")
    },
}


@pytest.fixture(scope="module", params=FIXTURES)
def figure(request):
    records, cost = FIXTURES[request.param]
    return figure_of(records(), cost=cost)


def texts_of(figure):
    """Every text that shows, with its box in pixels."""
    with plots.look():
        renderer = figure.canvas.get_renderer()
        figure.draw_without_rendering()
        boxes = {id(text): text.get_window_extent(renderer) for text in figure.findobj(Text)}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        hidden = {
            id(label)
            for tick, at in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=False)
            if not low <= at <= high
            for label in (tick.label1, tick.label2)
        }
        found = [text for text in found if id(text) not in hidden]
    return [(text, boxes[id(text)]) for text in found]


def test_no_text_is_small_where_a_readme_shows_the_chart(figure):
    """830 pixels wide: the em of the smallest text is 12 of them, its capitals are 9."""
    pixels_per_point = 830 / (72 * figure.get_figwidth())
    sizes = [text.get_fontsize() * pixels_per_point for text, _ in texts_of(figure)]
    assert min(sizes) >= 12
    assert figure.get_figwidth() == WIDTH <= 8.3
    assert figure.get_figheight() < 9


def test_no_text_covers_another_or_leaves_the_chart(figure):
    boxes = texts_of(figure)
    for text, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, text.get_text()
    for (one, box), (other, second) in itertools.combinations(boxes, 2):
        across = min(box.x1, second.x1) - max(box.x0, second.x0)
        up = min(box.y1, second.y1) - max(box.y0, second.y0)
        # Lines of one block touch each other by less than what hangs below a line.
        assert across <= 0 or up <= 0.25 * one.get_fontsize(), (one.get_text(), other.get_text())


def test_a_chart_has_a_title_and_says_where_it_was_measured(figure):
    bold = [text for text in figure.texts if text.get_fontweight() == "bold"]
    assert bold[0].get_text().startswith(("mAP@all against ", "mAP@all by method"))
    assert sum(text.get_fontsize() > 12 for text in bold) <= 3
    assert any(text.get_text().startswith("Grid fashion") for text in figure.texts)


def test_at_most_two_lines_of_notes_and_eight_names(figure):
    # Without the numbers of networks.
    texts = [text for axes in figure.axes for text in axes.texts if not text.get_text().isdecimal()]
    bold = [text for text in texts if text.get_fontweight() == "bold"]
    assert len(bold) <= 8
    rings = [line for axes in figure.axes for line in axes.lines if line.get_markeredgewidth() == 2.0]
    assert len(rings) <= 1
    if bold:
        assert len(rings) == sum("recommended" in text.get_text() for text in texts)
    bottom = [
        text for text in figure.texts if text.get_color() == plots.INK and text.get_position()[1] < 0.45
    ]
    assert len(bottom) <= 2


def test_names_that_do_not_fit_keep_both_ends():
    pen = Pen(figure_of(two_students()))
    said = pen.fit("dch[epochs=20, a_long_one=3, lambda=0.7]", 1.2)
    assert pen.width(said) <= 1.2
    head, tail = said.split("…")
    assert "dch[epochs=20, a_long_one=3, lambda=0.7]".startswith(head)
    assert tail.endswith("0.7]")
    assert pen.fit("short", 1.2) == "short"
