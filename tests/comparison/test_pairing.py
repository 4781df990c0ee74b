"""Configurations of two results folders meet by name, and whatever cannot meet is accounted for."""

from __future__ import annotations

import pytest

from bench.comparison.pairing import pair
from bench.results.records import Failure, Record
from tests.comparison.paired import failed, names, results, seeds
from tests.recorded import make_record


def test_results_pair_with_themselves(run_records_everywhere):
    found = pair(results(run_records_everywhere), results(run_records_everywhere))
    assert len(found.pairs) == 9
    assert (found.gone, found.added, found.refused) == ([], [], [])
    for one in found.pairs:
        assert one.base == one.new
        assert one.seeds == [0, 1, 2]
        assert one.notes == []


def test_keys_machines_and_measurements_do_not_keep_cells_apart():
    base = make_record(params={"measure": {"latency": {"samples": 30}}})
    new = make_record(params={"measure": {}}, environment={"cpu": "Another", "fingerprint": "f" * 12})
    (one,) = pair(results([base]), results([new.model_copy(update={"key": "k", "cell_key": "c"})])).pairs
    assert one.notes == []


def test_only_seeds_that_both_have_are_set_beside_each_other():
    found = pair(results(seeds(3)), results(seeds(4)[1:]))
    (one,) = found.pairs
    assert one.seeds == [1, 2]
    assert [record.cell.seed for record in one.base] == [1, 2]
    assert one.notes == ["seed 0 only in A", "seed 3 only in B"]
    assert [(gone.seeds, gone.status, gone.reason) for gone in found.gone] == [
        ([0], "absent", "there with seeds 1, 2, 3 alone")
    ]


def test_what_the_baseline_had_is_never_lost_in_silence():
    base = [*seeds(2), *seeds(2, bits=16), *seeds(2, loss="dch"), make_record("cukd_v2")]
    skipped = make_record(
        loss="dch", seed=1, status="skipped", error=Failure(type="E", stage="distill", message="no")
    )
    new = [make_record(), failed(seed=1), failed(loss="dch"), skipped]
    found = pair(results(base), results(new, missing=("fashion_mnist__cukd_v2__s0",)))
    assert [(str(gone.name), gone.seeds, gone.status, gone.reason) for gone in found.gone] == [
        ("cukd_v1 · cukd · csq · 16 bit", [0, 1], "absent", "not in the grid"),
        (
            "cukd_v1 · cukd · csq · 32 bit",
            [1],
            "failed",
            "failed in finetune: RuntimeError: loss is not finite at step 12",
        ),
        (
            "cukd_v1 · cukd · dch · 32 bit",
            [0],
            "failed",
            "failed in finetune: RuntimeError: loss is not finite at step 12",
        ),
        ("cukd_v1 · cukd · dch · 32 bit", [1], "skipped", "skipped in distill: E: no"),
        ("cukd_v2 · cukd · csq · 32 bit", [0], "absent", "not run yet"),
    ]
    assert found.added == []


def test_what_failed_before_and_works_now_is_added():
    assert names(pair(results([failed()]), results([make_record()])).added) == [
        "cukd_v1 · cukd · csq · 32 bit"
    ]
    assert pair(results([failed()]), results([failed()])).gone == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": {"k": 1000}}, "protocol differs: k all -> 1000"),
        ({"protocol": {"manifest": "a" * 12}}, "other split: manifest 5f1c0e2a77b0 -> aaaaaaaaaaaa"),
        ({"params": {"precision": "bf16"}}, "precision differs: precision fp32 -> bf16"),
        ({"protocol": {"limit": 100}}, "limited run: such numbers compare with nothing"),
    ],
)
@pytest.mark.parametrize("way", ["there", "back"])
def test_other_conditions_are_refused_with_the_reason(change, reason, way):
    sides = [results(seeds(2)), results(seeds(2, **change))]
    found = pair(*(sides if way == "there" else reversed(sides)))
    if way == "back" and "->" in reason:
        head, _, tail = reason.rpartition(" -> ")
        start, _, before = head.rpartition(" ")
        reason = f"{start} {tail} -> {before}"
    assert [(str(name), why) for name, why in found.refused] == [("cukd_v1 · cukd · csq · 32 bit", reason)]
    assert (found.pairs, found.gone, found.added) == ([], [], [])


def test_a_protocol_beside_the_old_one_is_no_obstacle():
    other = make_record(protocol={"k": 1000})
    found = pair(results([make_record()]), results([other, make_record()]))
    assert len(found.pairs) == 1
    assert len(found.added) == 1
    assert found.refused == []


def test_empty_protocol_entries_make_no_difference():
    assert pair(results([make_record(protocol={"limit": None})]), results([make_record()])).pairs


def rate(lr: float, seed: int = 0, **more) -> Record:
    return make_record(seed=seed, params={"loss": {"epochs": 30, "lr": lr, **more}})


def test_a_changed_default_is_compared_and_told():
    (one,) = pair(results([rate(0.002)]), results([rate(0.001, margin=[1, 2])])).pairs
    assert one.notes == [
        "parameters differ: loss.lr 0.002 -> 0.001, loss.margin.0 unset -> 1, loss.margin.1 unset -> 2"
    ]


def test_variants_meet_their_equals_first():
    found = pair(results([rate(0.1), rate(0.2)]), results([rate(0.3), rate(0.1)]))
    assert {str(one.name.loss): one.notes for one in found.pairs} == {
        "csq[lr=0.1]": [],
        "csq[lr=0.3]": ["parameters differ: loss.lr 0.2 -> 0.3"],
    }


def test_what_stays_ambiguous_is_refused():
    found = pair(results([rate(0.1), rate(0.2), rate(0.3)]), results([rate(0.3), rate(0.4)]))
    assert len(found.pairs) == 1
    why = "not clear which belong together: 2 against 1"
    assert [(name.loss, reason) for name, reason in found.refused] == [
        ("csq[lr=0.1]", why),
        ("csq[lr=0.2]", why),
        ("csq[lr=0.4]", why),
    ]
    assert found.gone == []
    assert found.added == []


def test_hashes_in_notes_are_cut():
    sides = [results([make_record(params={"student": {"weights": f"sha256:{c * 64}"}})]) for c in ("a", "b")]
    assert pair(*sides).pairs[0].notes == [
        f"parameters differ: student.weights sha256:{'a' * 12} -> sha256:{'b' * 12}"
    ]


def test_of_several_machines_the_common_one_is_taken():
    def on(machine: str, created: str) -> Record:
        record = make_record(environment={"fingerprint": machine})
        return record.model_copy(update={"created": created, "key": machine + created})

    base = [on("old", "2025-01-01"), on("both", "2024-01-01"), on("older", "2025-03-01")]
    (one,) = pair(results(base), results([on("both", "2025-01-02"), on("new", "2025-01-03")])).pairs
    assert (one.base[0].key, one.new[0].key) == ("both2024-01-01", "both2025-01-02")
    (one,) = pair(results(base), results([on("new", "2025-01-02"), on("new", "2025-01-03")])).pairs
    assert (one.base[0].key, one.new[0].key) == ("older2025-03-01", "new2025-01-03")


# -- Parts of results against each other -----------------------------------------------------------
