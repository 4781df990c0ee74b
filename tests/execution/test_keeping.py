"""``report: {keep: front}``: networks that matter lie beside the records, and outlive the cache."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from bench.deployment.cells import find_cell
from bench.deployment.weights import stage_of
from bench.errors import UsageError
from bench.execution import keeping
from bench.results.folder import load_results
from bench.storage import store
from bench.storage.store import Store
from tests.left import loaded

OUT = Path("results/tiny")
WEIGHTS = OUT / "weights"
FRONT = ("--set", "report.keep=front", "--set", "measure={latency: false, peak_memory: false}")
ALL = ("--set", "report.keep=all", *FRONT[2:])
TWO = ("student: [tiny_student]", "student: [tiny_student, tiny.student_a]")


def kept():
    """Keys of what lies with the results, by kind."""
    found = {}
    for path in WEIGHTS.glob("*/*/artifact.json"):
        found.setdefault(path.parent.parent.name, set()).add(json.loads(path.read_text())["key"])
    return found


def keys(records):
    """What ``kept`` should find of these cells."""
    return {kind: {record.stages[kind].key for record in records} for kind in ("finetune", "encode")}


def on_a_front():
    """Cells of one seed that no other is better than, by definition, for any of the charts."""

    def worse(one, other, cost):
        pair = [(r.metrics["map@all:expected:relevant"].value, -r.metrics[cost].value) for r in (one, other)]
        return all(b >= a for a, b in zip(*pair, strict=True)) and pair[0] != pair[1]

    some = loaded(OUT)
    return [
        one
        for one in some
        if any(not any(worse(one, other, cost) for other in some) for cost in ("macs", "params"))
    ]


def state():
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in WEIGHTS.rglob("*")}


def test_the_fronts_are_kept_and_need_no_cache(tiny, folder):
    result = tiny("run", *FRONT, edit=TWO)
    assert result.code == 0, result.err
    front = on_a_front()
    assert 0 < len(front) < 8
    assert kept() == keys(front)
    size = sum(
        path.stat().st_size for path in WEIGHTS.rglob("*") if path.name != "artifact.json" and path.is_file()
    )
    cells = "1 cell" if len(front) == 1 else f"{len(front)} cells"
    assert f"kept: networks and codes of {cells} in results/tiny/weights, {size / 1e6:.1f} MB" in result.out
    shutil.rmtree(folder / "cache")
    results = load_results(OUT)
    for record in results.records:
        cell = find_cell(str(results.path(record)))
        if record in front:
            assert stage_of(cell)[0].root == WEIGHTS
        else:
            with pytest.raises(UsageError, match="make it anew"):
                stage_of(cell)
    assert stage_of(find_cell(None, OUT))[0].root == WEIGHTS


def test_a_second_run_copies_nothing(tiny, folder, monkeypatch):
    first = tiny("run", *FRONT)
    before = state()
    monkeypatch.setattr(Store, "copy", None)
    shutil.rmtree(folder / "cache")
    again = tiny("run", *FRONT)
    assert again.code == 0
    assert state() == before
    (line,) = (line for line in first.out.splitlines() if line.startswith("kept: "))
    assert line in again.out.splitlines()
    assert "warning" not in again.err


def test_what_is_on_no_front_any_more_goes(tiny):
    assert tiny("run", *FRONT, "--only", "loss=csq").code == 0
    first = kept()
    assert first == keys(on_a_front())
    assert tiny("run", *FRONT).code == 0
    assert kept() == keys(on_a_front())
    assert tiny("run", *ALL).code == 0
    assert kept() == keys(loaded(OUT))
    before = state()
    assert tiny("run", *FRONT[2:]).code == 0
    assert state() == before
    assert tiny("run", *FRONT, edit=("loss: [csq, dch]", "loss: [csq]")).code == 0
    assert kept() == first


def test_a_failed_cell_keeps_no_other_from_being_kept(tiny):
    boom = ("[csq, dch]", "[csq, {name: dch, params: {lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd}}]")
    assert tiny("run", *ALL, edit=boom).code == 1
    assert kept() == keys([record for record in loaded(OUT) if record.status == "ok"])


def test_a_full_disk_fails_no_run_and_the_next_one_goes_on(tiny, monkeypatch):
    def full(source, to):
        Path(to).write_bytes(b"0")
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "copyfile", full)
        result = tiny("run", *FRONT)
    assert result.code == 0
    assert "warning: results/tiny/weights: weights are not kept: No space left on device\n" in result.err
    assert "kept: " not in result.out
    assert kept() == {}
    assert not [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert len(loaded(OUT)) == 4
    assert tiny("run", *FRONT).code == 0
    assert kept() == keys(on_a_front())


def test_what_neither_has_any_more_is_told(tiny, folder):
    assert tiny("run", *FRONT[2:]).code == 0
    shutil.rmtree(folder / "cache")
    result = tiny("run", *ALL)
    assert result.code == 0
    assert "warning: 4 of 4 networks are not kept, as the cache does not have them any more" in result.err
    assert "kept: networks and codes of 0 cells in results/tiny/weights, 0.0 MB" in result.out


@pytest.mark.parametrize("damage", ["shortened", "gone", "no index"])
def test_a_damaged_copy_is_made_anew(tiny, damage):
    assert tiny("run", *FRONT).code == 0
    network = next(WEIGHTS.rglob("network.safetensors"))
    if damage == "shortened":
        network.write_bytes(network.read_bytes()[:-1])
    elif damage == "gone":
        network.unlink()
    else:
        (network.parent / "artifact.json").unlink()
    assert tiny("run", *FRONT).code == 0
    assert kept() == keys(on_a_front())
    assert all(Store(WEIGHTS).intact(path.parent) for path in WEIGHTS.glob("*/*/artifact.json"))


def test_a_limited_run_has_no_front(tiny):
    result = tiny("run", *FRONT, "--limit", "10")
    assert "kept: networks and codes of 0 cells" in result.out
    assert kept() == {}


def test_all_seeds_of_a_row_and_the_recommended_student_are_kept(make_record, write_results):
    """A student that a warned one beats is recommended, and on no front."""
    warned = [make_record("cukd_v2", loss="dch", bits=64, seed=seed) for seed in (0, 1)]
    costs = make_record("cukd_v1").metrics
    cheap = {name: one for name, one in costs.items() if name in ("macs", "params", "latency_ms@1")}
    warned = [
        one.model_copy(update={"warnings": ["copies"], "metrics": {**one.metrics, **cheap}}) for one in warned
    ]
    plain = [make_record(seed=seed) for seed in (0, 1)]
    folder = write_results([*warned, *plain, make_record("efficientnet_lite0", "none", "dch", bits=16)])
    found = [record.key for record in keeping._on_fronts(load_results(folder))]
    assert len(found) == len(set(found))
    assert {record.key for record in (*warned, *plain)} <= set(found)


def test_other_verbs_do_not_mind(tiny, bench):
    seeds = ("seed: [0]", "seed: [0, 1, 2]")
    assert tiny("run", *FRONT, edit=seeds).code == 0
    before = state()
    assert before
    for arguments in (
        ("report", OUT),
        ("report", OUT, OUT, "--out", "both"),
        ("check", "--baseline", "baseline", OUT, "--update", "--weak"),
        ("check", "--baseline", "baseline", OUT, "--weak"),
        ("compare", OUT, "--a", "loss=csq", "--b", "loss=dch"),
    ):
        result = bench(*arguments)
        assert result.code == 0, result.err
    assert not Path("baseline/weights").exists()
    assert state() == before
