"""Fields that join a plug-in later: old keys and records stay, new values are told."""

from __future__ import annotations

from typing import Literal

from bench.planning.config import resolve
from bench.planning.schema import NamedPlugin
from bench.registry import Registry
from bench.types import TrainingParameters, later


class Before(TrainingParameters):
    """As it was."""


class After(TrainingParameters):
    """With one field more."""

    way: Literal["old", "new"] = later("old", description="how")


class Other(After):
    """A plug-in that does it in the new way unless told otherwise."""

    way: Literal["old", "new"] = later("new")


def test_a_later_field_is_told_where_it_is_not_as_before():
    assert After().model_dump(mode="json") == Before().model_dump(mode="json")
    assert After(way="new").model_dump(mode="json") == {**Before().model_dump(mode="json"), "way": "new"}
    assert After.of(After().model_dump(mode="json")).way == "old"
    assert After.of({"way": "new"}).way == "new"
    assert After.model_json_schema()["properties"]["way"]["description"] == "how"


def test_what_a_grid_sets_for_all_reaches_plugins_with_another_default():
    class Plugin:
        Params = Other

    class Only(Registry):
        def get(self, name):
            return Plugin

    only, entry = Only("loss", "bench.losses"), NamedPlugin(name="any")
    assert resolve(only, entry).way == "new"
    assert resolve(only, entry, After(epochs=2, way="old")).way == "old"
    assert resolve(only, entry, After(epochs=2)).way == "new"
