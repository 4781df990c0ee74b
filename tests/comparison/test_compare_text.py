"""The answer of ``compare`` in words and as JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

from bench.comparison import compare_text
from bench.comparison.compare import compare
from tests.recorded import make_record
from tests.scored import MAP, anew, grid, scores_of


def test_the_answer_in_one_sentence(write):
    better = compare(write("old", grid()), write("new", anew(grid({("csq", 16): 0.05, ("dch", 16): 0.0001}))))
    pattern = (
        r"B is better than A in 1 of 4 configurations and worse in none \(mAP@all, paired over 3 seeds and "
        r"300 queries, Holm-corrected p < 0\.05\)\. In the other 3 no difference is shown: in 1 of them the "
        r"smallest difference that would have been found \(with 80 % power\) is 0\.\d+; in the other 2 no "
        r"score differs\."
    )
    assert re.fullmatch(pattern, compare_text.answer(better))
    same = compare(write("old", grid()), write("new", anew(grid())))
    assert compare_text.answer(same) == (
        "A and B have the same scores in all 4 configurations (mAP@all, paired over 3 seeds and 300 queries)."
    )
    gains = {(loss, bits): -0.05 for loss in ("csq", "dch") for bits in (16, 32)}
    worse = compare(write("old", grid()), write("new", grid(gains)))
    assert compare_text.answer(worse).startswith(
        "B is worse than A in all 4 configurations and better in none ("
    )
    one = compare(write("old", grid()[:3]), write("new", grid({("csq", 16): 0.05})[:3]))
    assert compare_text.answer(one).startswith("B is better than A in the one configuration that both have (")
    none = compare(write("old", grid()[:3]), write("new", grid({("csq", 16): 0.0001})[:3]))
    assert compare_text.answer(none).startswith(
        "No difference between A and B is shown in the one configuration that both have ("
    )


def test_what_would_have_been_found_is_said_of_the_rows_that_it_is_true_of(write):
    """A range over rows is given with both ends, and rows that could show nothing are not among them."""
    rng = np.random.default_rng(0)
    sides = []
    for name in ("old", "new"):
        cells = []
        for (loss, spread), seed in itertools.product(
            {"csq": 0.003, "dch": 0.02, "dpn": 0.3}.items(), range(2)
        ):
            quality = 0.5 + rng.normal(0, spread)
            cells.append((make_record(loss=loss, bits=16, seed=seed), scores_of(quality, seed)))
        sides.append(write(name, cells))
    found = compare(*sides)
    assert [one.verdict for one in found.pairs] == [*["no difference shown"] * 2, "cannot tell"]
    sizes = sorted(one.detectable for one in found.pairs if one.detectable)
    least, most = re.search(
        r"\)\. In 1 of them no difference of any size would have been found; in the other 2 the smallest "
        r"difference that would have been found \(with 80 % power\) is (\S+) to (\S+), depending on the "
        r"configuration\. Two seeds cannot tell: ",
        compare_text.answer(found),
    ).groups()
    for said, size in zip((least, most), sizes, strict=True):
        assert size <= float(said) == pytest.approx(size, rel=0.1)


def test_the_whole_text(write):
    new = grid({("csq", 16): 0.05, ("dch", 32): 0.001}, params={"loss": {"epochs": 31}})
    text = compare_text.text(compare(write("old", grid()), write("new", new)))
    assert "- parameters differ: loss.epochs 30 -> 31: all 4 configurations" in text
    (row,) = (line for line in text.splitlines() if line.startswith("cukd_v1 · cukd · csq · 16 bit"))
    assert re.search(r"\+0\.0\d+ +\[\+0\.0\d+, \+0\.0\d+\] .* better +0\.0\d+$", row.replace("  ", " "))


def test_hostile_names_stay_on_their_lines(write):
    hostile = {"dataset": "a\nb\x1b[31m", "protocol": {"split": "x\ny"}}
    found = compare(write("old", grid(**hostile)), write("new", grid({("csq", 16): 0.05}, **hostile)))
    text = compare_text.text(found)
    assert "\x1b" not in text
    assert "a b [31m" in text


def test_json_has_everything_and_no_nan(write):
    found = compare(write("old", grid()), write("new", grid({("csq", 16): 0.05})))
    read = json.loads(compare_text.as_json(found), parse_constant=pytest.fail)
    assert read["pairs"][0]["name"]["loss"] == "csq"
    assert set(read) == {field.name for field in dataclasses.fields(found)}


OTHER = "map@all:index:hits"


def raised(record, by):
    other = record.metrics[OTHER]
    changed = other.model_copy(update={"value": other.value + by})
    return record.model_copy(update={"metrics": {**record.metrics, OTHER: changed}})


def test_a_verdict_without_queries_begins_with_that(write):
    sides = [
        write(name, [(raised(record, by * (1 + record.cell.seed / 9)), scores) for record, scores in grid()])
        for name, by in (("old", 0), ("new", 0.05))
    ]
    first, second, *_ = compare_text.text(compare(*sides, metric=OTHER)).splitlines()
    assert first == (
        "Queries are not in the intervals: scores by query of mAP@all were not kept on both sides. So "
        "intervals are narrower than over seeds and queries, and verdicts hold for these queries alone."
    )
    assert second.startswith("B is better than A in all 4 configurations")
    assert "Queries" not in compare_text.answer(compare(*sides))


def test_what_it_takes_to_test_is_what_is_kept_of_that_metric(write):
    """Scores by query are kept of the accuracies that tables show, and of no other."""
    cells = [(raised(make_record(), by), scores_of(0.6, 0)) for by in (0, 0.1)]
    sides = [write(name, [cell]) for name, cell in zip(("old", "new"), cells, strict=True)]
    found = compare(*sides, metric=OTHER)
    assert found.pairs[0].verdict == "not tested"
    assert found.pairs[0].judged == MAP
    assert compare_text.answer(found).endswith(
        "; without scores by query): that takes several seeds whose differences vary, as no scores by query "
        "were kept of it."
    )


def test_notes_call_the_sides_as_the_table_does(write):
    cells = grid()
    text = compare_text.text(compare(write("old", cells[1:]), write("new", cells[:2] + cells[3:])))
    assert "- seed 2 only in A: cukd_v1 · cukd · csq · 16 bit" in text
    assert "- seed 0 only in B: cukd_v1 · cukd · csq · 16 bit" in text
    assert "baseline" not in text
    assert "new results" not in text
