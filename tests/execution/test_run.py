"""From a grid to records: the whole path on a tiny grid, twice, and with faults put in."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from bench.comparison import finding
from bench.hamming import average_precision, scan
from bench.losses.csq import Csq
from bench.results import records
from bench.results.folder import load_results
from tests.recorded import assert_in_catalogue

#: A loss with random parameters of its own.
DRAWING = """
import torch
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import HashingParameters


@LOSSES.register_as("drawing")
class Drawing(Loss):
    version = 1
    Params = HashingParameters

    def __init__(self, params, task):
        super().__init__(params, task)
        self.head = torch.nn.Linear(task.bits, task.classes)

    def parameters(self):
        return self.head.parameters()

    def terms(self, codes, labels, index):
        return {"classes": torch.nn.functional.cross_entropy(self.head(codes), labels.argmax(dim=1))}
"""


def loaded(folder: Path) -> list[records.Record]:
    return load_results(folder).records


def artifacts(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "cache" / kind).iterdir())


@pytest.fixture
def done(tiny, folder):
    """The tiny grid, run."""
    result = tiny("run")
    assert result.code == 0, result.err
    return result


def test_every_cell_gets_a_record_with_all_its_numbers(done, folder):
    assert done.out.startswith("4 of 4 cells ok in results/tiny")
    found = loaded(Path("results/tiny"))
    expected = {("none", "csq"), ("none", "dch"), ("cukd", "csq"), ("cukd", "dch")}
    assert {(r.cell.method, r.cell.loss) for r in found} == expected
    for record in found:
        assert record.status == "ok"
        assert next(iter(record.metrics)) == "map@all:expected:relevant"
        assert_in_catalogue(record.metrics)
        ties = {f"map@all:{rule}" for rule in ("index:hits", "best:relevant", "worst:relevant")}
        assert ties <= set(record.metrics)
        assert {"precision_at_k@10", "params", "macs", "weights_mb", "code_bytes"} <= set(record.metrics)
        assert {"recall_at_k@100", "precision_hamming2", "map_hamming2:worst", "pr_curve:radius"} <= set(
            record.metrics
        )
        assert {"peak_memory_mb@64", "search_qps", "index_bytes"} <= set(record.metrics)
        encode, search = record.metrics["latency_ms@1"], record.metrics["search_ms@1"]
        assert record.metrics["query_ms@1"].value == encode.value + search.value
        assert {"distance_counts", "recall_at_k@100"} <= set(record.per_query)
        assert len(record.metrics["latency_ms@1"].samples) >= 5
        assert record.environment["device"] == "cpu"
        assert record.environment["threads"] == 2
        assert record.params["loss"]["lr"] == 1e-3
        assert list(record.stages)[-2].startswith("measure/")
        assert [set(epoch) for epoch in record.stages["finetune"].history] == [
            {"lr", *(["center" if record.cell.loss == "csq" else "pairs", "quantization"])}
        ] * 2
        assert ("distill" in record.stages) == (record.cell.method == "cukd")
    (manifest,) = Path("results/tiny/splits").iterdir()
    assert found[0].cell.protocol["manifest"] in manifest.name


def test_a_search_that_disagrees_with_popcount_fails_the_cell(tiny, folder, monkeypatch):
    right = scan.distances

    def wrong(query, items, out):
        right(query, items, out)
        out[3] += 1

    monkeypatch.setattr(scan, "distances", wrong)
    result = tiny("run", "--only", "loss=csq", "--only", "method=none")
    assert result.code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.status == "failed"
    assert record.error.stage == "measure"
    assert "disagree on the distances of query 0" in record.error.message


def test_stages_are_shared_between_cells(done, folder):
    assert len(artifacts(folder, "features")) == 2
    assert len(artifacts(folder, "distill")) == 1
    assert len(artifacts(folder, "finetune")) == 4


def test_map_in_the_record_is_that_of_the_stored_codes(done, folder):
    from bench.data import loading

    record = next(r for r in loaded(Path("results/tiny")) if r.cell.method == "cukd")
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    (encode,) = (
        path for path in artifacts(folder, "encode") if record.stages["encode"].key[:12] in path.name
    )
    codes = load_file(encode / "codes.safetensors")
    labels = data.images.labels
    expected = average_precision(
        codes["query"], codes["database"], labels[data.splits.query], labels[data.splits.database]
    )
    name, metric = record.metric("map")
    assert metric.value == pytest.approx(expected.mean(), abs=1e-12)
    reference = record.per_query[name]
    kept = load_file(folder / "cache" / reference.artifact / "per_query.safetensors")[reference.tensor]
    np.testing.assert_allclose(kept, expected, atol=1e-12)


def test_what_is_too_long_for_a_record_lies_beside_it(done, folder):
    results = load_results(Path("results/tiny"))
    for record in results.records:
        name, metric = record.metric("map")
        ((kept, scores),) = results.per_query(record).items()
        assert kept == name
        assert scores.mean() == pytest.approx(metric.value, abs=1e-6)
        examples = results.examples(record)
        assert len(examples.rows) == 8
        assert Image.open(io.BytesIO(results.sprite(record))).size == (11 * examples.tile, 8 * examples.tile)
        assert "finetune" in results.log(record)


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
    assert findings == finding.findings(load_results(Path("results/tiny")))
    assert len(findings) == 1
    after = {path: path.stat().st_mtime_ns for path in before if path.name != "grid.json"}
    assert after.items() <= before.items()


def test_findings_of_more_cells_than_were_run_say_so(done, tiny):
    some = tiny("run", "--only", "loss=csq")
    said = finding.findings(load_results(Path("results/tiny")))
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


def test_what_a_stage_warns_of_stands_in_the_record_and_at_the_end_of_the_run(tiny, folder, monkeypatch):
    sentence = "half of the centers are one"
    monkeypatch.setattr(Csq, "summary", lambda self: {"constant_bits": 1, "warnings": [sentence]})
    told = f"\nwarning: 2 cells: {sentence}\n"
    assert told in tiny("run").out
    for record in loaded(Path("results/tiny")):
        assert record.warnings == ([sentence] if record.cell.loss == "csq" else [])
        assert "warnings" not in record.stages["finetune"].summary
    assert told in tiny("run").out, "what has a record already is not forgotten"


def test_a_failed_cell_is_a_record_and_the_rest_go_on(tiny, folder):
    boom = ("[csq, dch]", "[csq, {name: dch, params: {lr: 1.0e+30, optimizer: sgd}}]")
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
    assert "lower lr (now 1e+30)" in error.message
    assert not [path for path in (folder / "cache").rglob(".*") if path.is_dir()]
    again = tiny("run", "-v", edit=boom)
    assert again.code == 1
    assert "finetune" not in again.err
    mended = tiny("run")
    assert mended.code == 0
    assert {r.status for r in loaded(Path("results/tiny"))} == {"ok"}


def test_cells_that_need_a_failed_stage_are_skipped_and_say_why(tiny, folder):
    result = tiny("run", edit=("views: 2,", "views: 2, lr: 1.0e+30, optimizer: sgd,"))
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
        "run", "-v", "--overwrite", "failed", edit=("views: 2,", "views: 2, lr: 1.0e+30, optimizer: sgd,")
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


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_failed_stage_leaves_undone_is_not_waited_for(tiny, monkeypatch, jobs):
    from bench.execution import run

    reports = []

    class Kept(run.ProgressReport):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            reports.append(self)

    monkeypatch.setattr(run, "ProgressReport", Kept)
    diverging = ("defaults.distill.lr=1.0e+38", "defaults.distill.epochs=5")
    overrides = [part for override in diverging for part in ("--set", override)]
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


def test_an_interrupt_keeps_finished_cells_and_the_next_run_goes_on(tiny, monkeypatch, folder):
    from bench.losses.dch import Dch

    original = Dch.terms

    def interrupt(self, codes, labels, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(Dch, "terms", interrupt)
    stopped = tiny("run")
    assert stopped.code == 130
    assert "finished cells are kept" in stopped.err
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


def test_validation_can_choose_the_epoch_but_never_sees_a_query(tiny, folder, monkeypatch):
    from bench.stages import finetune

    touched = []
    original = finetune.outputs_of

    def spy(net, preprocessing, dataset, indices, spec, context):
        touched.append((set(indices), dataset.splits))
        return original(net, preprocessing, dataset, indices, spec, context)

    monkeypatch.setattr(finetune, "outputs_of", spy)
    edit = ("[csq, dch]", "[{name: csq, params: {select: val, eval_every: 1}}]")
    assert tiny("run", "--only", "method=none", edit=edit).code == 0
    assert len(touched) == 4
    assert all(not indices & set(splits.query) for indices, splits in touched)
    (index,) = (json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "finetune"))
    scores = [entry["val_map"] for entry in index["summary"]["history"]]
    assert index["summary"]["kept_epoch"] == 1 + scores.index(max(scores))
    assert index["summary"]["images"] == 64


def test_step_one_never_looks_at_query_or_validation_images(done, folder):
    from bench.data import loading
    from bench.stages import features

    data = loading.load("synthetic", {}, Path("data"), None)
    for part in ("database", "train"):
        pool = set(features.pool(data, part, 1.0))
        assert not pool & (set(data.splits.query) | set(data.splits.val))
    assert len(features.pool(data, "database", 1.0)) == 160 - 20 - 16


def test_cached_features_are_those_of_the_live_teacher(done, folder):
    from bench import registry
    from bench.data import loading
    from bench.stages import features
    from bench.training import views
    from bench.training.loop import seeded

    data = loading.load("synthetic", {}, Path("data"), None)
    plugin = registry.TEACHERS.get("tiny_teacher")
    teacher = plugin(plugin.Params())
    with seeded(0, torch.device("cpu")):
        net = teacher.build().eval()
    chosen = features.pool(data, "database", 1.0)[:8]
    for path in artifacts(folder, "features"):
        view = json.loads((path / "artifact.json").read_text())["spec"]["view"]
        cached = load_file(path / "features.safetensors")["features"].astype(np.float32)
        crops = features.crops(data, view)[chosen]
        inputs = views.render(torch.from_numpy(data.images.pixels[chosen]), crops, teacher.preprocessing, 16)
        with torch.inference_mode():
            live = net(inputs).numpy()
        np.testing.assert_allclose(cached[:8], live, rtol=1e-3, atol=1e-3)


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


def test_weights_of_the_wrong_shape_end_the_run_before_any_work(tiny, folder):
    from safetensors.torch import save_file

    save_file({"conv1.weight": torch.zeros(3)}, folder / "wrong.safetensors")
    edit = ("[tiny_student]", "[{name: cukd_v1, params: {weights: wrong.safetensors}}]")
    result = tiny("run", edit=edit)
    assert result.code == 2
    assert re.match("error: student cukd_v1: .*wrong.safetensors: does not fit the network", result.err)
    assert not (folder / "cache" / "finetune").exists()


@pytest.mark.parametrize(
    ("scale", "reason"),
    [(1e6, "outputs of tiny_teacher reach .*, and float16 ends at 65504"), (float("nan"), "are not finite")],
)
def test_features_that_float16_cannot_hold_are_told_at_once(tiny, monkeypatch, scale, reason):
    from bench.training.micro_batches import Forward

    right = Forward.__call__
    monkeypatch.setattr(Forward, "__call__", lambda forward, inputs: right(forward, inputs) * scale)
    assert tiny("run", "--only", "method=cukd", "--only", "loss=csq").code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.error.stage == "features"
    assert re.search(reason, record.error.message)


def test_what_a_loss_draws_depends_on_the_seed_alone(tiny, folder):
    (folder / "drawing.py").write_text(DRAWING)
    asked = ("--include", "drawing.py", "--only", "method=none")
    loss = ("[csq, dch]", "[drawing]")
    assert tiny("run", *asked, "--out", "one", edit=loss).code == 0
    shutil.rmtree(folder / "cache")
    torch.manual_seed(123)
    assert tiny("run", *asked, "--out", "two", edit=loss).code == 0
    (one,), (two,) = loaded(Path("one")), loaded(Path("two"))
    assert one.stages["finetune"].history == two.stages["finetune"].history


def test_only_a_trunk_that_step_one_has_trained_warms_up(tiny):
    histories = {}
    for warmup in (0, 1):
        assert (
            tiny("run", "--set", f"defaults.finetune.trunk_warmup={warmup}", "--out", f"{warmup}").code == 0
        )
        for record in loaded(Path(f"{warmup}")):
            histories[warmup, record.cell.method] = record.stages["finetune"].history
    assert histories[0, "none"] == histories[1, "none"]
    assert histories[0, "cukd"] != histories[1, "cukd"]
    rates = [[epoch["lr"] for epoch in histories[warmup, "cukd"]] for warmup in (0, 1)]
    assert rates[0] == rates[1]  # of the head


def test_codes_can_be_made_again_when_step_one_is_gone(done, tiny, folder):
    before = {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    }
    for kind in ("features", "distill", "encode", "measure", "examples"):
        shutil.rmtree(folder / "cache" / kind)
    shutil.rmtree("results")
    assert tiny("run").code == 0
    assert {
        record.cell_key: record.metrics["map@all:expected:relevant"]
        for record in loaded(Path("results/tiny"))
    } == before
    assert not (folder / "cache" / "distill").exists()


def test_a_filter_spares_one_the_data_of_the_other_cells(tiny, monkeypatch):
    import torchvision.datasets

    def offline(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    two = ("[synthetic]", "[synthetic, fashion_mnist]")
    only = ("--only", "dataset=synthetic", "--only", "loss=csq", "--only", "method=none")
    assert tiny("run", *only, edit=two).code == 0
    assert len(loaded(Path("results/tiny"))) == 1


def test_limited_records_say_so(tiny):
    assert tiny("run", "--limit", 12, "--only", "method=none").code == 0
    assert {r.cell.protocol["limit"] for r in loaded(Path("results/tiny"))} == {12}


def test_an_interrupted_teacher_goes_on_where_it_stopped(tiny, folder, monkeypatch):
    from bench.storage import growing_rows
    from bench.training import views
    from bench.training.micro_batches import Forward

    monkeypatch.setattr(views, "EVALUATION_BATCH", 128)
    monkeypatch.setattr(growing_rows, "NOTE_EVERY", 128)
    only = ("--only", "method=cukd", "--only", "loss=csq")
    many = ("dataset: [synthetic]", "dataset: [{name: synthetic, params: {per_class: 200}}]")
    shown, right = [], Forward.__call__

    def stopped(forward, batch):
        if len(shown) == 3:
            raise KeyboardInterrupt
        shown.append(len(batch))
        return right(forward, batch)

    monkeypatch.setattr(Forward, "__call__", stopped)
    assert tiny("run", *only, edit=many).code == 130
    (left,) = (folder / "cache" / "partial").iterdir()
    assert left.name.startswith("synthetic__tiny_teacher")
    before = sum(shown)
    monkeypatch.setattr(Forward, "__call__", right)
    assert tiny("run", *only, edit=many).code == 0
    assert not list((folder / "cache" / "partial").iterdir())
    indices = [json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "features")]
    summary = next(index["summary"] for index in indices if index["spec"]["view"] == 0)
    assert summary["resumed_at"] == before
    resumed = [load_file(path / "features.safetensors")["features"] for path in artifacts(folder, "features")]
    shutil.rmtree(folder / "cache")
    assert tiny("run", *only, "--out", "whole", edit=many).code == 0
    whole = [load_file(path / "features.safetensors")["features"] for path in artifacts(folder, "features")]
    np.testing.assert_array_equal(resumed, whole)


ONLINE = ("views: 2", "views: online")


def test_online_views_ask_the_teacher_in_every_epoch(tiny, folder):
    assert tiny("run", "--only", "method=cukd", edit=ONLINE).code == 0
    assert not (folder / "cache" / "features").exists()
    (distill,) = artifacts(folder, "distill")
    index = json.loads((distill / "artifact.json").read_text())
    assert index["cost_class"].endswith("/tiny_teacher/cukd")
    assert index["summary"]["teacher_queries"] == 2 * 32 * (index["summary"]["images"] // 32)
    assert all(record.status == "ok" for record in loaded(Path("results/tiny")))


def test_cached_and_online_training_are_the_same_where_views_are(tiny, folder, monkeypatch):
    """With the crops of the cache, a live teacher teaches what it taught once, but for half precision."""
    from bench.training import views

    only = ("--only", "method=cukd", "--only", "loss=csq")
    assert tiny("run", *only).code == 0
    (cached,) = artifacts(folder, "distill")
    monkeypatch.setattr(views, "STUDENT_STREAM", views.DISTILL_STREAM)
    assert tiny("run", *only, "--out", "online", edit=ONLINE).code == 0
    (live,) = (path for path in artifacts(folder, "distill") if path != cached)
    histories = [
        json.loads((path / "artifact.json").read_text())["summary"]["history"] for path in (cached, live)
    ]
    for first, second in zip(*histories, strict=True):
        assert first["mse"] == pytest.approx(second["mse"], rel=1e-3)


def test_a_value_of_views_that_means_nothing_is_refused_with_its_place(tiny):
    result = tiny("run", edit=("views: 2", "views: onlin"))
    assert result.code == 2
    wrong = "grid.yaml:11:47: views of method 'cukd' should be a valid integer or 'online', not \"onlin\""
    assert result.err == f"error: {wrong}\n"


#: A metric that is not a number where there is nothing to divide by.
DIVIDING = """
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Parameters


@METRICS.register_as("dividing")
class Dividing(Metric):
    version, subject, noise = 1, "codes", "seeded"
    Params = Parameters

    def __init__(self, params):
        pass

    def compute(self, subject):
        return Measurement({"share": MetricValue(float("nan"), "", True, "seeded")})
"""


def test_a_metric_that_finds_no_number_fails_its_cell(tiny, folder):
    Path("dividing.py").write_text(DIVIDING)
    result = tiny("run", "--include", "dividing.py", "--set", "measure.dividing={}", "--only", "method=none",
                  "--only", "loss=csq")  # fmt: skip
    assert result.code == 1
    (record,) = loaded(Path("results/tiny"))
    assert (record.status, record.error.stage) == ("failed", "measure")
    assert record.error.message == "metric dividing found no number for share: nan"
