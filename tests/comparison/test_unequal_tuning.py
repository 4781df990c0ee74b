"""Rows that were tuned with different budgets: ``compare`` begins with it."""

from __future__ import annotations

import json

from bench.comparison import compare_text
from bench.comparison.compare import compare
from tests.scored import grid

SPACE = {"lr": [1e-5, 1e-2, "log"]}
BUDGET = {"trials": 16, "studies": 3, "sampler": "quasirandom", "epochs_share": 1.0, "space": SPACE}
PLAIN = {"loss": {"epochs": 30, "lr": 1e-5}}
TUNED = {"loss": {"epochs": 30}, "tuning": BUDGET}


def compared(write, one, other, **kwargs):
    return compare(write("old", grid(params=one)), write("new", grid(params=other)), **kwargs)


def test_a_tuned_side_against_one_that_is_not_is_said_first(write):
    found = compared(write, PLAIN, TUNED)
    first, second, *_ = compare_text.text(found).splitlines()
    assert first == (
        "Unequal tuning: A was not tuned, B was tuned in 3 studies of 16 trials. A difference may be that of "
        "the budgets."
    )
    assert second == ""
    assert "tuning unset -> tuned in 3 studies of 16 trials (lr 1e-05 to 0.01 (log))" in compare_text.text(
        found
    )
    assert json.loads(compare_text.as_json(found))["unequal_tuning"].startswith("A was not tuned")


def test_more_trials_on_one_side_are_said_first(write):
    more = compared(write, TUNED, {**TUNED, "tuning": {**BUDGET, "trials": 64}})
    assert (
        more.unequal_tuning == "A was tuned in 3 studies of 16 trials, B was tuned in 3 studies of 64 trials"
    )


def test_what_differs_in_some_configurations_alone_is_said_of_them(write):
    by_loss = {"csq": 32, "dch": 64}
    mixed = [
        (record, scores)
        for loss, trials in by_loss.items()
        for record, scores in grid(params={**TUNED, "tuning": {**BUDGET, "trials": trials}})
        if record.cell.loss == loss
    ]
    found = compare(write("old", grid(params=TUNED)), write("new", mixed))
    words = "A was tuned in 3 studies of 16 trials, B was tuned in 3 studies of {} trials"
    where = " (in 2 of 4 configurations)"
    assert found.unequal_tuning == "; ".join(words.format(trials) + where for trials in by_loss.values())


def test_equal_budgets_are_no_matter(write):
    for params in (PLAIN, TUNED):
        found = compared(write, params, params)
        assert found.unequal_tuning == ""
        assert compare_text.text(found).startswith(compare_text.answer(found))


def test_methods_that_are_tuned_together_with_losses_differ_in_nothing_else(write):
    joint = {**SPACE, "method.lr": [1e-5, 1e-2, "log"]}
    spaces = {"none": SPACE, "cukd": joint}
    params = {
        method: {"loss": {"epochs": 30}, "method": {}, "tuning": {**BUDGET, "space": space}}
        for method, space in spaces.items()
    }
    folder = write("one", [one for name in spaces for one in grid(method=name, params=params[name])])
    found = compare(folder, folder, base_only={"method": "none"}, new_only={"method": "cukd"})
    assert found.unequal_tuning == ""
    assert not any(one.changed_params for one in found.pairs)


def test_a_method_that_was_tuned_against_the_same_as_it_is_is_said_first(write):
    joint = {**BUDGET, "space": {**SPACE, "method.lr": [1e-5, 1e-2, "log"]}}
    plain = {**TUNED, "method": {"lr": 1e-4}}
    found = compared(write, plain, {**plain, "method": {}, "tuning": joint})
    assert found.unequal_tuning == ("in step 1, A was not tuned, B was tuned in 3 studies of 16 trials")
    assert "method.lr 0.0001 -> searched, 1e-05 to 0.01 (log)" in compare_text.text(found)


def test_losses_with_spaces_of_their_own_are_tuned_alike(write):
    own = {"csq": SPACE, "dch": {**SPACE, "gamma": [2.0, 100.0, "log"]}}
    both = [
        (
            record.model_copy(update={"params": {**record.params, "tuning": {**BUDGET, "space": own[loss]}}}),
            some,
        )
        for record, some in grid(params=TUNED)
        for loss in [record.cell.loss]
    ]
    folder = write("one", both)
    found = compare(folder, folder, base_only={"loss": "csq"}, new_only={"loss": "dch"})
    assert found.unequal_tuning == ""
    assert not any(one.changed_params for one in found.pairs)
