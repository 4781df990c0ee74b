"""Time left: right within a factor of two once a quarter of a run is over."""

from __future__ import annotations

import pytest

from bench.execution import forecast
from bench.execution.forecast import Forecast, expected_seconds
from bench.execution.schedule import Schedule
from bench.planning.estimate import Cost
from bench.planning.stage import Stage
from tests import simulated
from tests.execution.test_schedule import planned


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test turns by hand."""
    now = [0.0]
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    return now


#: What history says of a stage that takes so many seconds.
HISTORIES = {
    "nothing": lambda stage, truth: None,
    "the truth": lambda stage, truth: truth,
    "five times too long": lambda stage, truth: 5 * truth,
    "timings alone": lambda stage, truth: truth if stage.timed else None,
    "the teacher alone": lambda stage, truth: truth if stage.kind == "features" else None,
}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("seeds", [1, 3])
def test_after_a_quarter_the_time_left_is_within_a_factor_of_two(clock, jobs, history, seeds):
    schedule = planned(jobs, simulated.grid(seeds))
    costs = {
        key: Cost(HISTORIES[history](stage, simulated.seconds(stage)), None)
        for key, stage in schedule.waiting.items()
    }
    report, said = Forecast(schedule, costs), []
    for moment in simulated.run(schedule, clock):
        if moment.what == "start":
            report.start(moment.stage)
        elif moment.what == "images":
            report.advance(moment.stage.key, moment.images)
        else:
            report.finish(moment.stage.key)
        said.append((moment.now, report.time_left()))
    whole = said[-1][0]
    assert said[-1][1] == 0
    later = [(now, left) for now, left in said if whole / 4 <= now <= whole - 2]
    assert len(later) > 40
    for now, left in later:
        assert (whole - now) / 2 <= left <= 2 * (whole - now), f"at {now:.0f} of {whole:.0f} s: {left:.0f} s"


def test_stages_of_one_class_take_what_the_first_of_them_took(clock):
    stages = [Stage("distill", "a", {"n": n}, images=100 * n, cost_class="net") for n in (1, 2, 3)]
    report = Forecast(Schedule(waiting={s.key: s for s in stages}), {})
    schedule = report._schedule
    assert report.time_left() is None
    report.start(schedule.next())
    clock[0] += 10
    report.finish(stages[0].key)
    schedule.ended(stages[0])
    assert report.time_left() == pytest.approx(50)


def test_a_stage_at_work_tells_by_its_images(clock):
    (stage,) = (Stage("distill", "a", {}, images=1000),)
    schedule = Schedule(running={stage.key: stage})
    report = Forecast(schedule, {})
    report.start(stage)
    assert report.time_left() is None
    clock[0] += 20
    report.advance(stage.key, 100)
    assert report.time_left() == pytest.approx(180)
    clock[0] += 0.5
    assert report.time_left() == pytest.approx(179.5)  # not worked out again within a second


def test_a_plan_expects_what_history_knows_in_the_order_of_the_run():
    one, two = (planned(jobs) for jobs in (1, 2))
    costs = {key: Cost(simulated.seconds(stage), None) for key, stage in one.waiting.items()}
    work = sum(cost.seconds for cost in costs.values())
    assert expected_seconds(one, costs) == pytest.approx(work)
    assert work / 2 < expected_seconds(two, costs) < 0.7 * work
    unknown = {key: Cost(None, None) for key in costs}
    assert expected_seconds(one, unknown) == 0
