"""Codes that nobody trained against codes of several seeds: every seed is compared with the one cell."""

import numpy as np
import pytest

from bench.comparison.compare import compare
from bench.results.records import StageInfo
from tests.recorded import make_record
from tests.scored import paired_difference, scores_of

PRETRAINED = {"student": {"weights": "sha256:1"}}


def cell(loss, seed, quality, stages):
    record = make_record("cukd_v1", "none", loss, seed=seed, params=PRETRAINED)
    made = {name: StageInfo(key=name, seconds=1.0, cached=True) for name in stages}
    return record.model_copy(update={"stages": made}), scores_of(quality, seed)


@pytest.mark.parametrize("turned", [False, True])
def test_one_cell_stands_beside_every_seed(write, turned):
    alone = cell("none", 0, 0.6, ["encode"])
    trained = [cell("csq", seed, 0.62, ["finetune", "encode"]) for seed in range(3)]
    folder = write("one", [alone, *trained])
    sides = [{"loss": "none"}, {"loss": "csq"}]
    base, new = reversed(sides) if turned else sides
    found = compare(folder, folder, base_only=base, new_only=new)
    (pair,) = found.pairs
    expected = paired_difference([scores - alone[1] for _, scores in trained])
    sign = -1 if turned else 1
    assert sign * pair.difference == pytest.approx(expected.mean, abs=1e-6)
    assert (pair.seeds, pair.over) == (3, "seeds and queries")
    low, high = sorted(sign * end for end in pair.interval)
    np.testing.assert_allclose([low, high], expected.interval, atol=0.002)
    assert pair.notes[-1] == f"{'B' if turned else 'A'} is the same with every seed, and was made once"
    assert not any("only in" in note for note in pair.notes)
    assert found.gone == found.added == []
