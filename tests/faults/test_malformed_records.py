"""Records with something else in them than records have: named in a line, and all others shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.results.folder import load_results, readable_results
from bench.results.records import RecordError
from tests.faults.conftest import run
from tests.recorded import edit, make_record


def put(*places, value):
    """A change of a record: ``value`` at a place."""

    def change(record):
        *blocks, name = places
        for block in blocks:
            record = record[block]
        record[name] = value

    return change


MALFORMED = {
    "params are a list": put("params", value=[]),
    "params of a loss are a text": put("params", "loss", value="csq"),
    "params of teachers are numbers": put("params", "teachers", value=[1]),
    "a name of a million characters": put("cell", "student", value="x" * 10**6),
    "a metric of a long name": put("metrics", "x" * 10**5, value={}),
    "a metric of half a surrogate pair": put("metrics", "\ud800", value=None),
    "a number too large": put("cell", "seed", value=10**400),
    "a teacher that is none": put("cell", "teachers", value=[None]),
    "a stage that is a list": put("stages", "distill", value=[]),
    "a history of texts": put("stages", "distill", value={"key": "x", "history": [{"x": "y"}]}),
    "no environment": put("environment", value=None),
    "a digest that is a number": put("beside", value={"log": 5}),
    "a name of a field that breaks lines": put("x\n\x1b[2J\u2028y", value=1),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_it_is_named_in_one_line_and_the_rest_is_shown(write_results, bench, change):
    folder = write_results([make_record(seed=seed) for seed in range(3)])
    path = folder / "records" / "001.json"
    edit(path, change)
    for verb in (["compare", folder, folder], ["check", "--baseline", folder, folder], ["verify", folder]):
        result = bench(*verb)
        assert result.code == (1 if verb[0] == "verify" else 2)
        named = [line for line in (result.out + result.err).splitlines() if str(path) in line]
        assert len(named) == 1
        assert len(named[0]) < 1000
        assert named[0].isprintable()
        assert ("over 2 seeds" in result.out) == (verb[0] == "compare")
    results = readable_results(folder)
    assert (len(results.records), len(results.faults)) == (2, 1)
    with pytest.raises(RecordError):
        load_results(folder)


def test_a_report_shows_the_rest_and_what_is_wrong_with_many_in_few_lines(write_results, bench):
    folder = write_results([make_record(seed=seed) for seed in range(15)])
    for number in range(12):
        edit(folder / "records" / f"{number:03d}.json", put("params", value=5))
    result = bench("report", folder, "--format", "svg")
    assert result.code == 2
    assert result.err.count("field params: ") == 10
    assert "\nand 2 more" in result.err
    assert (
        "3 seeds" in (folder / "report" / "table.md").read_text()
        or "n = 3" in (folder / "report" / "table.md").read_text()
    )


def test_half_a_surrogate_pair_in_a_name_is_a_question_mark(write_results, bench):
    """As in names of files that are no text, which data sets may have."""
    folder = write_results([make_record(seed=seed) for seed in range(2)])
    for path in (folder / "records").iterdir():
        edit(path, put("cell", "student", value="net\udc80"))
    result = bench("report", folder, "--format", "svg")
    assert (result.code, "net?" in (folder / "report" / "table.md").read_text()) == (0, True)


def test_a_run_makes_it_again(finished, caplog):
    path = next(Path("results/tiny/records").iterdir())
    before = path.read_bytes()
    edit(path, put("params", value=5))
    outcome = run(finished)
    assert (outcome.attempted, outcome.ok, outcome.stages_run) == (1, 1, 0)
    assert f"{path}: field params: " in caplog.text
    assert path.read_bytes().count(b"\n") == before.count(b"\n")
