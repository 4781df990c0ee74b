"""``check``: exit codes, files beside the verdict, updates."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree

from bench.results import records
from tests.comparison.gated import MAP


def test_the_verb(run_folder, tmp_path, bench, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    made = bench("check", "--baseline", tmp_path / "b", run_folder, "--update")
    assert (made.code, made.out) == (0, f"{tmp_path / 'b/baseline.md'}\n")
    assert f"{tmp_path / 'b'} is made of {run_folder}, 40 files; review" in made.err
    extra = ["--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md"]
    same = bench("check", "--baseline", tmp_path / "b", run_folder, *extra)
    assert (same.code, same.out.splitlines()[0]) == (
        0,
        f"Fine: all 12 numbers of {run_folder} against {tmp_path / 'b'} are as they were.",
    )
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "0"
    assert (tmp_path / "m.md").read_text() == (tmp_path / "summary.md").read_text()
    for path in (run_folder / "records").glob("*.json"):
        record = records.load(path)
        lower = record.metrics[MAP].model_copy(update={"value": record.metrics[MAP].value - 0.02})
        records.save(record.model_copy(update={"metrics": record.metrics | {MAP: lower}}), path)
    worse = bench("check", "--baseline", tmp_path / "b", run_folder, "--json")
    assert (worse.code, json.loads(worse.out)["exit_code"]) == (3, 3)
    accepted = bench("check", "--baseline", tmp_path / "b", run_folder, "--update")
    assert accepted.code == 0
    assert "review it: git diff" in accepted.err
    assert bench("check", "--baseline", tmp_path / "b", run_folder).code == 0


def test_update_writes_over_nothing_but_a_baseline(run_folder, tmp_path, bench):
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    same = bench("check", "--baseline", run_folder, run_folder, "--update")
    assert (same.code, "these are the results themselves" in same.err) == (2, True)
    other = shutil.copytree(run_folder, tmp_path / "other")
    assert "holds the results of a run" in bench("check", "--baseline", other, run_folder, "--update").err
    mine = tmp_path / "mine/records/notes.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    refused = bench("check", "--baseline", mine.parent.parent, run_folder, "--update")
    assert (refused.code, "holds other files (records)" in refused.err) == (2, True)
    assert mine.exists()
    assert {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()} == before


def test_a_summary_that_cannot_be_written_is_no_verdict(run_folder, tmp_path, bench, monkeypatch):
    bench("check", "--baseline", tmp_path / "b", run_folder, "--update")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    done = bench("check", "--baseline", tmp_path / "b", run_folder)
    assert (done.code, "GITHUB_STEP_SUMMARY" in done.err) == (0, True)


def test_no_baseline_yet_says_how_to_make_one(run_folder, tmp_path, bench):
    absent = tmp_path / "baselines/gate"
    found = bench("check", "--baseline", absent, run_folder)
    cure = f"make it with: python -m bench check --baseline {absent} {run_folder} --update"
    assert (found.code, found.err) == (2, f"error: {absent}: no such folder; {cure}\n")
    absent.mkdir(parents=True)
    assert (
        f"{absent}: no baseline in it (no grid.json); {cure}"
        in bench("check", "--baseline", absent, run_folder).err
    )
    assert (
        f"{tmp_path / 'nowhere'}: no such folder"
        in bench("check", "--baseline", run_folder, tmp_path / "nowhere").err
    )
