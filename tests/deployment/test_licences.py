"""Licences of weights, where they are known, and a card also where they are not."""

from __future__ import annotations

import pytest

from bench.deployment.licences import licences
from bench.registry import TEACHERS
from bench.types import Parameters


class Own:
    """A teacher that has its weights from somewhere, and no choice of them."""

    version = 1

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params):
        self.params = params

    def weights_id(self):
        return "mine:1"


@pytest.fixture
def lines(make_record, monkeypatch):
    """What is said of a student that started from nothing, and of a teacher and its parameters."""

    def call(teacher, **params):
        monkeypatch.setitem(TEACHERS._registered, "own", Own)
        record = make_record()
        cell = record.cell.model_copy(update={"teachers": [teacher]})
        made = {"student": {"weights": "none"}, "teachers": [params]}
        return list(licences(record.model_copy(update={"cell": cell, "params": made})))

    return call


def test_a_network_that_has_no_choice_of_weights(lines):
    student, teacher = lines("own", weights="mine:1")
    assert student.endswith(": started from random weights")
    assert teacher == "teacher own: started from published weights, mine:1, licence: unknown"


@pytest.mark.parametrize("name", ["own", "gone"])
def test_weights_that_nobody_knows(lines, name):
    """A bundle needs no plug-in of a teacher, which may be gone."""
    *_, teacher = lines(name, weights="sha256:12")
    assert teacher == f"teacher {name}: started from weights sha256:12; their licence is unknown"


def test_published_weights_are_named_with_their_licence(lines):
    published = TEACHERS.get("timm:resnet18.a1_in1k")
    found = published(published.Params.of({"weights": "default"}))
    *_, teacher = lines("timm:resnet18.a1_in1k", weights=found.weights_id())
    assert teacher.endswith(f"{found.weights_id()}, licence: {found.licence()}")
    assert found.licence() == "apache-2.0"
