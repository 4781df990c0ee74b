"""Queries without a score, on one side or both."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.comparison import check_text
from bench.comparison.check import check
from bench.comparison.compare import compare
from bench.comparison.verdicts import Limits
from bench.results.folder import Results
from tests.comparison.judged import cell, folder, without_the_best


@pytest.fixture
def scored(tmp_path):
    """A results folder of one seed with scores by query, of which some are not numbers."""

    def write(name: str, scores, **more) -> Results:
        value = float(np.nanmean(scores))
        found = folder([cell(value, name="map_reid", **more)], str(tmp_path / name))
        path = found.folder / f"per_query/{found.stems[found.records[0].key]}.safetensors"
        path.parent.mkdir(parents=True)
        save_file({"map_reid": np.asarray(scores, np.float32)}, path)
        return found

    return write


@pytest.mark.parametrize("unanswered", [1, 50, 199])
def test_a_query_without_a_match_hides_no_fall(scored, unanswered):
    scores = np.clip(np.random.default_rng(0).beta(8, 2, 200), 0, 1)
    scores[:unanswered] = np.nan
    base = scored("base", scores)
    found = check(base, scored("new", scores - 0.5), Limits(weak=True))
    assert found.exit_code == (3 if unanswered < 199 else 4)
    assert check_text.as_json(found)
    rng = np.random.default_rng(1)
    same = check(base, scored("same", scores + rng.normal(0, 0.001, 200)), Limits(weak=True))
    assert same.exit_code == (0 if unanswered < 199 else 4)
    if unanswered < 199:
        assert f"noise of {200 - unanswered} queries" in same.findings[0].reason


def test_the_gate_and_the_comparison_see_the_same_difference(scored):
    """Where one side alone answers a query, both leave it out."""
    scores = np.random.default_rng(0).beta(8, 2, 200)
    base, new = scored("base", scores), scored("new", without_the_best(scores - 0.001))
    judged = check(base, new, Limits(weak=True)).findings[0]
    compared = compare(base, new, metric="map_reid").pairs[0]
    assert (judged.baseline, judged.now) == (compared.base, compared.new)
    assert compared.difference == pytest.approx(-0.001, abs=1e-6)
    assert compared.queries == 199
