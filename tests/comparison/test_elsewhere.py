"""What was measured elsewhere and has no counterpart is told why, with a cure that works."""

from __future__ import annotations

import re

import pytest

from bench.comparison.choosing import filters
from bench.comparison.compare import compare
from bench.errors import NothingToCompareError
from bench.results.comparable import limited
from tests.comparison.judged import folder
from tests.recorded import make_external, make_record

CELLS = [make_record(loss=loss, seed=seed) for loss in ("csq", "dch") for seed in range(2)]


def other_data():
    record = make_external()
    return record.model_copy(update={"cell": record.cell.model_copy(update={"dataset": "mine"})})


def refusal(cells, external, **only) -> str:
    with pytest.raises(NothingToCompareError) as refused:
        compare(folder(cells, "cells"), folder([external], "own"), **only)
    return str(refused.value)


JUDGE_AGAIN = (
    "if the images are the same, have the codes judged like those cells: python -m bench evaluate CODES "
    "--out own --name 'My method' --like cells"
)


def test_another_data_set_is_told_with_the_command_that_judges_again():
    assert refusal(CELLS, other_data()) == (
        f"nothing to compare: A has data set fashion_mnist and B mine; {JUDGE_AGAIN}"
    )
    with pytest.raises(
        NothingToCompareError, match=re.escape(f"A has data set mine and B fashion_mnist; {JUDGE_AGAIN}")
    ):
        compare(folder([other_data()], "own"), folder(CELLS, "cells"))


@pytest.mark.parametrize("protocol", [{"split": "as given", "manifest": "000000000000"}, {"k": 10}])
def test_other_conditions_are_told_with_the_command_that_judges_again(protocol):
    text = refusal(CELLS, make_external(protocol=protocol))
    assert "differs: " in text or "other split: " in text
    assert text.endswith(f"; {JUDGE_AGAIN}")


def test_beside_limited_cells_nothing_may_be_judged():
    cells = [make_record(protocol={"limit": 50})]
    assert limited(cells[0].cell.protocol)
    assert "limited run" in refusal(cells, make_external())
    assert "--like" not in refusal(cells, make_external())


@pytest.mark.parametrize(
    ("changes", "said", "cure"),
    [
        ({"seed": 7}, "A has seeds 0, 1 and B seed 7", {"a": "seed=0", "b": "seed=7"}),
        ({"bits": 16}, "of one data set A has 32 bits and B 16 bits", {"a": "bits=32", "b": "bits=16"}),
        ({"bits": 0}, "of one data set A has 32 bits and B float", {"a": "bits=32", "b": "bits=0"}),
    ],
)
def test_other_seeds_and_lengths_are_told_with_the_options_that_compare_them(changes, said, cure):
    external = make_external(**changes)
    text = refusal(CELLS, external)
    assert said in text
    assert text.endswith(f": --a {cure['a']} --b {cure['b']}")
    only = {"base_only": filters([cure["a"]]), "new_only": filters([cure["b"]])}
    assert len(compare(folder(CELLS, "cells"), folder([external], "own"), **only).pairs) == 2


def test_of_chosen_cells_alone_it_is_told():
    cells = [*CELLS, make_record(seed=7, loss="dpsh")]
    text = refusal(cells, make_external(seed=7), base_only={"loss": "csq"})
    assert "A has seeds 0, 1 and B seed 7" in text
