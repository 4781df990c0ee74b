"""What makes two records comparable: for accuracies, for timings, for the rows of one table."""

from __future__ import annotations

import pytest

from bench.results.comparable import accuracy_conditions, limited, ranking_key, settings, table_facts, waiting
from tests.recorded import make_record

ACCURACY, TIMING, TABLE = "accuracy", "timing", "table"


def apart(one, other) -> set[str]:
    """By what two records may not be compared."""
    found = {
        ACCURACY: (ranking_key(one), ranking_key(other)),
        TIMING: (ranking_key(one, "latency_ms@1"), ranking_key(other, "latency_ms@1")),
        TABLE: ((one.cell.dataset, table_facts(one)), (other.cell.dataset, table_facts(other))),
    }
    return {name for name, (left, right) in found.items() if left != right}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"seed": 1}, set()),
        ({"bits": 64}, set()),
        ({"params": {"measure": {"latency": {"samples": 9}}}}, set()),
        ({"params": {"loss": {"epochs": 1}}}, set()),
        ({"environment": {"python": "3.13.0"}}, set()),
        ({"protocol": {"limit": None}}, set()),
        ({"dataset": "digits"}, {ACCURACY, TIMING, TABLE}),
        ({"protocol": {"manifest": "0"}}, {ACCURACY, TIMING, TABLE}),
        ({"protocol": {"limit": 8}}, {ACCURACY, TIMING, TABLE}),
        ({"environment": {"precision": "bf16"}}, {ACCURACY, TIMING, TABLE}),
        ({"environment": {"fingerprint": "another"}}, {TIMING}),
        ({"environment": {"cpu": "another", "fingerprint": "another"}}, {TIMING, TABLE}),
        ({"environment": {"waiting": "passive"}}, set()),
        ({"environment": {"waiting": "active", "fingerprint": "another"}}, {TIMING, TABLE}),
        ({"params": {"dataset": {"split_seed": 1}}}, {TABLE}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_what_keeps_two_records_apart(change, expected):
    assert apart(make_record(), make_record(**change)) == expected


def test_exact_costs_compare_across_machines():
    elsewhere = make_record(environment={"fingerprint": "another"})
    assert ranking_key(make_record(), "macs") == ranking_key(elsewhere, "macs")


def test_protocols_of_any_form_can_be_told_apart():
    """A plug-in's protocol may hold lists and mappings, in any order."""
    one = make_record(protocol={"rule": {"a": [1, 2], "b": 3}})
    same = make_record(protocol={"rule": {"b": 3, "a": [1, 2]}})
    other = make_record(protocol={"rule": {"a": [2, 1], "b": 3}})
    assert len({ranking_key(record) for record in (one, same, other)}) == 2


def test_precision_of_a_record_without_parameters_is_that_of_its_run():
    record = make_record(environment={"precision": "bf16"})
    old = record.model_copy(update={"params": {}})
    assert accuracy_conditions(old) == accuracy_conditions(record)
    assert table_facts(old)["precision"] == "bf16"


def test_what_else_was_measured_is_no_setting():
    assert settings(make_record(params={"measure": {"search": {}}})) == settings(make_record())


def test_limited_cells_compare_with_nothing():
    assert limited(make_record(protocol={"limit": 8}).cell.protocol)
    assert not limited(make_record().cell.protocol)


@pytest.mark.parametrize("said", [{}, {"x": 1}, [], [1]])
def test_what_an_environment_says_may_be_anything(said):
    record = make_record()
    record.environment["waiting"] = said
    assert waiting(record) == table_facts(record)["waiting"] == str(said)
