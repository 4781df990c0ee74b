"""Stages on nodes of a Ray cluster with caches of their own: the same records, whatever happens to a node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.execution.machine import Machine
from bench.execution.pools import ray as pool
from bench.execution.pools import reached
from bench.execution.session import RunOptions
from bench.planning.stage import Stage
from bench.results.folder import load_results
from bench.storage import freight
from bench.storage.freight import content
from bench.storage.store import Store
from tests import carried
from tests.conftest import PLUGINS, TINY_GRID

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")

ROOT = Path(__file__).parents[2]
#: Seconds that anything may take on a machine that does other things as well.
PATIENCE = 120.0
STORE = 100 * 2**20
#: Epochs of a training of some seconds, and of one that has not ended a second after it was seen.
EPOCHS = "defaults.finetune.epochs=250"
LONG = "defaults.finetune.epochs=900"
#: Where a test wants to be seen by the processes of nodes.
DEADLY = """\
import os, signal
from bench.losses.csq import Csq
from bench.registry import LOSSES

@LOSSES.register_as("deadly")
class Deadly(Csq):
    def begin_epoch(self, epoch):
        with open("SEEN", "a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Nodes:
    """A cluster of a head that makes nothing and three nodes, all on this machine."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder, self.started = folder, 0
        self.cluster = Cluster()
        path = {"PYTHONPATH": str(ROOT)}
        self.cluster.add_node(num_cpus=0, object_store_memory=STORE, include_dashboard=False, env_vars=path)
        self.nodes: dict[Path, object] = {}
        for _ in range(3):
            self.add()

    def add(self) -> None:
        """One more, with an empty cache."""
        cache = self.folder / f"node{self.started}"
        # Nothing here has a GPU: Ray only counts those it is told of.
        more = {"num_cpus": 1, "num_gpus": 2, "object_store_memory": STORE}
        variables = {"BENCH_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
        self.nodes[cache] = self.cluster.add_node(**more, env_vars=variables)
        self.started += 1

    def kill(self, cache: Path) -> None:
        """Have a node go, as when its machine loses power."""
        self.cluster.remove_node(self.nodes.pop(cache), allow_graceful=False)

    def training(self, process: subprocess.Popen | None = None) -> Path:
        """The cache of a node that has begun to train step 2; waits for one, as long as a process lives."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (process is None or process.poll() is None):
            for cache in self.nodes:
                if any("__16b__" in path.name for path in cache.glob("partial/*")):
                    return cache
            time.sleep(0.02)
        raise AssertionError(process.stderr.read() if process and process.poll() else "nothing is trained")

    def forget(self) -> None:
        """Have all nodes make everything anew."""
        for cache in self.nodes:
            shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The cluster, and this program connected to it: processes of nodes that know torch serve every test."""
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    ray.init(nodes.cluster.address, configure_logging=False, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.cluster.shutdown()


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """What this machine makes by itself of the tiny grid, by the epochs of its trainings."""
    known = {}

    def made(bench, *more):
        if more not in known:
            folder = tmp_path_factory.mktemp("right")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("BENCH_CACHE", str(folder / "cache"))
                run(bench, "--jobs", "1", "--out", folder / "out", *more)
            known[more] = results(folder / "out", folder / "cache")
        return known[more]

    return made


def run(bench, *arguments, code=0):
    """The tiny grid."""
    Path("grid.yaml").write_text(TINY_GRID)
    done = bench("run", "--include", PLUGINS / "tiny.py", *arguments)
    assert done.code == code, done.err
    return done


def results(out: Path, cache: Path):
    """What must not depend on who makes it: metrics, and the checksums of all artifacts."""
    metrics = {
        record.key: {name: one.value for name, one in record.metrics.items() if one.noise != "timed"}
        for record in load_results(out).records
    }
    sums = {}
    for path in cache.glob("*/*/artifact.json"):
        index = json.loads(path.read_text())
        if "hardware" not in index["spec"]:
            sums[path.parent.name] = {name: file["sha256"] for name, file in index["files"].items()}
    assert len(metrics) == 4
    return metrics, sums


def tidy(folder: Path):
    """Nothing is left of what was on its way."""
    assert not [path for path in folder.rglob("cache/*/.*") if path.is_dir()]
    assert not list(folder.glob("cache/claims/*"))


@pytest.mark.slow
def test_nodes_with_caches_of_their_own_make_the_same(folder, bench, nodes, right):
    done = run(bench, "--executor", "ray", "--jobs", "auto", "--out", "out")
    assert results(folder / "out", folder / "cache") == right(bench)
    tidy(folder)
    assert "ray: 3 nodes, 3 stages at once" in done.err
    for cache in nodes.nodes:
        assert list(cache.glob("*/*/artifact.json")), "a node has made nothing"
        assert not list(cache.glob("*/.*"))
    timed = {path.parent.name for path in folder.glob("cache/measure/latency*/artifact.json")}
    assert timed
    assert not timed & {path.name for cache in nodes.nodes for path in cache.glob("measure/*")}
    shutil.rmtree(folder / "out")
    again = run(bench, "--executor", "ray", "--jobs", "auto", "--out", "out")
    assert "all from cache" in again.out


@pytest.mark.slow
def test_a_node_that_dies_in_a_training_costs_nothing_but_time(folder, bench, nodes, right):
    nodes.forget()
    expected = right(bench, "--set", EPOCHS)
    killed = []

    def kill():
        killed.append(nodes.training())
        nodes.kill(killed[0])

    killer = threading.Thread(target=kill)
    killer.start()
    done = run(bench, "--executor", "ray", "--jobs", "auto", "--out", "out", "--set", EPOCHS)
    killer.join()
    nodes.add()
    assert killed
    assert "it is made again" in done.err
    assert results(folder / "out", folder / "cache") == expected
    tidy(folder)


@pytest.mark.slow
def test_a_stage_that_ends_its_process_is_tried_a_few_times_and_fails_its_cell(folder, bench, nodes):
    nodes.forget()
    (folder / "deadly.py").write_text(DEADLY.replace("SEEN", str(folder / "seen")))
    some = ("--include", "deadly.py", "--set", "axes.loss=[deadly, csq]", "--set", "axes.method=[none]")
    done = run(bench, "--executor", "ray", "--jobs", "auto", "--out", "out", *some, code=1)
    assert (folder / "seen").read_text() == "x" * pool.ATTEMPTS
    records = {record.cell.loss: record for record in load_results(folder / "out").records}
    assert records["csq"].status == "ok"
    assert (records["deadly"].status, records["deadly"].error.type) == ("failed", "WorkerDied")
    assert "ended, the last of 3 times; nodes may be out of memory" in records["deadly"].error.message
    assert "Traceback" not in done.err
    tidy(folder)


@pytest.mark.slow
def test_a_run_that_is_ended_leaves_nothing_half_written_and_goes_on(folder, bench, nodes, right):
    expected = right(bench, "--set", LONG)
    nodes.forget()
    (folder / "grid.yaml").write_text(TINY_GRID)
    words = [
        "run",
        "--executor",
        "ray",
        "--address",
        nodes.cluster.address,
        "--device",
        "cpu",
        "--out",
        "out",
    ]
    some = [
        *words,
        "--address",
        nodes.cluster.address,
        "--include",
        str(PLUGINS / "tiny.py"),
        "--set",
        LONG,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(3):
        nodes.forget()
        with subprocess.Popen(
            [sys.executable, "-m", "bench", *some], stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            cache = nodes.training(process)
            time.sleep(0.5)  # for some steps
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE)
        # Ray's own race of a task that ends while it is cancelled aborts the program, now and then.
        if not (process.returncode == -signal.SIGABRT and "You have likely discovered a bug in Ray" in said):
            break
    assert process.returncode == 128 + signal.SIGTERM, said
    assert said.splitlines()[-1].startswith("ended by SIGTERM; ")
    assert "Traceback" not in said
    tidy(folder)
    assert list(cache.glob("partial/*/checkpoint.safetensors")), "the node's training has lost what it was at"
    run(bench, "--executor", "ray", "--jobs", "auto", "--out", "out", "--set", LONG)
    assert results(folder / "out", folder / "cache") == expected


@pytest.mark.slow
def test_nodes_refuse_what_only_the_calling_program_knows(folder, bench, nodes):
    from bench.losses.csq import Csq
    from bench.registry import LOSSES

    LOSSES.register_as("known_here_alone")(type("Here", (Csq,), {}))
    try:
        more = ("--executor", "ray", "--jobs", "auto", "--set", "axes.loss=[known_here_alone]")
        done = run(bench, *more, code=2)
    finally:
        del LOSSES._registered["known_here_alone"]
    assert "error: node " in done.err
    assert "known to the calling program alone" in done.err
    assert done.err.rstrip().endswith("or run with executor='local', jobs=1")


@pytest.mark.slow
def test_an_artifact_larger_than_any_piece_takes_little_memory(tmp_path, nodes):
    store, place = Store(tmp_path), ("features", "large", "cd" * 32)
    folder = store.path(*place)
    with store.write(folder, {"key": place[2]}) as (temporary, _), (temporary / "large").open("wb") as file:
        for _ in range(24):
            file.write(os.urandom(freight.PIECE))
        file.write(b"and a rest")
    depot = ray.remote(num_cpus=0, max_concurrency=pool.CALLS)(carried.Weighed).remote(store)
    before, peaks = ray.get(depot.memory.remote()), []
    trip = ray.remote(num_cpus=1)(carried.there_and_back).remote(depot, place, content(store, place))
    while not ray.wait([trip], timeout=0.02)[0]:
        peaks.append(ray.get(depot.memory.remote()) - before)
    assert ray.get(trip)["files"] == store.index(folder)["files"]
    assert store.verify(store.path(place[0], "back", place[2]))
    assert max(peaks) < (pool.CALLS + 1) * 2 * freight.PIECE, f"{max(peaks) / 2**20:.0f} MiB"
    ray.kill(depot)


@pytest.mark.slow
def test_every_task_has_a_gpu_of_its_own_in_a_process_that_sees_all(tmp_path, nodes):
    machine = Machine(Store(tmp_path), tmp_path, "cuda", threads=1, precision="fp32", cluster="auto")
    task = pool.RayPool(machine, {})._task
    which = ray.remote(**{**task._default_options, "num_cpus": 0.5})(carried.gpu)
    for _ in range(2):  # in processes that live on
        found = ray.get([which.remote() for _ in range(6)])
        assert {visible for _, _, visible in found} == {None}
        assert len({(node, gpu) for node, gpu, _ in found}) == 6
        assert {gpu for _, gpu, _ in found} == {0, 1}


@pytest.mark.slow
def test_what_no_node_has_is_told_at_once(folder, bench, nodes):
    done = run(bench, "--executor", "ray", "--jobs", "auto", "--threads", "64", code=2)
    assert done.err == "error: no node of the Ray cluster has 64 CPUs (--threads); start one that has\n"


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine that names a cluster, in a program that is connected to none."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def machine(address="auto"):
        return Machine(Store(tmp_path), tmp_path, "cpu", threads=1, precision="fp32", cluster=address)

    return machine


def refused(machine):
    """Why it is not reached."""
    with pytest.raises(UsageError) as error, reached(machine):
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_extra_says_what_to_install(alone, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused(alone()) == (
        "--executor ray needs an optional package; run: pip install 'hash-pareto[ray]'"
    )


def test_no_cluster_says_how_to_start_one(alone, monkeypatch):
    def init(*_, **__):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    before = signal.getsignal(signal.SIGTERM)
    assert "no Ray cluster runs on this machine; start one (ray start --head)" in refused(alone())
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_address_that_does_not_answer_is_told_at_once(alone, monkeypatch):
    said = "no Ray cluster answers at 127.0.0.1:9 (--address, RAY_ADDRESS): "
    assert refused(alone("127.0.0.1:9")).startswith(said)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert refused(alone()).startswith(said)
    assert "start the run on a machine of the cluster" in refused(alone("ray://head:10001"))


@pytest.mark.parametrize(("slots", "why"), [(0, "is left"), (2, "is free")])
def test_waiting_for_nodes_is_told_once_until_something_happens(alone, monkeypatch, caplog, slots, why):
    monkeypatch.setattr(pool, "_slots", lambda machine: slots)
    caplog.set_level("WARNING", "bench")
    waiting = pool.RayPool(alone(), {})
    attempt = waiting._attempts["task"] = pool._Attempt(Stage("features", "f", {}), fresh=False)
    waiting._look_for_nodes()
    assert caplog.messages == []
    for _ in range(3):
        waiting._moved -= pool.STUCK + 1
        waiting._look_for_nodes()
    said = f"ray: no node that has a CPU {why}; the run waits for one"
    assert caplog.messages == [said]
    attempt.node = "somewhere"
    waiting._look_for_nodes()
    waiting._moved -= pool.STUCK + 1
    waiting._look_for_nodes()
    assert caplog.messages == [said]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": "ray", "pool": "inline"}, "exclude each other"),
        ({"address": "head:6379"}, "pass executor 'ray', too"),
        ({"executor": "ray", "timings": False}, "a run takes them itself"),
        ({"pool": "ray"}, "pool: 'ray' is none of"),
    ],
)
def test_options_that_another_executor_has_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        RunOptions(**options)
