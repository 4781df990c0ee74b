"""Time left: from what is expected, corrected by what has been."""

from __future__ import annotations

import logging

import pytest

from bench import progress
from bench.estimate import estimate
from bench.progress import ProgressReport, human_seconds
from bench.stage import Stage
from bench.store import Store


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test turns by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_time_left_is_the_expected_time_at_the_pace_so_far(clock):
    report = ProgressReport({"a": 10.0, "b": 20.0, "c": 30.0})
    report.start("a", "first", 100)
    clock[0] += 20
    report.finish("a")
    assert report.time_left() == pytest.approx(100)
    report.drop("b")
    assert report.time_left() == pytest.approx(60)
    report.start("c", "last", 0)
    clock[0] += 60
    report.finish("c")
    assert report.time_left() == 0


def test_stages_at_once_share_the_time_that_is_left(clock):
    report = ProgressReport({"a": 10.0, "b": 10.0, "c": 10.0}, jobs=2)
    report.start("a", "first", 100)
    report.start("b", "second", 100)
    clock[0] += 4
    assert report.time_left() == pytest.approx((6 + 6 + 10) / 2)
    report.finish("b")
    assert report.time_left() == pytest.approx(0.4 * 10)  # of "c" alone, beside which "a" ends


def test_a_long_stage_says_how_far_it_is(clock, caplog):
    caplog.set_level("INFO", "bench.progress")
    report = ProgressReport({"a": None, "b": None})
    report.start("a", "distill x", 1000)
    clock[0] += 30
    report.advance("a", 100)
    assert caplog.text == ""
    clock[0] += 50
    report.advance("a", 300)
    assert caplog.messages == ["[0/2] distill x  5 images/s, about 2 min 00 s left"]
    clock[0] += 120
    report.advance("a", 600)
    report.finish("a")
    assert caplog.messages[-1] == "[1/2] distill x  3 min 20 s, 5 images/s  (about 3 min 20 s left)"


def test_unknown_stages_take_the_mean_of_those_done(clock):
    report = ProgressReport({"a": None, "b": None})
    assert report.time_left() is None
    report.start("a", "first", 0)
    clock[0] += 7
    report.finish("a")
    assert report.time_left() == pytest.approx(7)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_in_words(seconds, text):
    assert human_seconds(seconds) == text


def test_estimates_come_from_stages_of_the_same_class(tmp_path):
    store = Store(tmp_path)
    done = Stage("distill", "x", {"a": 1}, images=100, cost_class="net/32")
    about = {"kind": done.kind, "cost_class": done.cost_class, "images": done.images, "hardware": "this"}
    with store.write(store.path(done.kind, done.slug, done.key), about) as (folder, _):
        (folder / "weights").write_bytes(bytes(1000))
    longer = Stage("distill", "y", {"a": 2}, images=300, cost_class="net/32")
    other = Stage("distill", "z", {"a": 3}, images=300, cost_class="net/64")
    costs = estimate([longer, other], store, "this")
    assert costs[longer.key].bytes == pytest.approx(3000)
    assert costs[longer.key].seconds is not None
    assert costs[other.key].seconds is None
    elsewhere = estimate([longer], store, "another processor")[longer.key]
    assert (elsewhere.seconds, elsewhere.bytes) == (None, pytest.approx(3000))


@pytest.mark.parametrize(("level", "wanted"), [(logging.INFO, True), (logging.WARNING, False)])
def test_no_bars_where_quiet_is_asked_for(monkeypatch, level, wanted):
    handler = logging.Handler(level)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(logging.getLogger("bench"), "handlers", [handler])
    assert progress.bars_wanted() is wanted


def test_steps_are_told_when_they_are_done(clock, caplog):
    caplog.set_level("INFO", "bench.progress")
    with progress.steps(["first", "second"]) as names:
        for name in names:
            clock[0] += {"first": 3, "second": 70}[name]
    assert caplog.messages == ["[1/2] first  3 s", "[2/2] second  1 min 10 s"]
