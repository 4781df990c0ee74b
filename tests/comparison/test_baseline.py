"""Baselines: what they keep, and which are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.comparison.baseline import sights, write_baseline
from bench.comparison.check import check
from bench.comparison.verdicts import Limits
from bench.errors import UsageError
from bench.results.folder import load_results
from tests.comparison.gated import cell, failed, results
from tests.comparison.judged import MAP, TEN, WIDE, cells, folder
from tests.recorded import make_record


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


def test_unfinished_results_are_no_baseline(run_folder, tmp_path):
    with pytest.raises(UsageError, match="1 cells have no numbers"):
        write_baseline(results([cell(0.9), failed("dch")]), tmp_path)
    with pytest.raises(UsageError, match="--limit"):
        write_baseline(results([cell(0.9, protocol={"limit": 9})]), tmp_path)


def test_a_weak_baseline_is_told_and_one_that_shows_nothing_is_refused(tmp_path, caplog):
    fair, wide = folder(cells(TEN), "fair"), folder(cells(WIDE), "wide")
    summary, *_ = write_baseline(fair, tmp_path / "fair")
    assert not caplog.messages
    seen = check(load_results(tmp_path / "fair"), folder(cells(TEN[:3]), "three")).findings[0].seen
    assert f"| {seen:.4f} (3 seeds) " in summary.read_text()
    write_baseline(fair, tmp_path / "fair", Limits(sees=seen - 1e-4))
    (warned,) = caplog.messages
    assert warned.startswith(
        f"warning: a weak baseline: 1 of 1 accuracies would not show a fall of {seen - 1e-4:g} (--sees), for "
        f"example no fall below {seen:.2g} of {MAP} would be seen (cukd_v1 "
    )
    some = folder(cells(WIDE) + cells(TEN[:3], "dch"), "wide")
    with pytest.raises(UsageError) as refused:
        write_baseline(some, tmp_path / "wide")
    assert re.search(
        r"wide: too weak a baseline: 1 of 2 accuracies would not show a fall of 0\.15 \(3 times --sees\), "
        r"for example no fall of .*, or accept it with --weak$",
        str(refused.value),
    )
    assert not (tmp_path / "wide").exists()
    summary, *_ = write_baseline(wide, tmp_path / "wide", Limits(weak=True))
    assert "| none " in summary.read_text()
    # A tolerance that was given is judged by whatever the noise is, and says what it sees with that.
    assert write_baseline(wide, tmp_path / "given", Limits(tolerance=0.02))
    (one,) = sights(fair, Limits(tolerance=0.02))
    assert one.seen == pytest.approx(0.02 + 0.8834 * np.std(TEN, ddof=1) * np.sqrt(2 / 3), rel=1e-3)


def test_a_baseline_keeps_what_it_is_to_be_judged_by(tmp_path):
    pairs = zip(cells(TEN), cells(TEN, name="recall_at_k@10"), strict=True)
    both = [one.model_copy(update={"metrics": one.metrics | other.metrics}) for one, other in pairs]
    write_baseline(folder(both, "both"), tmp_path / "kept", Limits(metrics=("map", "recall_at_k")))
    kept = load_results(tmp_path / "kept")
    fallen = [
        one.model_copy(update={"metrics": one.metrics | cells([0.5], name="recall_at_k@10")[0].metrics})
        for one in both
    ]
    found = check(kept, folder(fallen, "new"), Limits(metrics=("map", "recall_at_k")))
    assert [one.metric for one in found.bad] == ["recall_at_k@10"]


def test_a_baseline_of_one_seed_keeps_scores_by_query_of_what_is_judged_alone(write, tmp_path):
    record, scores, more = make_record(), np.linspace(0.8, 1.0, 50), "map_rescored@10"
    record = record.model_copy(update={"metrics": record.metrics | {more: record.metrics[MAP]}})
    run = write("run", [(record, scores)])
    file = run.folder / "per_query/000.safetensors"
    save_file({name: scores.astype(np.float32) for name in (MAP, more)}, file)
    for metrics, kept in (((), {MAP}), (("map", "map_rescored"), {MAP, more})):
        write_baseline(run, tmp_path / "kept", Limits(metrics=metrics, weak=True))
        baseline = load_results(tmp_path / "kept")
        assert baseline.per_query(baseline.records[0]).keys() == kept
