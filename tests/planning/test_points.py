"""Filters of the command line."""

from __future__ import annotations

import re

import pytest

from bench.errors import ConfigError, UsageError
from tests.planning.conftest import GRID


def test_filters_exclude_and_include(make):
    assert len(make(only=["loss=csq", "bits=16"]).selected) == 4
    assert len(make(skip=["method=c*"]).selected) == 8
    assert len(make(GRID + "exclude: [{loss: csq, bits: 32}]\n").cells) == 12
    extra = make(GRID + "include: [{student: tiny_teacher, method: none, seed: 7}]\n")
    assert [cell.info.student for cell in extra.cells[16:]] == ["tiny_teacher"] * 4
    embedded = GRID.replace("[csq, dch]", "[csq, none]")
    assert {cell.info.loss for cell in make(embedded, only=["bits=float"]).selected} == {"none"}
    with pytest.raises(ConfigError, match="leaves no cell"):
        make(GRID + "exclude: [{dataset: synthetic}]\n")


@pytest.mark.parametrize("option", ["only", "skip"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bits", "write it as bits=PATTERN"),
        ("bits:17", "write it as bits=PATTERN"),
        (
            "x",
            "write it as KEY=PATTERN (keys: dataset, teacher, student, method, loss, bits, seed, image_size)",
        ),
        ("studnet=x", "unknown key 'studnet'; did you mean 'student'? (keys: dataset, teacher, student"),
        ("bits=17", "no cell of this grid has bits '17' (the grid has: 16, 32)"),
        ("loss=csq,dhc", "no cell of this grid has loss 'dhc'; did you mean 'dch'? (the grid has: csq, dch)"),
        ("loss=csq,", "no cell of this grid has loss '' (the grid has: csq, dch)"),
        ("student=cukd_*", "no cell of this grid has student 'cukd_*' (the grid has: tiny_student)"),
        ("teacher=none", "no cell of this grid has teacher 'none' (the grid has: tiny_teacher)"),
    ],
)
def test_a_filter_that_matches_nothing_says_what_there_is(make, option, text, expected):
    with pytest.raises(UsageError, match=re.escape(f"--{option} {text}: {expected}")):
        make(**{option: [text]})


def test_filters_are_judged_one_by_one_and_together(make):
    assert make(only=["loss=csq"], skip=["loss=dch", "bits=32"])
    many = GRID.replace("[0, 1]", str(list(range(20))))
    with pytest.raises(UsageError, match=r"\(the grid has: 0, 1, .* 10, 11 and 8 more\)"):
        make(many, only=["seed=20"])
    with pytest.raises(UsageError, match="each matches some, but no cell passes all of them"):
        make(only=["loss=csq"], skip=["loss=c*"])
