"""What is made when: inputs first, timings alone, memory kept, and records early."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.execution.schedule import Schedule
from bench.planning.plan import Cell
from bench.planning.stage import Stage, walk
from tests import simulated


def never(stage):
    return False


def planned(jobs, cells=None, there=never):
    schedule = Schedule.of(cells or simulated.grid(), there)
    schedule.jobs = jobs
    return schedule


def played(schedule):
    """Moments, and the cells that had ended by then with their time; what is left of stages is known."""
    cells, moments, begun, clock = [], [], {}, [0.0]
    schedule.clock = lambda: clock[0]
    schedule.left = lambda key: begun[key] + simulated.seconds(schedule.running[key]) - clock[0]
    for moment in simulated.run(schedule, clock):
        if moment.what == "start":
            begun[moment.stage.key] = moment.now
        moments.append(moment)
        cells += [(moment.now, cell.key) for cell in schedule.done()]
    return moments, cells


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_every_stage_runs_once_after_its_inputs_and_timings_run_alone(jobs):
    cells = simulated.grid()
    wanted = set(walk(leaf for cell in cells for leaf in cell.leaves.values()))
    moments, ended = played(planned(jobs, cells))
    at_work, there = {}, set()
    for moment in moments:
        if moment.what == "start":
            assert {one.key for one in moment.stage.inputs.values()} <= there
            at_work[moment.stage.key] = moment.stage
            assert len(at_work) <= jobs
            assert len(at_work) == 1 or not any(stage.timed for stage in at_work.values())
        elif moment.what == "end":
            del at_work[moment.stage.key]
            assert moment.stage.key not in there
            there.add(moment.stage.key)
    assert there == wanted
    assert sorted(key for _, key in ended) == sorted(cell.key for cell in cells)


def test_one_job_ends_cell_after_cell():
    cells = simulated.grid()
    _, ended = played(planned(1, cells))
    assert [key for _, key in ended] == [cell.key for cell in cells]


def test_timings_that_need_no_training_come_first_of_all():
    moments, _ = played(planned(2))
    timed = [moment.stage.slug for moment in moments if moment.what == "start" and moment.stage.timed]
    begun = [moment.stage.timed for moment in moments if moment.what == "start"]
    assert timed[:2] == ["latency"] * 2
    assert begun[:3] == [True, True, False]


@pytest.mark.parametrize(("jobs", "first"), [(2, 0.1), (4, 0.4), (8, 0.4)])
def test_records_come_early_and_that_costs_little(jobs, first, monkeypatch):
    cells = simulated.grid(seeds=8, bits=3)
    _, ended = played(planned(jobs, cells))
    whole = ended[-1][0]
    assert ended[0][0] < first * whole
    assert sum(now < 0.75 * whole for now, _ in ended) >= len(cells) / 2
    monkeypatch.setattr(Schedule, "_stopping", lambda self: False)
    assert whole <= 1.02 * played(planned(jobs, cells))[1][-1][0]


@pytest.mark.parametrize(("left", "then"), [(None, "c"), (100.0, "c"), (1.0, None)])
def test_for_timings_the_others_stop_if_they_soon_end(left, then):
    a, b, c = (Stage("finetune", name, {"name": name}) for name in "abc")
    timing = Stage("measure", "search", {"hardware": "x"}, {"encode": a})
    cells = [Cell(None, {}, {"leaf": leaf}, leaf.slug, "") for leaf in (timing, b, c)]
    schedule, clock = planned(2, cells), [0.0]
    schedule.clock = lambda: clock[0]
    if left is not None:
        schedule.left = lambda key: left
    assert [schedule.next(), schedule.next()] == [a, b]
    clock[0] = 100.0
    schedule.ended(a)
    begun = schedule.next()
    assert (begun and begun.slug) == then
    for stage in list(schedule.running.values()):
        schedule.ended(stage)
    assert schedule.next() is timing


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1000, 9000), st.randoms(use_true_random=False))
def test_stages_at_work_fit_into_memory(jobs, room, draw):
    schedule = planned(jobs)
    schedule.room = room
    schedule.needs = {key: draw.randint(1, 5000) for key in schedule.waiting}
    at_work = {}
    for moment in simulated.run(schedule, [0.0], step=1e9):
        if moment.what == "start":
            at_work[moment.stage.key] = schedule.needs[moment.stage.key]
            assert sum(at_work.values()) <= room or len(at_work) == 1
        elif moment.what == "end":
            del at_work[moment.stage.key]


def test_what_does_not_fit_lets_others_pass():
    big, *small = (Stage("finetune", name, {"name": name}) for name in ("big", "a", "b"))
    schedule = planned(
        3, [Cell(None, {}, {stage.slug: stage}, stage.slug, "") for stage in (small[0], big, small[1])]
    )
    schedule.needs, schedule.room = {big.key: 9, small[0].key: 4, small[1].key: 4}, 10
    assert [schedule.next().slug, schedule.next().slug, schedule.next()] == ["a", "b", None]


def test_a_failure_takes_its_cells_and_what_only_they_wanted():
    cells = simulated.grid(seeds=1, bits=2)
    schedule = planned(1, cells)
    while (stage := schedule.next()).kind != "distill":
        schedule.ended(stage)
    schedule.done()
    lost, dropped = schedule.failed(stage)
    assert [cell.key for cell in lost] == ["cukd/0/0", "cukd/0/1"]
    assert {one.kind for one in dropped} == {"finetune", "encode", "measure", "examples"}
    assert not schedule.waiting


def test_a_failure_spares_cells_that_have_what_comes_after_it():
    distill = Stage("distill", "d", {})
    old, new = (Stage("finetune", name, {"name": name}, {"distill": distill}) for name in ("old", "new"))
    cells = [
        Cell(None, {}, {"f": old, "m": Stage("measure", "m", {}, {"f": old})}, "old", ""),
        Cell(None, {}, {"f": new}, "new", ""),
    ]
    schedule = planned(1, cells, there=lambda stage: stage.key == old.key)
    order = list(schedule.waiting.values())
    assert [stage.kind for stage in order] == ["measure", "distill", "finetune"]
    schedule.ended(schedule.next())
    assert [cell.key for cell in schedule.done()] == ["old"]
    assert [cell.key for cell in schedule.failed(schedule.next())[0]] == ["new"]


def test_jobs_beyond_what_can_be_at_work_at_once_are_not_useful():
    assert planned(1, simulated.grid(seeds=1, bits=1)).useful_jobs() == 3  # two views beside a fine-tuning
    assert planned(1, simulated.grid(seeds=4, bits=3)).useful_jobs() == 16  # encodings beside distillations
    measured = simulated.grid(seeds=1, bits=1)
    encoded = planned(1, measured, there=lambda stage: stage.kind == "encode")
    assert encoded.useful_jobs() == 1
    assert Schedule().useful_jobs() == 1
