"""The gate: red for what got worse, green for chance, and silent about nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.comparison import check_text
from bench.comparison.baseline import write_baseline
from bench.comparison.check import check
from bench.comparison.verdicts import Limits
from bench.errors import UsageError
from bench.results import records
from bench.results.folder import Results, load_results, save_index
from bench.results.records import Failure, Measured, Record
from tests.recorded import cost, make_record

MAP = "map@all:expected:relevant"
HOSTILE = "<img src=x onerror=alert(1)> | \"&' ]]> `code` @team #1"
#: Spread over seeds of the grid that the project gates itself with.
SPREAD = 0.005


def score(value: float, interval: tuple[float, float] | None = None) -> Measured:
    return Measured(value=value, unit="", higher_is_better=True, noise="seeded", interval=interval)


def cell(value: float, seed: int = 0, loss: str = "csq", **more) -> Record:
    metrics = {MAP: score(value), "params": cost(1000, "parameters"), "macs": cost(2e6, "MACs")}
    return make_record(loss=loss, seed=seed, metrics=metrics | more.pop("metrics", {}), **more)


def results(found: list[Record], folder: Path = Path("new"), name: str = "grid") -> Results:
    stems = {record.key: f"cell-{i:012x}" for i, record in enumerate(found)}
    return Results(folder, name, [("map", "macs")], found, [], {}, stems)


def runs(rng, seeds: int, shift: float = 0.0, losses=("csq", "dch", "dpn", "dtsh")) -> list[Record]:
    """What training anew gives, with other noise and the same seeds."""
    return [cell(0.97 + rng.normal(0, SPREAD) + shift * (loss == losses[0]), seed, loss)
            for loss in losses for seed in range(seeds)]  # fmt: skip


@pytest.fixture
def baseline():
    return results(runs(np.random.default_rng(7), 10), Path("base"))


def verdicts(found, metric: str = MAP) -> list[str]:
    return [finding.verdict for finding in found.findings if finding.metric == metric]


def test_the_same_numbers_are_fine(baseline):
    same = check(baseline, results(baseline.records))
    assert same.exit_code == 0
    assert {finding.verdict for finding in same.findings} == {"equal"}
    assert check_text.answer(same) == "Fine: all 12 numbers of new against base are as they were."


def test_unchanged_code_that_rounds_differently_stays_green(baseline):
    rng = np.random.default_rng(1)
    red = [check(baseline, results(runs(rng, 3))).exit_code == 3 for _ in range(100)]
    assert sum(red) <= 1


def test_a_fall_of_two_points_is_caught_and_named(baseline):
    fallen = [record for record in baseline.records if record.cell.seed < 3]
    worse = [
        cell(
            record.metrics[MAP].value - 0.02 * (record.cell.loss == "dch"), record.cell.seed, record.cell.loss
        )
        for record in fallen
    ]
    found = check(baseline, results(worse))
    assert found.exit_code == 3
    (red,) = found.of("regression")
    assert (red.metric, red.configuration) == (MAP, "cukd_v1 · cukd · dch · 32 bit")
    assert 0.012 < red.allowed < 0.02
    assert check_text.answer(found).startswith(f"Worse: cukd_v1 · cukd · dch · 32 bit: {MAP} fell from 0.9")


def test_a_true_fall_of_two_points_is_mostly_found_whatever_the_noise(baseline):
    rng = np.random.default_rng(2)
    found = [check(baseline, results(runs(rng, 3, shift=-0.02))).exit_code == 3 for _ in range(60)]
    assert np.mean(found) > 0.7


def test_a_rise_is_no_fault_but_is_told(baseline):
    better = results(runs(np.random.default_rng(3), 3, shift=0.025))
    found = check(baseline, better)
    assert found.exit_code == 0
    assert ", 1 better than chance explains; a fall of 0.0" in check_text.answer(found)


def test_a_given_tolerance_overrules_the_noise():
    base = results([cell(0.9)])
    assert check(base, results([cell(0.895)]), Limits(tolerance=0.005)).exit_code == 0
    assert check(base, results([cell(0.894)]), Limits(tolerance=0.005)).exit_code == 3


def test_with_one_seed_the_noise_is_that_of_the_queries(tmp_path):
    rng = np.random.default_rng(4)
    scores = rng.beta(8, 2, 400)
    for name, change in (
        ("base", 0.0),
        ("same", rng.normal(0, 0.1, 400)),
        ("worse", rng.normal(-0.05, 0.1, 400)),
    ):
        found = results([cell(float((scores + change).mean()))], tmp_path / name)
        path = found.folder / "per_query" / "cell-000000000000.safetensors"
        path.parent.mkdir(parents=True)
        save_file({MAP: (scores + change).astype(np.float32) * np.ones(400, np.float32)}, path)
        if name == "base":
            base = found
            continue
        verdict = check(base, found)
        assert verdict.exit_code == (3 if name == "worse" else 0)
        assert "noise of 400 queries" in verdict.findings[0].reason


def test_without_scores_by_query_their_interval_serves():
    base = results([cell(0.9, metrics={MAP: score(0.9, (0.88, 0.92))})])
    assert check(base, results([cell(0.885)])).exit_code == 0
    found = check(base, results([cell(0.85)]))
    assert found.exit_code == 3
    assert found.findings[0].reason == "interval over queries alone"
    # The one-sided quantile of 1 in 1,000, where half of the interval is 1.96 standard errors of one mean.
    assert found.findings[0].allowed == pytest.approx(2**0.5 * 0.02 * 3.0902 / 1.96, rel=1e-4)
    assert "how far seeds stray is not known" in check_text.text(found)


def test_unknown_noise_is_not_guessed():
    found = check(results([cell(0.9)]), results([cell(0.5)]))
    assert verdicts(found) == ["not judged"]
    assert "give --tolerance" in found.findings[0].reason
    assert found.exit_code == 4


@pytest.mark.parametrize("now", [999, 1001])
def test_what_is_exact_must_be_equal(baseline, now):
    changed = [
        cell(
            record.metrics[MAP].value,
            record.cell.seed,
            record.cell.loss,
            metrics={"params": cost(now, "parameters")},
        )
        for record in baseline.records
    ]
    found = check(baseline, results(changed))
    assert found.exit_code == 3
    assert verdicts(found, "params") == ["changed"] * 4
    assert f"params is {now:,} and was 1,000" in check_text.answer(found)


def test_what_other_programs_print_is_not_judged(baseline):
    base = results([cell(0.9, metrics={"macs_thop": cost(5, "MACs")})])
    new = results([cell(0.9, metrics={"macs_thop": cost(6, "MACs")})])
    assert "macs_thop" not in {finding.metric for finding in check(base, new).findings}


def test_a_metric_that_is_measured_no_more_is_missing():
    base = results([cell(0.9)])
    new = results([make_record(loss="csq", metrics={MAP: score(0.9)})])
    assert verdicts(check(base, new, Limits(tolerance=0)), "macs") == ["missing"]
    assert check(base, new, Limits(tolerance=0)).exit_code == 3


# -- Timings -------------------------------------------------------------------------------------


def timed(factor: float = 1.0, *, noisy: bool = False, count: int = 40, **environment) -> Results:
    samples = (np.random.default_rng(0).normal(2.0, 0.05, count) * factor).tolist()
    latency = cost(float(np.median(samples)), "ms", "timed", noisy=noisy).model_copy(
        update={"samples": samples}
    )
    return results([cell(0.9, metrics={"latency_ms@1": latency}, environment=environment or None)])


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (timed(1.5), "regression"),
        (timed(1.1), "within noise"),
        (timed(0.5), "improved"),
        (timed(1.5, noisy=True), "not judged"),
        (timed(1.5, fingerprint="another", cpu="Another CPU"), "not judged"),
    ],
)
def test_timings_count_on_the_same_hardware_only(new, expected):
    found = check(timed(), new, Limits(tolerance=0))
    assert verdicts(found, "latency_ms@1") == [expected]
    assert found.exit_code == (3 if expected == "regression" else 0)


def test_so_few_samples_that_no_test_could_tell_are_said_to_be_too_few():
    found = check(timed(count=5), timed(1.5, count=5), Limits(tolerance=0))
    assert found.exit_code == 0
    assert "not judged: timings: too few samples to tell: 5 against 5" in check_text.text(found)


@pytest.mark.parametrize("how", [{"noisy": True}, {"count": 1}, {"count": 5, "noisy": True}])
def test_a_network_that_got_far_slower_hides_behind_no_unsteady_timing(how):
    """A budget cuts the samples of whatever is slow, and marks them as unsteady."""
    found = check(timed(), timed(9.0, **how), Limits(tolerance=0))
    assert verdicts(found, "latency_ms@1") == ["regression"]
    assert check(timed(9.0), timed(**how), Limits(tolerance=0)).exit_code == 0


def test_a_timing_that_one_seed_lacks_is_missing():
    base, new = (
        results(
            [
                *timed().records,
                timed()
                .records[0]
                .model_copy(
                    update={"key": "other", "cell": timed().records[0].cell.model_copy(update={"seed": 1})}
                ),
            ]
        )
        for _ in range(2)
    )
    lacking = new.records[1].model_copy(update={"metrics": {MAP: score(0.9)}})
    found = check(base, results([new.records[0], lacking]), Limits(tolerance=0))
    assert verdicts(found, "latency_ms@1") == ["missing"]


def test_memory_has_no_samples_and_is_judged_by_its_ratio():
    def measured(megabytes: float) -> Results:
        return results([cell(0.9, metrics={"peak_memory_mb@1": cost(megabytes, "MB", "timed")})])

    for now, verdict in (
        (100.0, "equal"),
        (120.0, "within noise"),
        (200.0, "regression"),
        (50.0, "improved"),
    ):
        found = check(measured(100.0), measured(now), Limits(tolerance=0))
        assert verdicts(found, "peak_memory_mb@1") == [verdict]


def test_the_report_says_which_hardware_kept_timings_from_being_judged():
    text = check_text.text(
        check(timed(), timed(fingerprint="another", cpu="Another CPU"), Limits(tolerance=0))
    )
    assert "not judged: timings: other hardware: cpu Example CPU 16-Core against Another CPU" in text


# -- What is not there ---------------------------------------------------------------------------


def failed(loss: str, seed: int = 0) -> Record:
    error = Failure(type="RuntimeError", stage="finetune", message=HOSTILE)
    return make_record(loss=loss, seed=seed, status="failed", error=error)


def test_a_cell_that_fails_now_is_red(baseline):
    new = [record for record in baseline.records if record.cell.loss != "dch"] + [
        failed("dch", s) for s in range(3)
    ]
    found = check(baseline, results(new), Limits(allow_missing=True))
    assert found.exit_code == 3
    assert "failed in finetune" in found.of("missing")[0].reason


def test_an_absent_configuration_is_red_unless_allowed(baseline):
    new = results([record for record in baseline.records if record.cell.loss != "dch"])
    assert check(baseline, new).exit_code == 3
    assert check(baseline, new, Limits(allow_missing=True)).exit_code == 0


def test_fewer_seeds_than_the_baseline_are_enough(baseline):
    new = results([record for record in baseline.records if record.cell.seed < 3])
    assert check(baseline, new).exit_code == 0


@pytest.mark.parametrize(
    "other",
    [
        [cell(0.9, dataset="another")],
        [cell(0.9, protocol={"k": 1000})],
        [cell(0.9, protocol={"limit": 50})],
        [],
    ],
)
def test_nothing_in_common_is_neither_green_nor_red(baseline, other):
    found = check(baseline, results(other))
    assert found.exit_code == 4
    assert check_text.answer(found).startswith("Nothing to compare")


def test_a_changed_default_is_judged_and_told(baseline):
    new = [
        cell(record.metrics[MAP].value, record.cell.seed, record.cell.loss, params={"loss": {"epochs": 31}})
        for record in baseline.records
    ]
    found = check(baseline, results(new))
    assert found.exit_code == 0
    text = check_text.text(found)
    assert "parameters differ: loss.epochs 30 -> 31" in text
    assert "parameters differ, see below" in check_text.answer(found)
    assert "as they were" not in text


# -- For people, pull requests and servers -------------------------------------------------------


def test_hostile_names_stay_text(baseline):
    new = [record for record in baseline.records if record.cell.loss != "dch"] + [
        failed("dch", s) for s in range(3)
    ]
    found = check(baseline, results(new, name=HOSTILE))
    suite = ElementTree.fromstring(check_text.junit(found))
    assert (suite.get("failures"), suite.get("tests")) == ("1", "10")
    assert HOSTILE in suite.find(".//failure").get("message")
    (row,) = [
        line for line in check_text.markdown(found).splitlines() if "onerror" in line and line.startswith("|")
    ]
    assert "<img" not in row.replace("\\<", "")
    assert row.replace("\\|", "").count("|") == 11
    assert json.loads(check_text.as_json(found))["exit_code"] == 3


def test_a_baseline_passes_against_what_it_was_made_from(run_folder, tmp_path):
    found = load_results(run_folder)
    files = write_baseline(found, tmp_path / "baseline")
    assert files[0].read_text().count("cukd_v1") == 4
    kept = load_results(tmp_path / "baseline")
    assert check(kept, found).exit_code == 0
    assert max(path.stat().st_size for path in files) < 5_000
    assert all(record.stages == {} for record in kept.records)
    write_baseline(found, tmp_path / "baseline")
    assert sorted((tmp_path / "baseline/records").iterdir()) == sorted(files[1:])


@pytest.fixture
def run_folder(baseline, tmp_path):
    folder = tmp_path / "results"
    save_index(
        folder, "grid", [("map", "macs")], {r.cell_key: f"c{i}" for i, r in enumerate(baseline.records)}
    )
    for i, record in enumerate(baseline.records):
        records.save(record, folder / "records" / f"c{i}-{i:012x}.json")
    return folder


def test_unfinished_results_are_no_baseline(run_folder, tmp_path):
    with pytest.raises(UsageError, match="1 cells have no numbers"):
        write_baseline(results([cell(0.9), failed("dch")]), tmp_path)
    with pytest.raises(UsageError, match="--limit"):
        write_baseline(results([cell(0.9, protocol={"limit": 9})]), tmp_path)


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
