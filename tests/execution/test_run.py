"""From a grid to records: the whole path on a tiny grid, twice, and with faults put in."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from bench.comparison import finding
from bench.deployment.cells import offers
from bench.results.folder import load_results
from bench.timing import Timing
from tests.left import artifacts, loaded


def test_stages_are_shared_between_cells(done, folder):
    assert len(artifacts(folder, "features")) == 2
    assert len(artifacts(folder, "distill")) == 1
    assert len(artifacts(folder, "finetune")) == 4


def test_examples_of_names_with_dots_are_found(tiny, folder):
    dotted = ("[tiny_student]", "[tiny_student, tiny.student_a, tiny.student_b]")
    assert tiny("run", "--only", "loss=csq", "--only", "method=none", edit=dotted).code == 0
    results = load_results(Path("results/tiny"))
    assert len(results.records) == 3
    assert all(results.examples(record) and results.sprite(record) for record in results.records)


def test_examples_can_be_left_out(tiny, folder):
    assert tiny("run", "--set", "report.examples=0", "--only", "loss=csq").code == 0
    assert not Path("results/tiny/examples").exists()


def test_the_log_of_a_failed_cell_has_its_traceback(tiny, folder, monkeypatch):
    def broken(*_):
        raise ValueError("no such luck")

    monkeypatch.setattr("bench.stages.finetune.run", broken)
    tiny("run", "--only", "loss=csq", "--only", "method=none")
    results = load_results(Path("results/tiny"))
    assert "ValueError: no such luck" in results.log(results.records[0])
    assert "Traceback" in results.log(results.records[0])


def test_a_second_run_does_nothing_and_says_so(done, tiny, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json") if "splits" not in str(path)}
    again = tiny("run")
    assert again.code == 0
    said, *findings = again.out.splitlines()
    assert said == "4 of 4 cells ok in results/tiny; nothing to do, every cell has a record"
    results = load_results(Path("results/tiny"))
    assert findings == [*finding.findings(results), *offers(results)]
    assert len(findings) == 2
    after = {path: path.stat().st_mtime_ns for path in before if path.name != "grid.json"}
    assert after.items() <= before.items()


def test_findings_of_more_cells_than_were_run_say_so(done, tiny):
    some = tiny("run", "--only", "loss=csq")
    results = load_results(Path("results/tiny"))
    said = [*finding.findings(results), *offers(results)]
    heading = "what all cells in results/tiny say, those of other runs among them:"
    assert some.out.splitlines()[1:] == [heading, *said]


def test_a_run_does_not_fail_for_want_of_words(done, tiny, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("no words")

    monkeypatch.setattr("bench.comparison.finding.findings", broken)
    again = tiny("run")
    assert (again.code, len(again.out.splitlines())) == (0, 1)
    assert "nothing is said of results/tiny: no words" in again.err


def test_the_same_grid_from_an_empty_cache_gives_the_same_numbers(done, tiny, folder):
    first = {r.cell_key: r.metrics["map@all:expected:relevant"].value for r in loaded(Path("results/tiny"))}
    shutil.rmtree(folder / "cache")
    assert tiny("run", "--out", "again").code == 0
    second = {r.cell_key: r.metrics["map@all:expected:relevant"].value for r in loaded(Path("again"))}
    assert first == second


def test_records_lost_or_damaged_are_made_again_from_the_cache(done, tiny, caplog):
    files = sorted(Path("results/tiny/records").iterdir())
    files[0].unlink()
    files[1].write_text(files[1].read_text()[:100])
    again = tiny("run")
    assert again.out.splitlines()[0] == "4 of 4 cells ok in results/tiny; all from cache"
    assert files[1].name.split("-")[0] in again.err
    assert len(loaded(Path("results/tiny"))) == 4


def test_a_damaged_artifact_is_made_again_and_only_what_needs_it(done, tiny, folder):
    before = {r.cell_key: r.metrics["map@all:expected:relevant"].value for r in loaded(Path("results/tiny"))}
    for path in folder.glob("cache/measure/map__*"):
        shutil.rmtree(path)
    victim = artifacts(folder, "encode")[0] / "codes.safetensors"
    victim.write_bytes(victim.read_bytes()[:-1] + b"\x00\x01")
    for path in Path("results/tiny/records").iterdir():
        path.unlink()
    again = tiny("run", "-v")
    assert again.code == 0
    assert "damaged" in again.err
    assert again.err.count("encode synthetic") == 1
    assert "finetune" not in again.err
    after = {r.cell_key: r.metrics["map@all:expected:relevant"].value for r in loaded(Path("results/tiny"))}
    assert before == after


def test_a_failed_cell_is_a_record_and_the_rest_go_on(tiny, folder):
    boom = ("[csq, dch]", "[csq, {name: dch, params: {lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd}}]")
    result = tiny("run", edit=boom)
    assert result.code == 1
    assert "failed: synthetic__no-teacher__tiny_student__none__dch__16b__s0" in result.out
    assert "Traceback" not in result.err
    by_status = {}
    for record in loaded(Path("results/tiny")):
        by_status.setdefault(record.status, []).append(record)
    assert len(by_status["ok"]) == 2
    assert len(by_status["failed"]) == 2
    error = by_status["failed"][0].error
    assert error.stage == "finetune"
    assert "lower lr (now 1000)" in error.message
    assert not [path for path in (folder / "cache").rglob(".*") if path.is_dir()]
    again = tiny("run", "-v", edit=boom)
    assert again.code == 1
    assert "finetune" not in again.err
    mended = tiny("run")
    assert mended.code == 0
    assert {r.status for r in loaded(Path("results/tiny"))} == {"ok"}


def test_cells_that_need_a_failed_stage_are_skipped_and_say_why(tiny, folder):
    result = tiny("run", edit=("views: 2,", "views: 2, lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd,"))
    assert result.code == 1
    found = {(r.cell.method, r.cell.loss): r for r in loaded(Path("results/tiny"))}
    assert {key: r.status for key, r in found.items()} == {
        ("none", "csq"): "ok",
        ("none", "dch"): "ok",
        ("cukd", "csq"): "failed",
        ("cukd", "dch"): "skipped",
    }
    assert "needs distill" in found["cukd", "dch"].error.message
    assert "lower lr" in found["cukd", "dch"].error.message
    retried = tiny(
        "run",
        "-v",
        "--overwrite",
        "failed",
        edit=("views: 2,", "views: 2, lr: 1.0e+3, weight_decay: 1.0e+3, optimizer: sgd,"),
    )
    assert retried.code == 1
    assert "finetune" not in retried.err


def test_a_run_in_which_everything_fails_does_not_say_that_there_was_nothing_to_do(tiny, monkeypatch):
    from bench.losses.dch import Dch

    def explode(self, codes, labels, index):
        raise RuntimeError("a defect")

    only = ("--only", "method=none", "--only", "loss=dch")
    monkeypatch.setattr(Dch, "terms", explode)
    first = tiny("run", *only).out.splitlines()
    assert first[0] == "0 of 1 cells ok in results/tiny"
    assert tiny("run", *only, "--overwrite", "failed").out.splitlines() == first
    assert tiny("run", *only).out.splitlines()[0].endswith("; nothing to do, every cell has a record")


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_failed_stage_leaves_undone_is_not_waited_for(tiny, monkeypatch, jobs):
    from bench.execution import run

    reports = []

    class Kept(run.ProgressReport):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            reports.append(self)

    monkeypatch.setattr(run, "ProgressReport", Kept)
    diverging = ("lr=1.0e+3", "weight_decay=1.0e+3", "optimizer=sgd", "epochs=5")
    overrides = [part for override in diverging for part in ("--set", f"defaults.distill.{override}")]
    assert tiny("run", "--jobs", jobs, *overrides).code == 1
    assert [record.status for record in loaded(Path("results/tiny"))].count("ok") == 2
    assert reports[0].time_left() == 0


def test_an_unforeseen_error_keeps_its_traceback_in_the_log_only(tiny, monkeypatch):
    from bench.losses.dch import Dch

    def explode(self, codes, labels, index):
        raise RuntimeError("a defect\nwith a second line")

    monkeypatch.setattr(Dch, "terms", explode)
    result = tiny("run")
    assert result.code == 1
    assert "Traceback" not in result.err + result.out
    assert "RuntimeError: a defect" in result.err
    (log,) = Path("results/tiny/logs").glob("run-*.log")
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("verb", ["run", "worker"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("I/O error: No space left on device")]
)
def test_a_full_disk_ends_a_run_and_fails_no_cell(tiny, monkeypatch, folder, verb, error):
    """A worker that went on would make failures of all that is left, for everybody, in seconds."""
    from bench.stages import networks

    def full(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(networks, "save", full)
        result = tiny(verb, "--jobs", "1")
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert line.startswith("error: finetune synthetic__")
    assert line.endswith(
        f": No space left on device; make room in {folder / 'cache'}, and run the same again"
    )
    assert not list(Path("results/tiny").glob("records/*"))
    assert not list(Path("results/tiny").glob("failures/*"))
    assert not list((folder / "cache/claims").iterdir())
    assert tiny(verb, "--jobs", "1").code == 0


def test_an_interrupt_keeps_finished_cells_and_the_next_run_goes_on(tiny, monkeypatch, folder):
    from bench.losses.dch import Dch

    original = Dch.terms

    def interrupt(self, codes, labels, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(Dch, "terms", interrupt)
    stopped = tiny("run")
    assert stopped.code == 130
    assert "what is finished is kept" in stopped.err
    assert [r.cell.loss for r in loaded(Path("results/tiny"))] == ["csq"]
    assert not [path for path in (folder / "cache").rglob(".*") if path.is_dir()]
    monkeypatch.setattr(Dch, "terms", original)
    assert tiny("run").code == 0
    assert len(loaded(Path("results/tiny"))) == 4


def test_always_makes_everything_anew(done, tiny):
    result = tiny("run", "--overwrite", "always", "-v")
    assert result.code == 0
    assert result.err.count("finetune synthetic") == 4
    assert result.err.count("features synthetic") == 2


def test_unsteady_timings_are_taken_again_and_nothing_is_trained_for_that(tiny, folder, monkeypatch):
    monkeypatch.setattr(Timing, "noisy", property(lambda _: True))
    assert tiny("run").code == 0
    monkeypatch.setattr(Timing, "noisy", property(lambda _: False))
    before = {record.cell_key: record for record in loaded(Path("results/tiny"))}
    result = tiny("run", "--overwrite", "unsteady", "-v")
    assert result.code == 0
    assert not re.search("(finetune|distill|features|encode) synthetic", result.err)
    after = {record.cell_key: record for record in loaded(Path("results/tiny"))}
    assert after.keys() == before.keys()
    for key, record in after.items():
        assert not any(metric.detail.get("noisy") for metric in record.metrics.values())
        assert record.metrics["latency_ms@1"].samples != before[key].metrics["latency_ms@1"].samples
        assert record.metrics["map@all:expected:relevant"] == before[key].metrics["map@all:expected:relevant"]
    assert "nothing to do" in tiny("run", "--overwrite", "unsteady").out
    monkeypatch.setattr(Timing, "noisy", property(lambda _: True))
    shutil.rmtree(folder / "cache/measure")
    assert tiny("run", "--overwrite", "always").code == 0
    shutil.rmtree(folder / "cache/encode")
    lost = tiny("run", "--overwrite", "unsteady")
    assert (lost.code, (folder / "cache/encode").exists()) == (0, False)
    assert lost.err.count("the cache has its network no more; its timings stay as they are") == 4


def test_an_output_folder_that_is_a_file_is_one_line(tiny, folder):
    (folder / "file").write_text("")
    result = tiny("run", "--out", folder / "file")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "cannot write" in result.err
    assert not (folder / "cache" / "finetune").exists()


def test_a_cache_that_is_a_file_is_one_line(tiny, folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(folder / "file"))
    result = tiny("run")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "set BENCH_CACHE to a writable folder" in result.err


def test_missing_data_end_the_run_before_any_work(tiny, folder, monkeypatch):
    import torchvision.datasets

    def offline(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    result = tiny("run", edit=("[synthetic]", "[fashion_mnist]"))
    assert result.code == 2
    assert "BENCH_DATA" in result.err
    assert not (folder / "results").exists()


def test_a_filter_spares_one_the_data_of_the_other_cells(tiny, monkeypatch):
    import torchvision.datasets

    def offline(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    two = ("[synthetic]", "[synthetic, fashion_mnist]")
    only = ("--only", "dataset=synthetic", "--only", "loss=csq", "--only", "method=none")
    assert tiny("run", *only, edit=two).code == 0
    assert len(loaded(Path("results/tiny"))) == 1


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers_again(tiny, folder):
    maps = []
    for out in ("one", "two"):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        assert tiny("run", "--device", "cuda", "--out", out).code == 0
        maps.append({r.cell_key: r.metrics["map@all:expected:relevant"].value for r in loaded(Path(out))})
    assert maps[0] == maps[1]
