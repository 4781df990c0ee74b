"""Collapsed codes are told, whatever mAP they happen to get; perfect ones, however few, are not."""

from __future__ import annotations

import numpy as np
import pytest

from bench.hamming import average_precision, pack_codes, popcount_distances
from bench.metrics.distinct_codes import COLLAPSED, DistinctCodes
from bench.types import RankingRule, Retrieval, RevisitedTruth

QUERIES, ITEMS, BITS, CLASSES = 60, 600, 16, 10
RNG = np.random.default_rng(0)
LABELS = RNG.integers(CLASSES, size=QUERIES + ITEMS)
CENTERS = RNG.choice([-1.0, 1.0], (CLASSES, BITS))


def retrieval(outputs, **more) -> Retrieval:
    codes = pack_codes(outputs)
    parts = codes[:QUERIES], codes[QUERIES:], LABELS[:QUERIES], LABELS[QUERIES:]
    return Retrieval(*parts, outputs.shape[1], RankingRule(), **more)


def flipped(share: float):
    """Class centers of which so many bits are wrong."""
    return CENTERS[LABELS] * np.where(RNG.random((len(LABELS), BITS)) < share, -1, 1)


def near_constant(wrong: int):
    """One code for all but a few images."""
    outputs = np.ones((len(LABELS), BITS))
    outputs[:wrong] = -1
    outputs[QUERIES : QUERIES + wrong] = -1
    return outputs


@pytest.mark.parametrize(
    ("outputs", "warned"),
    [
        (np.ones((len(LABELS), BITS)), True),
        (near_constant(3), True),
        (CENTERS[LABELS % 3], True),
        (np.repeat(CENTERS[LABELS % 2, :1], BITS, axis=1), True),
        (CENTERS[LABELS], False),
        (flipped(0.1), False),
        (flipped(0.3), False),
        (RNG.standard_normal((len(LABELS), BITS)), False),
        (CENTERS[LABELS % 4], True),
        (CENTERS[LABELS // 2], True),
        (RNG.standard_normal((len(LABELS), 4)), True),
        (RNG.standard_normal((len(LABELS), 1)), True),
        (RNG.standard_normal((len(LABELS), 64)), False),
    ],
    ids=["constant", "nearly", "three codes for ten classes", "two", "perfect", "good", "poor", "random",
         "four codes", "five codes", "four bits", "one bit", "random long"],
)  # fmt: skip
def test_only_codes_whose_map_is_an_order_of_ties_are_warned_of(outputs, warned):
    subject = retrieval(outputs)
    found = DistinctCodes(DistinctCodes.Params()).compute(subject)
    assert found.warnings == ((COLLAPSED,) if warned else ())
    bounds = [
        average_precision(
            subject.query,
            subject.database,
            subject.query_labels,
            subject.database_labels,
            bits=subject.bits,
            ties=ties,
        ).mean()
        for ties in ("best", "worst")
    ]
    assert warned == (bounds[1] < bounds[0] / 2)


def test_values_against_loops():
    subject = retrieval(flipped(0.2))
    found = DistinctCodes(DistinctCodes.Params()).compute(subject).values
    codes = [code.tobytes() for code in subject.database]
    assert found["distinct_codes"].value == len(set(codes))
    assert found["commonest_code"].value == max(map(codes.count, codes)) / len(codes)
    expected = []
    for row, label in zip(
        popcount_distances(subject.query, subject.database, bits=BITS), subject.query_labels, strict=True
    ):
        mine, others = row[subject.database_labels == label], row[subject.database_labels != label]
        expected.append(np.mean(mine[:, None] == others))
    assert found["tied_pairs"].value == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(("classes", "codes"), [(10, 4), (20, 5), (100, 6), (100, 10)])
def test_however_many_classes_share_few_codes(classes, codes):
    labels = np.arange(10 * classes) % classes
    outputs = RNG.choice([-1.0, 1.0], (codes, 32))[labels % codes]
    packed, half = pack_codes(outputs), len(labels) // 2
    parts = packed[:half], packed[half:], labels[:half], labels[half:]
    found = DistinctCodes(DistinctCodes.Params()).compute(Retrieval(*parts, 32, RankingRule()))
    assert found.warnings == (COLLAPSED,)


def test_where_labels_do_not_judge_the_commonest_code_tells():
    truth = RevisitedTruth({}, {}, {})
    for outputs, warned in ((near_constant(3), True), (flipped(0.1), False)):
        found = DistinctCodes(DistinctCodes.Params()).compute(retrieval(outputs, truth=truth))
        assert bool(found.warnings) == warned
        assert "tied_pairs" not in found.values
