"""What both sides of a comparison hold is no question: grids share what their difference does not touch."""

from __future__ import annotations

from bench.comparison import compare_text
from bench.comparison.compare import compare
from tests.scored import anew, grid


def test_what_is_the_same_cells_on_both_sides_is_no_question_and_no_evidence(write):
    gains = {("csq", 16): 0.01, ("csq", 32): 0.01}
    old, new = grid(), grid(gains)
    both = write("old", old), write("new", [*anew(new[:6]), *new[6:]])
    found = compare(*both)
    assert [one.verdict for one in found.pairs if one.name.loss == "dch"] == ["same cells"] * 2
    assert {one.p_adjusted for one in found.pairs if one.name.loss == "dch"} == {None}
    alone = compare(*both, base_only={"loss": "csq"}, new_only={"loss": "csq"})
    assert [one for one in found.pairs if one.name.loss == "csq"] == alone.pairs
    assert found.overall == alone.overall
    text = compare_text.text(found)
    assert "\n2 more configurations are the same cells on both sides, and count in no test and no" in text
    assert "On average over these 2 configurations" in text
    assert "p and verdict allow for asking 2 times" in text


def test_the_same_cells_that_score_otherwise_now_are_a_question(write):
    moved = compare(write("old", grid()), write("new", grid({("csq", 16): 0.05})))
    assert [one.verdict for one in moved.pairs].count("same cells") == 3
    assert [one.verdict for one in moved.pairs].count("better") == 1


def test_the_same_cells_everywhere_are_told_in_one_line(write):
    found = compare(write("old", grid()), write("new", grid()))
    assert found.overall is None
    assert compare_text.text(found).splitlines()[0] == (
        "A and B are the same cells in all 4 configurations (mAP@all, paired over 3 seeds and 300 queries)."
    )
