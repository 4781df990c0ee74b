"""What a report shows of a tuning: a chart with its table, budgets below the rows, and few words on pages."""

from __future__ import annotations

from bench.report.render import render
from tests.recorded import make_record
from tests.results.test_tuning import tuned

SCORES = ((0.1, 0.4, 0.2, 0.3), (0.2, 0.3, 0.1, 0.2), (0.3, 0.3, 0.35, 0.3))


def test_a_report_of_tuned_rows(write_results):
    folder = write_results([tuned(loss, SCORES, seed) for loss in ("csq", "dch") for seed in range(3)])
    written = {path.name: path for path in render([folder]).paths}
    assert {f"curve_tuning_trials.{form}" for form in ("png", "svg", "pdf")} < written.keys()
    table = written["table.md"].read_text()
    assert "## expected best validation mAP against trials" in table
    assert "95 % interval over studies (Student's t, n = 3)" in table
    assert "A trial took 2 s (csq), 2 s (dch) of training, median." in table
    assert "Every loss that trains was tuned in 3 studies of 16 trials, by validation mAP" in table
    chart = written["curve_tuning_trials.svg"].read_text()
    assert "3 studies" in chart
    assert "expected best validation mAP" in written["index.html"].read_text()


def test_a_page_of_a_cell_names_the_winners_and_not_every_trial(write_results):
    folder = write_results([tuned("csq", SCORES)])
    render([folder])
    (page,) = (folder / "report/cells").iterdir()
    text = page.read_text()
    assert "trial 1 of 4, validation mAP 0.400" in text
    assert "expected_best" not in text


def test_rows_with_unequal_budgets_are_told_below_the_table(write_results):
    plain = [make_record(loss="dch", seed=seed, params={"loss": {"lr": 1e-5}}) for seed in range(3)]
    folder = write_results([*plain, *(tuned("csq", SCORES, seed) for seed in range(3))])
    render([folder])
    assert "Rows had unequal budgets" in (folder / "report/table.md").read_text()
    assert "Rows had unequal budgets" in (folder / "report/index.html").read_text()
