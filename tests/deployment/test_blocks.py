"""Blocks take what their fields say and nothing else, and always say what is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.deployment import blocks
from bench.deployment.blocks import BlockError


@dataclass(frozen=True)
class Inner:
    """A block in another."""

    name: Annotated[str, blocks.matching(r"[a-z]+", "a word")]


@dataclass(frozen=True)
class Outer:
    """Every kind of field, and one that JSON does not have."""

    count: Annotated[int, blocks.whole(0, 9)]
    share: Annotated[float, blocks.real(0, 1)]
    on: Annotated[bool, blocks.truth]
    kind: Annotated[str, blocks.one_of("a", "b")]
    note: Annotated[str | None, blocks.optional(blocks.text)]
    inner: Annotated[Inner, blocks.block(Inner)]
    many: Annotated[tuple[Inner, ...], blocks.listed(blocks.block(Inner))]
    pair: Annotated[tuple[int, ...], blocks.listed(blocks.whole(0, 9), 2)]
    named: Annotated[dict[str, int], blocks.mapping(blocks.whole(0, 9))]
    free: Annotated[object, blocks.anything]
    place: str = "nowhere"


GOOD = {
    "count": 3,
    "share": 0.5,
    "on": True,
    "kind": "b",
    "note": None,
    "inner": {"name": "x"},
    "many": [{"name": "y"}, {"name": "z"}],
    "pair": [1, 2],
    "named": {"any key": 4},
    "free": {"deep": [1, None]},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_what_was_read_is_written_again():
    block = blocks.read(Outer, GOOD)
    assert block.inner == Inner("x")
    assert block.many == (Inner("y"), Inner("z"))
    assert block.place == "nowhere"
    assert blocks.to_json(block) == GOOD
    assert blocks.read(Outer, json.loads(json.dumps(blocks.to_json(block)))) == block


@given(key=st.sampled_from(sorted(GOOD)) | st.text(), value=JSON)
def test_another_value_is_taken_or_told_by_its_name(key, value):
    fault = None
    try:
        blocks.read(Outer, {**GOOD, key: value})
    except BlockError as error:
        fault = str(error)
    if key in GOOD and value == GOOD[key] and type(value) is type(GOOD[key]):
        assert fault is None
    elif key not in GOOD:
        assert fault is not None
    if fault is not None and key in GOOD:
        assert key in fault
    assert len(fault or "") < 300
    assert (fault or "").isprintable()


@pytest.mark.parametrize("key", GOOD)
def test_no_key_may_lack(key):
    with pytest.raises(BlockError, match=f"no key '{key}'"):
        blocks.read(Outer, {name: value for name, value in GOOD.items() if name != key})


def test_places_inside_others_are_named():
    with pytest.raises(BlockError, match=r"many\[1\].name must be a word, not \"Z\""):
        blocks.read(Outer, {**GOOD, "many": [{"name": "y"}, {"name": "Z"}]})
    with pytest.raises(BlockError, match=r"named\.a\\nb must be a whole number"):
        blocks.read(Outer, {**GOOD, "named": {"a\nb": "x"}})
    with pytest.raises(BlockError, match=r"unknown key 'nam' in inner; did you mean 'name'\?"):
        blocks.read(Outer, {**GOOD, "inner": {"nam": "x", "name": "x"}})
