"""Metrics of instance retrieval against loops over queries and items, on all of a database and on parts."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.hamming import pack_codes, popcount_distances
from bench.metrics._instance import TIE_ORDERS, tie_orders
from bench.metrics.reid import ReIdentification
from bench.metrics.revisited import Revisited
from bench.metrics.videos import Videos
from bench.types import CameraTruth, FrameTruth, RankingRule, Retrieval, RevisitedTruth

WIDTH = 9


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def subject_of(
    bits: int, index: tuple[Any, Any], truth: Any, labels: NDArray[np.int64] | None = None
) -> Retrieval:
    """Random embeddings or codes of a data set's images, those of queries and database picked out."""
    values = np.random.default_rng(5).standard_normal((200, WIDTH))
    query, database = (np.asarray(part, np.int64) for part in index)
    codes: NDArray[Any]
    if bits:
        codes = pack_codes(values[:, :bits])
    else:
        codes = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    labels = np.zeros(200, np.int64) if labels is None else labels
    arrays = codes[query], codes[database], labels[query], labels[database]
    return Retrieval(*arrays, bits, RankingRule(), query, database, truth)


def rankings(subject: Retrieval, row: int) -> list[list[int]]:
    """Data set indices of the database, nearest first, in every order of ties."""
    if subject.bits:
        distances: NDArray[Any] = popcount_distances(subject.query[row : row + 1], subject.database)[0]
    else:
        distances = -(subject.database @ subject.query[row])
    result = []
    for order in tie_orders(len(subject.database), subject.bits):
        place = {item: at for at, item in enumerate(order.tolist())}
        items = sorted(range(len(distances)), key=lambda i: (distances[i], place[i]))
        result.append(subject.database_index[items].tolist())
    return result


def check(measurement: Any, name: str, expected: Any, **detail: int) -> None:
    """Values by query as expected, NaN where they are; mean and interval over the others."""
    expected = np.asarray(expected, float)
    valid = ~np.isnan(expected)
    np.testing.assert_allclose(measurement.per_query[name], expected, atol=1e-9)
    value = measurement.values[name]
    assert value.value == pytest.approx(expected[valid].mean())
    assert value.interval[0] <= value.value <= value.interval[1]
    assert value.detail == {"queries": len(expected), "valid": int(valid.sum()), **detail}
    json.dumps(dataclasses.asdict(value), allow_nan=False)


def revisited_truth() -> RevisitedTruth:
    """Ten queries, 190 to 199, with images 0 to 99; the first has nothing easy, the second nothing at all."""
    roles = np.random.default_rng(8).choice(4, size=(10, 100), p=[0.05, 0.1, 0.1, 0.75])
    roles[0][roles[0] == 0] = 3
    roles[1][roles[1] < 2] = 3
    lists = [{190 + q: np.flatnonzero(row == role) for q, row in enumerate(roles)} for role in range(3)]
    return RevisitedTruth(*lists)


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("part", ["all", "some"])
def test_revisited(bits: int, part: str) -> None:
    truth = revisited_truth()
    database = np.arange(100) if part == "all" else np.arange(1, 100, 3)
    subject = subject_of(bits, (np.arange(190, 200), database), truth)
    measurement = Revisited(Revisited.Params(ks=(1, 5))).compute(subject)
    expected: dict[str, list[float]] = {}
    for row, query in enumerate(subject.query_index.tolist()):
        kinds = (truth.easy, truth.hard, truth.junk)
        easy, hard, junk = ({int(i) for i in kind[query]} & set(database.tolist()) for kind in kinds)
        for protocol, good, bad in [
            ("easy", easy, junk | hard),
            ("medium", easy | hard, junk),
            ("hard", hard, junk | easy),
        ]:
            scores = []
            for ranked in rankings(subject, row):
                kept = [item in good for item in ranked if item not in bad]
                hits = [rank for rank, right in enumerate(kept) if right]
                area = sum(
                    ((j / r if r else 1) + (j + 1) / (r + 1)) / 2 / len(good) for j, r in enumerate(hits)
                )
                precisions = [
                    sum(kept[: min(k, hits[-1] + 1)]) / min(k, hits[-1] + 1) if hits else math.nan
                    for k in (1, 5)
                ]
                scores.append([area if good else math.nan, *precisions])
            names = (f"map_revisited:{protocol}", f"mp_at_k:{protocol}@1", f"mp_at_k:{protocol}@5")
            for name, value in zip(names, np.mean(scores, axis=0), strict=True):
                expected.setdefault(name, []).append(value)
    assert set(measurement.values) == set(measurement.per_query) == set(expected)
    for name, values in expected.items():
        assert math.isnan(values[1])
        check(measurement, name, values, database=len(database), tie_orders=TIE_ORDERS if bits else 1)
    assert measurement.values["map_revisited:easy"].detail["valid"] <= 8


def test_a_protocol_without_positives_has_no_value() -> None:
    truth = revisited_truth()
    without_hard = dataclasses.replace(truth, hard={})
    subject = subject_of(0, (np.arange(190, 200), np.arange(100)), without_hard)
    measurement = Revisited(Revisited.Params()).compute(subject)
    assert "map_revisited:hard" not in measurement.values
    assert np.isnan(measurement.per_query["map_revisited:hard"]).all()
    assert measurement.values["map_revisited:medium"].value == pytest.approx(
        measurement.values["map_revisited:easy"].value
    )
    nothing = RevisitedTruth({}, {}, {})
    with pytest.raises(BenchError, match="none of the 10 queries has a positive among the 100"):
        Revisited(Revisited.Params()).compute(dataclasses.replace(subject, truth=nothing))


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("part", ["all", "some"])
def test_reid(bits: int, part: str) -> None:
    rng = np.random.default_rng(2)
    ids, cameras = rng.integers(6, size=200), rng.integers(3, size=200)
    ids[150], ids[151] = 77, 88
    ids[4], cameras[4], cameras[151] = 88, 1, 1  # its only other image is by the same camera
    database = np.arange(150) if part == "all" else np.arange(0, 150, 4)
    subject = subject_of(bits, (np.arange(150, 170), database), CameraTruth(cameras), ids)
    measurement = ReIdentification(ReIdentification.Params(ks=(1, 3))).compute(subject)
    expected = []
    for row, query in enumerate(subject.query_index.tolist()):
        scores = []
        for ranked in rankings(subject, row):
            kept = [i for i in ranked if not (ids[i] == ids[query] and cameras[i] == cameras[query])]
            right = [bool(ids[i] == ids[query]) for i in kept]
            precisions = [sum(right[: r + 1]) / (r + 1) for r, one in enumerate(right) if one]
            found = [sum(precisions) / len(precisions), any(right[:1]), any(right[:3])] if any(right) else []
            scores.append(found or [math.nan] * 3)
        expected.append(np.mean(scores, axis=0))
    assert np.isnan(expected[:2]).all()
    for name, values in zip(("map_reid", "cmc@1", "cmc@3"), np.transpose(expected), strict=True):
        check(measurement, name, values, database=len(database), tie_orders=TIE_ORDERS if bits else 1)
    assert set(measurement.values) == {"map_reid", "cmc@1", "cmc@3"}


def test_reid_without_any_match() -> None:
    subject = subject_of(0, ([9], range(5)), CameraTruth(np.zeros(200, np.int64)))
    with pytest.raises(BenchError, match="none of the 1 queries has a match by another camera among the 5"):
        ReIdentification(ReIdentification.Params()).compute(subject)


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("part", ["all", "some"])
def test_videos(bits: int, part: str) -> None:
    rng = np.random.default_rng(4)
    # Videos 0 to 3 ask; of 10 to 39, nobody judged those from 25 on.
    videos = np.sort(np.r_[rng.integers(4, size=20), rng.integers(10, 40, size=180)])
    judged = {q: {int(v): bool(rng.random() < 0.5) for v in rng.choice(np.arange(10, 25), 5)} for q in (0, 1)}
    judged[2] = {int(v): False for v in range(10, 14)}
    judged[3] = {24: True, 999: True}
    database = np.flatnonzero(videos >= 10)[:: 1 if part == "all" else 3]
    subject = subject_of(bits, (np.flatnonzero(videos < 4), database), FrameTruth(videos, judged))
    measurement = Videos(Videos.Params(ks=(3, 100))).compute(subject)
    values = np.random.default_rng(5).standard_normal((200, WIDTH))
    unit = np.where(values[:, :8] >= 0, 1, -1) / math.sqrt(8) if bits else values
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    present = sorted(set(videos[database].tolist()))
    asked_about = {video for one in judged.values() for video in one}
    expected: list[Any] = []
    for query in range(4):
        similar = {}
        for video in present:
            frames = database[videos[database] == video]
            best = [max(unit[f] @ unit[g] for g in frames) for f in np.flatnonzero(videos == query)]
            similar[video] = np.mean(best)
        scores = []
        for order in tie_orders(len(present), bits):
            place = {present[at]: rank for rank, at in enumerate(order.tolist())}
            allowed = [v for v in present if v in judged[query] or v not in asked_about]
            ranked = sorted(allowed, key=lambda v: (-round(similar[v], 5), place[v]))
            right = [judged[query].get(v, False) for v in ranked]
            found = []
            for k in (3, 100, None):
                precisions = [sum(right[: r + 1]) / (r + 1) for r, one in enumerate(right[:k]) if one]
                found.append(sum(precisions) / len(precisions) if precisions else 0)
            scores.append(found)
        expected.append(np.mean(scores, axis=0))
    hitless = sum(not any(judged[q].get(v, False) for v in present) for q in range(4))
    detail = {"hitless": hitless, "database": len(present), "frames": len(database)}
    detail["tie_orders"] = TIE_ORDERS if bits else 1
    for name, column in zip(
        ("map_videos@3", "map_videos@100", "map_videos@all"), np.transpose(expected), strict=True
    ):
        check(measurement, name, column, **detail)
    assert hitless >= 1
    assert (
        set(measurement.values) == set(measurement.per_query) == {f"map_videos@{k}" for k in (3, 100, "all")}
    )


@pytest.mark.parametrize("metric", [Revisited, ReIdentification, Videos])
def test_what_they_judge(metric: Any) -> None:
    assert metric.subject == "codes"
    assert metric.embeddings
    assert metric.noise == "seeded"
    assert metric.judges in {"revisited", "cameras", "frames"}


def test_all_numbers_are_fractions_without_unit() -> None:
    subject = subject_of(8, (np.arange(190, 200), np.arange(100)), revisited_truth())
    for value in Revisited(Revisited.Params()).compute(subject).values.values():
        assert 0 <= value.value <= 1
        assert (value.unit, value.higher_is_better, value.noise) == ("", True, "seeded")
