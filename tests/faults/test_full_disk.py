"""A full disk: told beforehand, in one line when it comes, and nothing is lost or half written."""

from __future__ import annotations

import collections
import json
import shutil

import pytest

from bench.cli import main
from bench.results.folder import load_results
from tests.faults.disks import mounted

#: Kilobytes that the store of the tiny grid or its results may take: from nothing to nearly all of it.
ROOMS = [0, 40, 200, 600]


def values(out):
    """What must not depend on anything that happened on the way."""
    return {
        record.key: {name: one.value for name, one in record.metrics.items() if one.noise != "timed"}
        for record in load_results(out).records
    }


@pytest.mark.parametrize("which", ["cache", "results"])
def test_a_run_ends_in_a_line_and_goes_on_where_there_is_room(tiny, folder, which):
    quick = ("--only", "method=none", "--set", "measure.latency=false")
    expected = tiny("run", *quick, "--out", "whole")
    assert expected.code == 0
    shutil.rmtree(folder / "cache")
    with mounted(folder / which, 8) as disk:
        ends = collections.Counter()
        for kilobytes in ROOMS:
            disk.resize(max(kilobytes, 4))
            ended = tiny("run", *quick, "--out", "results/tiny")
            ends[ended.code] += 1
            assert "Traceback" not in ended.err
            if ended.code:
                assert ended.code == 2
                last = ended.err.splitlines()[-1]
                assert last.startswith("error: ")
                assert "No space left on device" in last
                assert any(cure in last for cure in ("make room", "choose a writable folder", "BENCH_CACHE"))
        assert ends[2] >= 1
        disk.resize(100_000)
        assert tiny("run", *quick, "--out", "results/tiny").code == 0
        assert values(folder / "results/tiny") == values(folder / "whole")
        assert not [path for path in (folder / which).rglob("*") if path.name.endswith(".tmp")]


def test_a_report_for_which_there_is_no_room_leaves_the_old_one(run_records, write_results, folder, capsys):
    results = write_results(run_records)
    with mounted(results / "report", 50_000) as disk:
        assert main(["report", str(results)]) == 0
        before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
        used = sum(map(len, before.values())) // 1024
        disk.resize(round(1.5 * used) + 200)
        path = next((results / "records").iterdir())
        path.write_text(path.read_text())
        assert main(["report", str(results), "--within", "0.5"]) == 2
        assert "No space left on device" in capsys.readouterr().err
        after = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
        assert after == before
        disk.resize(50_000)
        assert main(["report", str(results), "--within", "0.5"]) == 0
        assert {path.read_bytes() for path in disk.path.rglob("*.html")} != set()


def test_a_plan_and_a_run_say_that_there_is_too_little_room(tiny, folder, monkeypatch):
    assert tiny("run", "--only", "loss=csq", "--only", "method=none").code == 0
    full = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    summary = json.loads(tiny("plan", "--set", "axes.seed=[1]", "--json").out)
    (said,) = [line for line in summary["warnings"] if "GB are free" in line]
    assert said.startswith(f"{folder / 'cache'}: 0.0 GB are free, and about ")
    assert said.endswith("make room, or set BENCH_CACHE to a folder on another disk")
    assert f"Disk: {said}" in tiny("plan", "--set", "axes.seed=[1]").out
    run = tiny(
        "run", "--set", "axes.seed=[1]", "--only", "loss=csq", "--only", "method=none", "--out", "next"
    )
    assert run.code == 0
    assert f"warning: {said[:30]}" in run.err
