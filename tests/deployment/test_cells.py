"""A cell is found by whatever a person has of it, and the recommended one is that of the report."""

from __future__ import annotations

import logging
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.deployment import cells
from bench.deployment.cells import find_cell, offers
from bench.errors import RecordError, UsageError
from bench.report.render import render
from bench.results import records
from bench.results.records import Failure
from tests.deployment.runs import write_run
from tests.recorded import make_record, run_records

pytestmark = pytest.mark.usefixtures("folder")

TIMM = "timm:resnet10t"


def refused(*arguments, **options):
    """The one line with which the cell is refused."""
    with pytest.raises(UsageError) as error:
        find_cell(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- By file, key or name ------------------------------------------------------------------------


@pytest.fixture
def run(folder):
    return write_run([*run_records(), make_record(TIMM)])


@pytest.fixture
def timm(run):
    (record,) = (record for record in run.records if record.cell.student == TIMM)
    return record


@pytest.mark.parametrize("prefix", ["", "results/fashion/", "./results/fashion/"])
@pytest.mark.parametrize(
    "name",
    [
        "fashion_mnist__efficientnet_lite0__timm:resnet10t__cukd__csq__32b__s0",
        "fashion_mnist__efficientnet_lite0__timm-resnet10t__cukd__csq__32b__s0",
        "{stem}",
        "{stem}.json",
        "{key}",
        "{key:.6}",
        "{cell_key:.12}",
    ],
)
def test_a_cell_goes_by_many_names(timm, run, prefix, name):
    stem = run.stems[timm.key]
    found = find_cell(prefix + name.format(stem=stem, key=timm.key, cell_key=timm.cell_key))
    assert found.record == timm
    assert found.path == Path(f"results/fashion/records/{stem}.json")
    assert found.doubts == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(which=st.integers(0, 26), digits=st.integers(6, 64), of_cell=st.booleans(), upper=st.booleans())
def test_any_beginning_of_a_key_is_its_cell_or_is_refused(run, which, digits, of_cell, upper):
    record = sorted(run.records, key=lambda one: one.key)[which]
    text = (record.cell_key if of_cell else record.key)[:digits]
    text = text.upper() if upper else text
    if record.status == "ok":
        assert find_cell(f"results/fashion/{text}").record == record
    else:
        assert f": {record.status}, so there is no network" in refused(f"results/fashion/{text}")


def test_a_record_is_found_wherever_it_lies(timm, run):
    path = run.path(timm)
    assert find_cell(str(path)).results.records == run.records
    assert find_cell(str(path.absolute())).path == path.absolute()
    path.rename("one.json")
    assert refused("one.json").startswith("one.json: a record in no results folder; ")
    (run.folder / "grid.json").unlink()
    assert "a record in no results folder" in refused(str(run.path(run.records[0])))


def test_a_record_of_an_earlier_grid_is_found_by_its_file(run, timm):
    path = run.path(timm)
    write_run(run_records())
    found = find_cell(str(path))
    assert (found.record, found.path) == (timm, path)
    assert "no cell of the present grid" in found.why
    assert "is called" in refused(f"results/fashion/{timm.key[:8]}")


def test_what_several_cells_are_called_is_refused_with_all_of_them(run, timm):
    write_run([make_record(TIMM)], "results/again")
    path = Path("records") / f"{run.stems[timm.key]}.json"
    assert refused(timm.key[:6]) == (
        f"'{timm.key[:6]}' may be each of 2 cells; give more of it, or one of: "
        f"results/fashion/{path}, results/again/{path}"
    )
    assert find_cell(f"results/again/{timm.key[:6]}").path == "results/again" / path


def test_one_name_of_several_settings_is_refused_with_all_of_them():
    some = [make_record(params={"loss": {"epochs": epochs}}) for epochs in range(8)]
    run = write_run(some)
    said = refused("fashion_mnist__efficientnet_lite0__cukd_v1__cukd__csq__32b__s0")
    assert said.count("records/") == cells.LISTED
    assert said.endswith("and 3 more")
    assert find_cell(run.stems[run.records[5].key]).record == run.records[5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "fashion_mnist__efficientnet_lite0__timm-resnet10__cukd__csq__32b__s0",
            "; did you mean 'fashion_mnist__efficientnet_lite0__timm-resnet10t__cukd__csq__32b__s0'?",
        ),
        (
            "timm:resnet10t__cukd",
            "; these contain it: fashion_mnist__efficientnet_lite0__timm-resnet10t__cukd__csq__32b__s0",
        ),
        ("nothing like it", "; names are those of record files, keys have 6 digits or more of 0-9a-f"),
        ("records/zzz.json", "; names are those of record files, keys have 6 digits or more of 0-9a-f"),
        ("ab12", "; names are those of record files, keys have 6 digits or more of 0-9a-f"),
    ],
)
def test_a_name_that_nothing_has_is_refused_with_what_was_meant(run, name, said):
    assert refused(f"results/fashion/{name}").endswith(said)


def test_five_digits_are_too_few(run, timm):
    assert "6 digits or more" in refused(f"results/fashion/{timm.key[:5]}")


def test_places_that_hold_no_results_are_refused(run, folder):
    assert refused("results/none/abcdef") == (
        "results/none: no such folder; make it with: python -m bench run --grid GRID --out results/none"
    )
    assert refused("results/fashion").endswith(
        "or take the recommended one: python -m bench export --best results/fashion my-student"
    )
    (folder / "results").rename(folder / "moved")
    assert "no results folder below results" in refused("abcdef")


def test_a_folder_that_cannot_be_read_hides_no_other(run, timm, caplog):
    other = write_run([make_record("cukd_v2")], "results/broken")
    other.path(other.records[0]).write_text("{")
    logging.getLogger("bench").propagate = True
    with caplog.at_level(logging.WARNING):
        assert find_cell(timm.key[:8]).record == timm
    assert "warning: not searched: results/broken" in caplog.text
    with pytest.raises(RecordError):
        find_cell(f"results/broken/{timm.key[:8]}")


# -- Cells without a network, and numbers that say little ----------------------------------------


def test_a_cell_that_failed_has_nothing_to_take_away():
    error = Failure(type="RuntimeError", stage="finetune", message="loss is not finite")
    run = write_run([make_record(status="failed", error=error)])
    said = refused(str(run.path(run.records[0])))
    assert "failed, so there is no network: finetune: loss is not finite" in said
    assert said.endswith("python -m bench run --grid GRID --out results/fashion --overwrite failed")


def test_a_cell_that_was_not_run_yet_says_so():
    slug = "fashion_mnist__no-teacher__timm:a__none__csq__32b__s0"
    write_run([make_record()], missing=[slug])
    assert "this cell has no record yet" in refused(f"results/fashion/{slug}")


def test_doubts_are_told():
    record = make_record(protocol={"limit": 100}).model_copy(update={"warnings": ["copies\nin two parts"]})
    run = write_run([record])
    assert find_cell(str(run.path(run.records[0]))).doubts == [
        "copies in two parts",
        "it saw only a part of the data (--limit): its numbers compare with nothing",
    ]


# -- The recommended student ---------------------------------------------------------------------


@pytest.mark.parametrize("within", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("cost", ["macs", "params", "latency_ms"])
def test_the_recommended_student_is_that_of_the_report(run, within, cost):
    found = find_cell(None, Path("results/fashion"), within, cost)
    advice = render([Path("results/fashion")], within).advice
    (line,) = (line for line in advice if re.search(rf"against {LABEL[cost]}", line))
    assert found.why.startswith(line.partition("MACs: ")[2] or line.partition(f"{LABEL[cost]}: ")[2])
    assert shlex.split(line_of(advice, found)) == [
        "python",
        "-m",
        "bench",
        "export",
        str(found.path),
        "my-student",
    ]


LABEL = {"macs": "MACs", "params": "parameters", "latency_ms": "latency, batch 1"}


def line_of(advice, found):
    return next(line.partition("away: ")[2] for line in advice if str(found.path) in line)


def test_no_seed_is_chosen_by_its_accuracy():
    failed = Failure(type="RuntimeError", stage="finetune", message="no")
    seeds = [make_record(seed=seed) for seed in (1, 2, 3, 4)]
    value = [record.metrics["map@all:expected:relevant"].value for record in seeds]
    assert value[0] < max(value)
    write_run([make_record(seed=0, status="failed", error=failed), *reversed(seeds)])
    found = find_cell(None, Path("results/fashion"))
    assert found.record.cell.seed == 1
    assert found.why.endswith(" Seed 1, the lowest of 4: none is chosen by its own accuracy.")


def test_students_of_several_groups_are_for_the_person_to_choose():
    run = write_run([make_record(), make_record(dataset="digits")])
    said = refused(None, Path("results/fashion"))
    assert said.startswith("results/fashion: 2 groups of comparable cells have a recommended student each")
    lines = {line.partition(" · ")[0]: line for line in offers(run)}
    assert list(lines) == ["digits", "fashion_mnist"]
    for record in run.records:
        command = f"python -m bench export {run.path(record)} my-student"
        assert command in said
        assert lines[record.cell.dataset].endswith(f"; take it away: {command}")


@pytest.mark.parametrize(
    ("some", "said"),
    [
        ([make_record(protocol={"limit": 10})], "no student is recommended: these cells saw only a part of"),
        (
            [make_record().model_copy(update={"warnings": ["1 of 240 images was left out"]})],
            '1 of 1: the record carries a warning ("1 of 240 images was left out")',
        ),
        ([make_record(status="skipped")], "no cell has finished"),
        ([], "no cell has finished"),
    ],
    ids=["limited", "warned", "skipped", "empty"],
)
def test_where_nothing_is_recommended_nothing_is_taken(some, said):
    run = write_run(some)
    assert said in refused(None, Path("results/fashion"))
    assert offers(run) == []


def test_a_cost_that_no_record_has_is_refused(run):
    assert "; did you mean 'params'?" in refused(None, Path("results/fashion"), cost="param")
    assert "is an accuracy and costs nothing" in refused(None, Path("results/fashion"), cost="map")
    assert "no such folder" in refused(None, Path("results/absent"))


def test_one_cell_is_meant(run):
    for both in ((None, None), ("x", Path("results/fashion"))):
        assert refused(*both) == "name one cell, or the recommended student by --best RESULTS, and not both"


def test_the_offer_is_a_command_that_finds_the_student_that_it_names(run):
    (line,) = offers(run)
    said, _, command = line.partition("; take it away: ")
    *start, option, place, name = shlex.split(command)
    assert (start, option, name) == (["python", "-m", "bench", "export"], "--best", "my-student")
    assert find_cell(None, Path(place)).why.startswith(f"{said}.")


def test_without_multiply_adds_parameters_are_the_cost():
    record = make_record()
    metrics = {name: one for name, one in record.metrics.items() if name != "macs"}
    run = write_run([record.model_copy(update={"metrics": metrics})])
    (line,) = offers(run)
    assert line.endswith(" --best results/fashion --cost params my-student")
    none = {name: one for name, one in metrics.items() if name != "params"}
    assert offers(write_run([record.model_copy(update={"metrics": none})])) == []


def test_a_damaged_record_is_refused_by_name(run, timm):
    path = run.path(timm)
    path.write_text(records.text(timm)[:200])
    with pytest.raises(RecordError, match=re.escape(str(path))):
        find_cell(str(path))
