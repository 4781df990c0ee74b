"""One value has one key, and names of files keep keys apart."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bench.storage import keys

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_VALUES, _VALUES)
def test_one_key_per_value_whatever_the_order_of_its_parts(first, second):
    assert (keys.content_key(first) == keys.content_key(second)) == (
        json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    )
    if isinstance(first, dict):
        assert keys.content_key(dict(reversed(first.items()))) == keys.content_key(first)


def test_names_that_flatten_alike_keep_their_own_keys():
    names = {keys.file_name(slug, keys.content_key(slug)) for slug in ("[0.1]", "[0,1]", "[-1]", "[1]")}
    assert len(names) == 4
