"""All systems end to end through the command line: every method, with codes and without, on all layouts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.data import loading
from bench.registry import METHODS, TEACHERS
from bench.results import records
from bench.results.folder import load_results
from bench.training import views
from models.pruning.reshape import reshape
from tests import layouts
from tests.conftest import PLUGINS, Result

GRID = """\
schema: 1
name: systems
defaults:
  image_size: 16
  distill: {epochs: 2, batch_size: 32, lr: 1.0e-3}
  finetune: {epochs: 2, batch_size: 32, lr: 1.0e-3, optimizer: adamw}
axes:
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none]
  loss: [none]
  bits: [16]
  seed: [0]
measure: {latency: false, peak_memory: false, search: false, weights: false}
"""
#: Prunes in 40 steps; after so few, rows that the lasso drives to zero still swing about it.
CDD = (
    "{name: cdd, params: {teacher_epochs: 2, free_epochs: 1, images_per_identity: 4, embedding: 8, "
    "epochs: 20, lr: 0.1, lasso_weight: 0.2, batch_size: 32, threshold: 0.05}}"
)
#: Which counting them three ways would double the time of.
WITHOUT_MACS = ("--set", "measure.macs=false", "--set", "measure.pr_curve=false")
LABEL_FREE = ["cukd", "logits", "rkd", "ranking", "whiten_mtd"]


@pytest.fixture
def grid(folder: Path, bench: Callable[..., Result]) -> Callable[..., Result]:
    """Run a verb on the grid with some of its axes replaced, and text put behind it."""

    def call(verb: str, *arguments: object, measured: str = "", more: str = "", **axes: str) -> Result:
        text = GRID.replace("measure: {", f"measure: {{{measured}: {{}}, ") if measured else GRID
        for axis, entries in axes.items():
            start = text.index(f"  {axis}: [")
            text = f"{text[:start]}  {axis}: {entries}{text[text.index(chr(10), start) :]}"
        (folder / "grid.yaml").write_text(text + more)
        plugins = [part for name in ("tiny", "systems") for part in ("--include", PLUGINS / f"{name}.py")]
        return bench(verb, "--grid", "grid.yaml", *plugins, *arguments)

    return call


def loaded() -> list[records.Record]:
    return load_results(Path("results/systems")).records


def artifact(folder: Path, record: records.Record, kind: str) -> Path:
    (path,) = (folder / "cache" / kind).glob(f"*{record.stages[kind].key[:12]}*")
    return path


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_every_method_works_with_and_without_codes(grid, device):
    small = "params: {embedding: 8, images_per_identity: 4}"
    methods = ["none", *(name for name in LABEL_FREE if name != "whiten_mtd")]
    more = """\
include:
  - method: [{name: whiten_mtd, params: {embedding: 8}}]
    teacher: [[tiny_teacher, tiny_residual]]
  - method: [{name: cdd, params: {teacher_epochs: 1, free_epochs: 1, images_per_identity: 4, embedding: 8}}]
    teacher: [tiny_residual]
    student: [tiny_residual]
"""
    names = f"[{', '.join(methods)}, supcon, {{name: retrieval, {small}}}]"
    result = grid("run", "--device", device, *WITHOUT_MACS, method=names, loss="[csq, none]", more=more)
    assert result.code == 0, result.err
    found = {(record.cell.method, record.cell.loss): record for record in loaded()}
    assert found.keys() == {(method, loss) for method in METHODS.names() for loss in ("csq", "none")}
    for (method, loss), record in found.items():
        assert record.status == "ok"
        assert record.environment["device"] == device
        assert bool(record.environment["gpu"]) == (device == "cuda")
        assert 0 <= record.metrics["map@all:expected:relevant"].value <= 1
        assert record.cell.bits == (16 if loss == "csq" else 0)
        assert ("distill" in record.stages) == METHODS.get(method).trains
        assert ("params_before" in record.metrics) == (method == "cdd")
    assert len(found["whiten_mtd", "none"].cell.teachers) == 2
    assert found["retrieval", "none"].cell.teachers == []


def test_without_codes_one_cell_stands_for_all_code_lengths(grid):
    fast = {
        "latency": "{batch_sizes: [1], samples: 5, warmup_seconds: 0.05, budget_seconds: 0.2}",
        "peak_memory": "{}",
    }
    overrides = [f"measure.{name}={params}" for name, params in {**fast, "weights": "{}"}.items()]
    arguments = [part for override in overrides for part in ("--set", override)]
    assert (
        grid("run", *arguments, "--set", "measure.search={}", loss="[none, csq]", bits="[16, 32]").code == 0
    )
    bits = sorted(record.cell.bits for record in loaded())
    assert bits == [0, 16, 32]
    record = next(record for record in loaded() if record.cell.loss == "none")
    assert next(iter(record.metrics)) == "map@all:expected:relevant"
    assert {"precision_at_k@10", "recall_at_k@100", "params", "latency_ms@1"} <= record.metrics.keys()
    assert not [name for name in record.metrics if "hamming2" in name or "pr_curve" in name]
    # The network alone, without a head: 12 filters of 3 x 5 x 5, their biases, one normalisation.
    assert record.metrics["params"].value == 12 * 75 + 12 + 24


@pytest.mark.parametrize("method", ["cukd", "retrieval"])
def test_a_student_with_tied_weights(grid, folder, method):
    """A layer that is passed twice, and two that share a weight, through every stage and into ONNX."""
    costs = {"weights": "{}", "params": "{}", "peak_memory": "{batch_sizes: [1]}", "macs": "{}"}
    costs["latency"] = "{batch_sizes: [1], samples: 5, warmup_seconds: 0.05, budget_seconds: 0.2}"
    costs["onnx"] = "{batch_sizes: [1], calibration_images: 8, samples: 5, warmup_seconds: 0.05}"
    overrides = [f"measure.{name}={params}" for name, params in costs.items()]
    arguments = [part for override in overrides for part in ("--set", override)]
    small = {"retrieval": "{name: retrieval, params: {embedding: 8, images_per_identity: 4}}"}.get(method)
    axes = {
        "method": f"[{small or method}]",
        "loss": "[{name: csq, params: {select: val, eval_every: 1}}, none]",
    }
    result = grid("run", *arguments, student="[tiny_tied]", **axes)
    assert result.code == 0, result.err
    record = next(record for record in loaded() if record.cell.loss == "csq")
    network = load_file(artifact(folder, record, "finetune") / "network.safetensors")
    student = load_file(artifact(folder, record, "distill") / "student.safetensors")
    for tensors in (network, student):
        names = {name.replace("trunk.", "") for name in tensors}
        assert {"2.weight", "2.bias", "6.0.weight", "6.2.bias"} <= names
        assert names.isdisjoint({"4.weight", "4.bias", "6.2.weight"})
    values = {name: metric.value for name, metric in record.metrics.items()}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    learnt = [tensor for name, tensor in network.items() if not name.endswith(statistics)]
    assert values["params"] == sum(tensor.numel() for tensor in learnt)
    size = sum(tensor.nbytes for tensor in network.values())
    assert values["weights_mb"] == size / 1e6
    assert record.metrics["peak_memory_mb@1"].detail["weights_mb"] == size / 1e6
    # The twice-passed layer works twice: 9 positions, four convolutions of 8 to 8 channels behind the first.
    assert record.metrics["macs"].detail["fully_counted"] is True
    assert values["macs"] >= 9 * (75 * 8 + 4 * 8 * 8 * 9)
    assert values["onnx_bits_changed:fp32"] < 0.01


def asked() -> int:
    return sum(sys.modules["included.systems"].ASKED)


def test_the_teacher_is_asked_once_per_image_of_the_pool(grid, folder):
    half = "[{name: ranking, params: {pool_fraction: 0.5}}]"
    assert grid("run", teacher="[counted_teacher]", method=half).code == 0
    data = loading.load("synthetic", {}, Path("data"), None)
    assert asked() == len(data.pool("database", 0.5, "always").indices) == 62
    # Another seed trains anew on what was said the first time.
    assert grid("run", teacher="[counted_teacher]", method=half, seed="[0, 1]").code == 0
    assert asked() == 0
    students = [load_file(artifact(folder, record, "distill") / "student.safetensors") for record in loaded()]
    assert len(students) == 2
    assert not all(torch.equal(students[0][key], students[1][key]) for key in students[0])


def test_capacity_dynamic_distillation_prunes_what_is_deployed(grid, folder):
    network = "[tiny_residual]"
    timed = "{batch_sizes: [1], samples: 5, warmup_seconds: 0.01, budget_seconds: 0.05}"
    asked = ("--set", f"measure.folded={timed}")
    result = grid("run", *asked, teacher=network, student=network, method=f"[none, {CDD}]", seed="[0, 1]")
    assert result.code == 0, result.err
    by_method = {"none": [], "cdd": []}
    for record in loaded():
        by_method[record.cell.method].append(record)
    whole = by_method["none"][0].metrics
    for record in by_method["cdd"]:
        costs = {name: metric.value for name, metric in record.metrics.items()}
        # The whole network, and the embedding from 16 to 8 with its two normalisations.
        assert costs["params_before"] == whole["params"].value + 2 * 16 + 16 * 8 + 2 * 8
        assert costs["macs_before"] == whole["macs"].value + 16 * 8
        assert costs["macs"] < 0.9 * costs["macs_before"]
        assert costs["params"] < costs["params_before"]
        # Two blocks, each with a normalisation left and the second with one beside it, of 8 and 16 channels.
        assert costs["params_folded"] == costs["params"] - (8 + 16 + 16)
        assert costs["macs_folded"] == costs["macs"]
        assert costs["latency_ms_folded@1"] > 0
    assert {"params_folded", "latency_ms_folded@1"} <= whole.keys()
    # What cells of one architecture share, those with one of their own do not.
    for name in ("measure/params", "measure/macs"):
        keys = {method: {record.stages[name].key for record in some} for method, some in by_method.items()}
        assert (len(keys["none"]), len(keys["cdd"])) == (1, 2)
        assert keys["none"].isdisjoint(keys["cdd"])

    record = by_method["cdd"][0]
    kept = artifact(folder, record, "distill")
    architecture = json.loads((kept / "architecture.json").read_text())
    plugin = TEACHERS.get("tiny_residual")
    network = plugin(plugin.Params())
    net, width = reshape(network.build(), network.feature_dim(16), architecture)
    net.load_state_dict(load_file(kept / "student.safetensors"))
    reset = record.stages["distill"].summary["reset_channels"]
    assert reset.keys() == architecture["channels"].keys()
    assert sum(reset.values()) > 0
    assert sum(architecture["channels"].values()) < 8 + 16
    assert sum(one.numel() for one in net.parameters()) == record.metrics["params"].value
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    query = data.splits.query
    crops = views.centre_crops(data.images)[query]
    inputs = views.render(torch.from_numpy(data.images.pixels[query]), crops, network.preprocessing, 16)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(net.eval()(inputs), dim=1)
    found = load_file(artifact(folder, record, "encode") / "codes.safetensors")["query"]
    assert found.shape == (len(query), width)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_labels_reach_the_methods_that_say_so_and_no_other(grid, folder):
    methods = [*LABEL_FREE, "retrieval"]
    result = grid("run", *WITHOUT_MACS, dataset="[synthetic, relabelled]", method=f"[{', '.join(methods)}]")
    assert result.code == 0, result.err
    students = {
        (record.cell.method, record.cell.dataset): load_file(
            artifact(folder, record, "distill") / "student.safetensors"
        )
        for record in loaded()
    }
    for method in methods:
        one, other = (students[method, dataset] for dataset in ("synthetic", "relabelled"))
        same = one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
        assert same == (method != "retrieval"), method


@pytest.mark.parametrize("method", ["rkd", "cdd"])
def test_losses_of_step_one_are_computed_in_full_precision(grid, monkeypatch, method):
    plugin, seen = METHODS.get(method), []
    terms = plugin.terms

    def spy(self, outputs, batch):
        seen.append(torch.is_autocast_enabled("cpu"))
        return terms(self, outputs, batch)

    monkeypatch.setattr(plugin, "terms", spy)
    network = "[tiny_residual]"
    short = "params: {epochs: 1, teacher_epochs: 1, images_per_identity: 4, embedding: 8, free_epochs: 0}"
    entry = f"[{{name: cdd, {short}}}]" if method == "cdd" else "[rkd]"
    bf16 = ("--set", "defaults.precision=bf16")
    result = grid("run", *bf16, teacher=network, student=network, method=entry)
    assert result.code == 0, result.err
    assert set(seen) == {False}


REFUSED = {
    "labels and the whole database": (
        {"method": "[{name: retrieval, params: {pool: database}}]"},
        "grid.yaml:11:12: method 'retrieval' uses labels, and only training images may show theirs; "
        "set its params to {pool: train}",
    ),
    "pairs by label and the whole database": (
        {"method": "[none, {name: whiten_mtd, params: {pairs: labels}}]"},
        "grid.yaml:11:18: method 'whiten_mtd' uses labels",
    ),
    "another network": (
        {"teacher": "[tiny_residual]", "method": "[cdd]"},
        "grid.yaml:11:12: method 'cdd' starts from the teacher's own network, but teacher tiny_residual has "
        "student tiny_student",
    ),
    "several teachers": (
        {"teacher": "[[tiny_teacher, tiny_residual]]", "method": "[none, rkd]"},
        "grid.yaml:11:18: method 'rkd' takes 1 teacher, this combination has 2",
    ),
    "no classifier": (
        {"teacher": "[tiny_residual]", "method": "[logits]"},
        "grid.yaml:11:12: method 'logits' needs a teacher with a classifier; tiny_residual has none",
    ),
    "codes without labels": (
        {"dataset": "[synthetic, unlabelled]", "loss": "[none, csq]"},
        "grid.yaml:12:16: loss 'csq' needs labels, and unlabelled has none for training; use loss: none",
    ),
    "a supervised method without labels": (
        {"dataset": "[unlabelled]", "method": "[retrieval]"},
        "grid.yaml:11:12: method 'retrieval' needs labels, and unlabelled has none for training",
    ),
    "no epochs to reset gradients in": (
        {"teacher": "[tiny_residual]", "student": "[tiny_residual]", "method": "[cdd]"},
        "grid.yaml:11:12: method 'cdd': free_epochs 20 leaves none of 2 epochs for resetting gradients",
    ),
    "a network without blocks": (
        {"student": "[tiny_teacher]", "method": "[{name: cdd, params: {free_epochs: 1}}]"},
        "pruned",
    ),
    "one identity per batch": (
        {"method": "[{name: retrieval, params: {images_per_identity: 17}}]"},
        "grid.yaml:11:12: method 'retrieval': images_per_identity 17 leaves room for one identity in a batch "
        "of 32; lower it",
    ),
    "defaults that do not suit": (
        {"method": "[retrieval]", "batch": "2"},
        "grid.yaml:11:12: method 'retrieval' does not take defaults.distill.batch_size as it is (it "
        "should be greater than or equal to 4); set it in the params of retrieval",
    ),
    "learning from what is searched": (
        {"dataset": "[veri776]", "method": "[cukd]"},
        "grid.yaml:11:12: method 'cukd' would learn from the images that veri776 is tested on; set its",
    ),
    "labels without training images": (
        {"dataset": "[{name: roxford5k, params: {train_labels: true}}]"},
        "dataset 'roxford5k': train_labels needs a train_folder",
    ),
    "a metric of other data": (
        {"measured": "reid", "loss": "[csq]"},
        "grid.yaml:15:17: metric 'reid' applies to no cell of this grid; leave it out",
    ),
    "a metric of codes": (
        {"measured": "precision_hamming2"},
        "grid.yaml:15:31: metric 'precision_hamming2' applies to no cell of this grid; leave it out",
    ),
}


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_cannot_work_is_refused_before_any_work(grid, folder, verb, change, expected):
    # Planning builds no network, and a run without data ends before its plan.
    if (verb, "dataset" in change and "veri776" in change["dataset"]) == ("run", True):
        layouts.write_veri(folder / "data")
    if (verb, expected) == ("plan", "pruned"):
        return
    change = dict(change)
    small = ("--set", f"defaults.distill.batch_size={change.pop('batch')}") if "batch" in change else ()
    result = grid(verb, *small, **change)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err
    assert not list((folder / "cache").glob("*/*/artifact.json"))
    assert not list(folder.glob("results/*/records/*.json"))


def test_what_needs_no_labels_works_without(grid):
    result = grid("run", dataset="[unlabelled]", method="[none, cukd]")
    assert result.code == 0, result.err
    assert {record.cell.method for record in loaded()} == {"none", "cukd"}


def test_landmarks_vehicles_and_videos(grid, bench, folder):
    root = folder / "data"
    layouts.write_revisited(root)
    layouts.write_veri(root)
    layouts.write_svd(root)
    for number in range(12):
        layouts.picture(root / "others" / f"{number}.jpg", (20 * number, 100, 0))
    own = {"roxford5k": ", train_folder: others"}
    sets = ", ".join(
        f"{{name: {name}, params: {{side: 32{own.get(name, '')}}}}}"
        for name in ("roxford5k", "veri776", "svd")
    )
    more = """\
include:
  - {dataset: [{name: veri776, params: {side: 32}}], loss: csq}
report: {pareto: [[map, macs]]}
"""
    result = grid(
        "run", dataset=f"[{sets}]", method="[none, {name: ranking, params: {pool: train}}]", more=more
    )
    assert result.code == 0, result.err
    found = {(r.cell.dataset, r.cell.method, r.cell.loss): set(r.metrics) for r in loaded()}
    expected = {
        "roxford5k": {f"map_revisited:{one}" for one in ("easy", "medium", "hard")}
        | {f"mp_at_k:medium@{k}" for k in (1, 5, 10)},
        "veri776": {"map_reid", "cmc@1", "cmc@5", "cmc@10"},
        "svd": {"map_videos@100", "map_videos@all"},
    }
    assert len(found) == 8
    assert {key for key in found if key[2] == "csq"} == {
        ("veri776", method, "csq") for method in ("none", "ranking")
    }
    for (dataset, _, _), metrics in found.items():
        for other, names in expected.items():
            assert names <= metrics if other == dataset else names.isdisjoint(metrics)
        # Labels do not say what answers a query.
        assert not [name for name in metrics if name.startswith(("map@", "precision", "recall"))]
        assert "macs" in metrics

    report = bench("report")
    assert report.code == 0, report.err
    made = Path("results/systems/report")
    for dataset in expected:
        assert (made / f"pareto_map_macs_{dataset}.svg").stat().st_size > 1000
    table = (made / "table.md").read_text()
    for note in ("junk is left out", "by its own camera", "Chamfer similarity"):
        assert table.count(note) == 1
    assert "- \n" not in table
    values = {r.cell.dataset: r.metrics for r in loaded() if r.cell.method == "ranking" and not r.cell.bits}
    for dataset, name in (
        ("roxford5k", "map_revisited:medium"),
        ("veri776", "map_reid"),
        ("svd", "map_videos@all"),
    ):
        assert f"{values[dataset][name].value:.3f}"[1:] in table, (dataset, table)
    assert np.isfinite([metric.value for metrics in values.values() for metric in metrics.values()]).all()
