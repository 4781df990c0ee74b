"""Pools by name, what a machine tells them, and what they do with stages."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest

from bench.execution.machine import Machine
from bench.execution.pools import POOLS, inline, pool_of
from bench.execution.pools.pool import End, Ended, logged
from bench.planning.stage import Stage
from bench.storage.store import Store


@pytest.fixture
def machine(tmp_path):
    return Machine(Store(tmp_path), tmp_path / "data", "cpu", threads=8, precision="fp32")


def chosen(machine, **changes):
    fields = {**vars(machine), **changes}
    return type(pool_of(Machine(**fields), {})).__name__


def test_the_number_of_jobs_chooses_a_pool_and_a_name_does_so_for_any_number(machine):
    assert chosen(machine) == "InlinePool"
    assert chosen(machine, jobs=2) == "ProcessPool"
    assert chosen(machine, jobs=2, pool="inline") == "InlinePool"
    assert chosen(machine, pool="processes") == "ProcessPool"


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_has_what_the_scheduler_calls(machine, name):
    pool = pool_of(Machine(**{**vars(machine), "pool": name}), {})
    assert all(callable(getattr(pool, method)) for method in ("start", "listen", "close"))
    pool.close()


def test_a_machine_goes_to_other_processes_as_it_is(machine, tmp_path):
    there = pickle.loads(pickle.dumps(machine))
    assert {**vars(there), "store": None} == {**vars(machine), "store": None}
    assert there.store.root == tmp_path
    assert there.job_hardware == machine.job_hardware != machine.hardware


def test_every_job_of_a_machine_has_readers_and_a_gpu_in_turn(machine, monkeypatch):
    import torch

    weights = {("net", "abc"): "file.safetensors"}
    one = machine.context(weights)
    assert (one.device, one.workers, one.hardware) == (torch.device("cpu"), 8, machine.job_hardware)
    assert one.weights is weights
    several = Machine(**{**vars(machine), "jobs": 3, "device": "cuda"})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    contexts = [several.context(weights, job=job) for job in range(3)]
    assert [context.device.index for context in contexts] == [0, 1, 0]
    assert {context.workers for context in contexts} == {2}
    assert Machine(**{**vars(machine), "jobs": 8, "job_threads": 2}).readers == 2


def test_stages_started_together_are_made_in_their_order(machine, monkeypatch):
    made = []

    def work_on(stage, machine, context, *, fresh):
        made.append((stage.slug, fresh))
        context.advance(3)
        return Ended(stage, End({}), [])

    monkeypatch.setattr(inline, "work_on", work_on)
    pool, told = pool_of(machine, {}), []
    stages = [Stage("features", name, {"name": name}) for name in "ab"]
    for stage in stages:
        pool.start(stage, fresh=stage is stages[1])
    for stage in stages:
        (ended,) = pool.listen(lambda key, images: told.append((key, images)))
        assert ended.stage is stage
    assert made == [("a", False), ("b", True)]
    assert told == [(stage.key, 3) for stage in stages]


def test_lines_of_a_stage_are_those_of_its_thread(caplog):
    caplog.set_level("INFO", "bench")
    log = logging.getLogger("bench.somewhere")
    with logged() as lines:
        other = threading.Thread(target=log.info, args=("of another",))
        other.start()
        other.join()
        log.info("of this one")
    assert [line.partition(" INFO ")[2] for line in lines] == ["of this one"]
