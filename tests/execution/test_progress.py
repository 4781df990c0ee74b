"""What a run says while it goes on."""

from __future__ import annotations

import logging

import pytest

from bench.execution import progress
from bench.execution.forecast import Forecast
from bench.execution.progress import ProgressReport, human_seconds
from bench.execution.schedule import Schedule
from bench.planning.stage import Stage


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test turns by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def report_of(*stages, cells=1, jobs=None):
    """Of stages one after the other, of which nothing is known."""
    schedule = Schedule(waiting={stage.key: stage for stage in stages})
    return ProgressReport(len(stages), cells, Forecast(schedule, {}), jobs)


def stage(name, images=0):
    return Stage("distill", name, {"name": name}, images=images, cost_class=name)


def test_a_long_stage_says_how_far_it_is(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    first, second = stage("x", 1000), stage("y", 1000)
    report = report_of(first, second)
    report.start(first)
    clock[0] += 30
    report.advance(first.key, 10)
    assert caplog.text == ""
    clock[0] += 50
    report.advance(first.key, 390)
    (said,) = caplog.messages
    assert said.startswith("[0/2] distill x  5 images/s, about 2 min 00 s left")
    clock[0] += 120
    report.advance(first.key, 600)
    report.finish(first.key)
    assert caplog.messages[-1].startswith("[1/2] distill x  3 min 20 s, 5 images/s")


def test_what_an_earlier_run_has_done_counts_with_its_seconds(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    one = stage("x", 1000)
    report = report_of(one)
    report.start(one)
    clock[0] += 5
    report.advance(one.key, 500, 95.0)
    clock[0] += 60
    report.advance(one.key, 300)
    (said,) = caplog.messages
    assert said.startswith("[0/1] distill x  5 images/s, about 40 s left")
    clock[0] += 40
    report.advance(one.key, 200)
    report.finish(one.key, 198.0)  # what its artifact says, those of the earlier run among them
    assert caplog.messages[-1].startswith("[1/1] distill x  3 min 18 s, 5 images/s")


def test_stages_of_no_time_have_no_line_but_in_the_log(clock, caplog):
    caplog.set_level("DEBUG", "bench.execution.progress")
    stages = [stage(name) for name in "abc"]
    report = report_of(*stages)
    for one, seconds in zip(stages, (0.9, 1.1, 4.0), strict=True):
        report.start(one)
        clock[0] += seconds
        report.finish(one.key, None if one.slug != "c" else 0.2)  # its process had to start
    report.cell("digits__net", "ok")
    report.close()
    lines = [(record.levelname, record.message.partition("  (")[0]) for record in caplog.records]
    assert lines == [
        ("DEBUG", "[1/3] distill a  1 s"),
        ("INFO", "[2/3] distill b  1 s"),
        ("DEBUG", "[3/3] distill c  0 s"),
        ("INFO", "cell 1 of 1  digits__net  ok"),
        ("INFO", "1 of 1 cells, 3 of 3 stages in 6 s"),
    ]


def test_what_is_dropped_is_counted_and_not_waited_for(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    begun, never = stage("a"), stage("b")
    report = report_of(begun, never)
    report.start(begun)
    report.drop(begun.key)
    report.drop(never.key)
    report.cell("digits__net", "failed")
    report.close()
    assert caplog.messages[-1] == "1 of 1 cells, 2 of 2 stages in 0 s"


def test_at_the_end_it_says_what_took_the_time(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    long, short, latency = stage("a"), stage("b"), Stage("measure", "c", {"hardware": "mine"})
    report = report_of(long, short, latency, jobs=2)
    report.start(long)
    report.start(short)
    clock[0] += 20
    report.finish(short.key, 18.0)  # its process took two seconds to start
    clock[0] += 60
    report.finish(long.key)
    report.start(latency)
    clock[0] += 20  # alone, with all cores
    report.finish(latency.key)
    report.cell("digits__net", "ok")
    report.close()
    head, _, shares = caplog.messages[-1].partition(": ")
    assert head == "1 of 1 cells, 3 of 3 stages in 1 min 40 s by 2 jobs"
    assert shares == "distill 49 %, measure 20 %, starting and waiting 31 %"


def test_where_nothing_was_made_it_says_nothing_of_time(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    report = report_of(jobs=2)
    report.cell("digits__net", "ok")
    report.close()
    assert caplog.messages[-1] == "1 of 1 cells, 0 of 0 stages in 0 s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_in_words(seconds, text):
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(("level", "wanted"), [(logging.INFO, True), (logging.WARNING, False)])
def test_no_bars_where_quiet_is_asked_for(monkeypatch, level, wanted, tmp_path):
    handlers = [logging.Handler(level), logging.FileHandler(tmp_path / "log", delay=True)]
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(logging.getLogger("bench"), "handlers", handlers)
    assert progress.bars_wanted() is wanted


def test_steps_are_told_when_they_are_done(clock, caplog):
    caplog.set_level("INFO", "bench.execution.progress")
    with progress.steps(["first", "second"]) as names:
        for name in names:
            clock[0] += {"first": 3, "second": 70}[name]
    assert caplog.messages == ["[1/2] first  3 s", "[2/2] second  1 min 10 s"]
