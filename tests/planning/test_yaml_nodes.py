"""YAML as it is meant: 1.2 scalars, no surprises, places of values."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.planning import yaml_nodes
from tests.planning.broken import problems


def test_aliases_that_contain_themselves_or_multiply_are_refused(tmp_path):
    assert "alias" in problems(tmp_path, "name: &a [*a]\n")[0]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    assert "far too many values" in problems(tmp_path, bomb)[0]


# JSON writes characters beyond 16 bits as surrogate pairs, which mean nothing to YAML, and a key of more than
# 1,024 characters is none. Control characters and noncharacters are refused.
_TEXT = st.text(st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs", "Cc"]), max_size=60)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=20,
    )
)
def test_plain_values_survive_a_round_trip(value):
    # PyYAML writes what YAML 1.1 would misread in quotes; JSON has only one way to write anything.
    assert yaml_nodes.parse(json.dumps(value), "x").value == value
    if isinstance(value, dict | list):
        document = yaml_nodes.parse(yaml.safe_dump(value, allow_unicode=True), "x")
        assert not [problem for problem in document.problems if "duplicate" in problem.message]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("on", "on"),
        ("yes", "yes"),
        ("010", "010"),
        ("1.10", 1.1),
        ("~", None),
        ("1_000", "1_000"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    assert yaml_nodes.parse(text, "x").value == value
