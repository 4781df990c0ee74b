"""What each number of the gate is judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.comparison import check_text
from bench.comparison.check import check
from bench.comparison.verdicts import Limits
from bench.results.folder import Results
from tests.comparison.gated import MAP, cell, results, score
from tests.recorded import cost, make_record


def verdicts(found, metric: str = MAP) -> list[str]:
    return [finding.verdict for finding in found.findings if finding.metric == metric]


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


def test_a_machine_without_a_gpu_has_none():
    found = check(timed(), timed(fingerprint="another", gpu="Example GPU"), Limits(tolerance=0))
    assert "other hardware: gpu none against Example GPU" in check_text.text(found)


@pytest.mark.parametrize("fact", ["unit", "higher_is_better", "noise"])
@pytest.mark.parametrize("name", [MAP, "macs", "latency_ms@1"])
def test_a_number_that_means_something_else_now_is_never_green(name, fact):
    timing = cost(2.0, "ms", "timed")
    base = [cell(0.9, seed, metrics={"latency_ms@1": timing}) for seed in range(3)]
    old = base[0].metrics[name]
    other = {
        "unit": "%",
        "higher_is_better": not old.higher_is_better,
        "noise": "exact" if old.noise == "timed" else "timed",
    }
    metric = old.model_copy(update={fact: other[fact]})
    now = [record.model_copy(update={"metrics": {**record.metrics, name: metric}}) for record in base]
    found = check(results(base, Path("base")), results(now))
    assert found.exit_code == 3
    assert verdicts(found, name) == ["changed"]
    assert next(one.reason for one in found.findings if one.metric == name).endswith("make the baseline anew")
