"""What a node looks at before it works: release, plug-ins, data and weights must be those of the run."""

from __future__ import annotations

import dataclasses

import pytest

from bench import environment
from bench.data import loading
from bench.errors import DataError, MissingDataError, UsageError, WeightsError
from bench.execution.machine import Machine
from bench.execution.pools import ray_task
from bench.execution.pools.ray_task import Job
from bench.planning.stage import Stage
from bench.registry import DATASETS
from bench.storage.store import Store


@pytest.fixture
def machine(tmp_path):
    """Of the run."""
    plugin = tmp_path / "own.py"
    plugin.write_text("WORDS = 'ä'\n", encoding="utf-8")
    store = Store(tmp_path / "run", 7.0)
    return Machine(
        store, store.root / "data", "cpu", threads=32, precision="fp32", jobs=9, job_threads=2,
        plugins=(plugin,), cluster="auto",
    )  # fmt: skip


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The cache of a node of four cores, where the test is from now on."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "node"))
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.setattr(environment, "cores", lambda: 4)
    return tmp_path / "node"


def test_a_node_works_in_its_own_cache_with_its_own_cores(machine, node):
    there = ray_task.on_this_node(Job.of(machine, {}))
    assert (there.store.root, there.store.claims.lease) == (node, 7.0)
    assert (there.threads, there.jobs, there.job_threads) == (4, 2, 2)
    assert there.readers == 2
    assert there.hardware != machine.hardware
    assert there.job_hardware == machine.job_hardware


def test_data_sets_of_a_node_are_where_it_says_or_where_the_run_has_them(machine, node, monkeypatch):
    def root(machine):
        return str(ray_task.on_this_node(Job.of(machine, {})).data_root)

    assert root(machine) == str(node / "data")
    asked = dataclasses.replace(machine, data_root=node / "elsewhere")
    assert root(asked) == str(node / "elsewhere")
    monkeypatch.setenv("BENCH_DATA", "/node/disk")
    assert root(machine) == root(asked) == "/node/disk"


def test_plugins_travel_as_text_and_keep_their_names(machine, node):
    job = Job.of(machine, {})
    machine.plugins[0].unlink()
    (path,) = ray_task.on_this_node(job).plugins
    assert path.name == "own.py"
    assert path.is_relative_to(node)
    assert path.read_text(encoding="utf-8") == "WORDS = 'ä'\n"
    assert ray_task.on_this_node(job).plugins == (path,)
    other = dataclasses.replace(job, plugins=(("own.py", "WORDS = 'b'\n"),))
    assert ray_task.on_this_node(other).plugins != (path,)


def test_another_release_is_refused_and_says_what_differs():
    wanted = ray_task.release()
    ray_task.check_release(wanted)
    assert {"torch", "hash-pareto", "sources of hash-pareto"} <= set(wanted)
    with pytest.raises(UsageError) as error:
        ray_task.check_release({**wanted, "torch": "2.6.0+cu999", "jax": "1"})
    assert str(error.value) == (
        f"jax none instead of 1, torch {wanted['torch']} instead of 2.6.0+cu999; install the same there as "
        "on the machine of the run"
    )


@pytest.fixture
def stage(monkeypatch):
    """One that reads a data set which is missing until it is prepared."""
    there: list[str] = []

    class Missing(DATASETS.get("synthetic")):
        def prepare(self, root):
            there.append(str(root))
            return "it is there"

        def load(self, root):
            if not there:
                raise MissingDataError("absent: not here")
            return super().load(root)

    monkeypatch.setattr(DATASETS, "_registered", {**DATASETS._registered})
    DATASETS.register_as("absent")(Missing)
    params = Missing.Params().model_dump(mode="json")
    loading.forget()
    known = loading.load("synthetic", params, None, None).manifest_hash
    block = {"name": "absent", "params": params, "limit": None, "manifest": known}
    return Stage("features", "f", {"dataset": block}), there


def test_a_node_downloads_what_it_lacks_once(machine, node, stage):
    stage, prepared = stage
    context = ray_task.on_this_node(Job.of(machine, {})).context({})
    ray_task.check_data(stage, context)
    ray_task.check_data(stage, context)
    assert prepared == [str(node / "data")]


def test_data_that_nobody_can_download_are_missed_by_name(machine, node, stage, monkeypatch):
    stage, _ = stage
    monkeypatch.setattr(DATASETS.get("absent"), "prepare", DATASETS.get("absent").load)
    context = ray_task.on_this_node(Job.of(machine, {})).context({})
    with pytest.raises(MissingDataError, match="absent: not here"):
        ray_task.check_data(stage, context)
    assert not list(node.glob("claims/*"))


def test_other_data_under_the_same_name_are_refused(machine, node, stage):
    stage, prepared = stage
    prepared.append("already")
    changed = {**stage.spec["dataset"], "manifest": "another"}
    context = ray_task.on_this_node(Job.of(machine, {})).context({})
    with pytest.raises(DataError, match=r"is not the one .* python -m bench data check absent"):
        ray_task.check_data(dataclasses.replace(stage, spec={"dataset": changed}), context)
    ray_task.check_data(Stage("measure", "params", {}), context)  # reads none


def test_other_weights_under_the_same_name_are_refused(machine, node):
    context = ray_task.on_this_node(Job.of(machine, {})).context({})
    block = {"name": "timm:test_resnet", "params": {"weights": "none"}, "version": 1, "weights": "none"}
    before = Stage("finetune", "f", {"student": block, "online_teachers": [{"teacher": block}]})
    ray_task.check_weights(before, context)
    other, said = {**block, "weights": "sha256:1"}, r"\(none\) are not those of the run \(sha256:1\)"
    for spec in ({"teacher": other}, {"student": other}, {"online_teachers": [{"teacher": other}]}):
        with pytest.raises(WeightsError, match=said):
            ray_task.check_weights(Stage("finetune", "f", spec), context)
    with pytest.raises(WeightsError):
        inputs = {"finetune": Stage("finetune", "f", {"student": other})}
        ray_task.check_weights(Stage("encode", "e", {}, inputs), context)


@pytest.mark.parametrize(
    ("given", "visible", "number"), [([1], None, 1), (["3"], "2,3", 1), ([0], "0", 0), ([2], "", 2)]
)
def test_the_gpu_of_a_task_is_counted_among_those_it_sees(given, visible, number, monkeypatch):
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: given)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert ray_task.gpu_number("cuda") == number
    assert ray_task.gpu_number("cpu") == 0
