"""The command line as a person or a program meets it."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from bench.cli import diagnosis
from bench.cli.measure import measure
from bench.cli.options import _StderrHandler
from bench.metrics import latency
from bench.planning import schema
from bench.registry import REGISTRIES
from tests.conftest import PLUGINS

ROOT = Path(__file__).parents[2]


def test_help_answers_in_under_half_a_second():
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bench", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        best = min(best, time.perf_counter() - start)
    assert best < 0.5
    for verb in ("run", "plan", "report", "ls", "measure", "data", "doctor"):
        assert f"\n  {verb} " in done.stdout


#: Longer than a system takes for the name of a file.
LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", LONG],
        ["compare", LONG, LONG],
        ["check", LONG, "--baseline", LONG],
        ["run", "--grid", LONG],
        ["ls", "losses", "--include", LONG],
        ["data", "prepare", "image_folder", "--set", f"folder={LONG}"],
        ["data", "prepare", "coco", "--set", f"lists={LONG}"],
        ["data", "prepare", "coco", "--data-root", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_path_that_cannot_be_is_one_line(bench, arguments):
    result = bench(*arguments)
    assert result.code == 2
    assert "File name too long" in result.err
    assert "defect" not in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("value", [0, 4097, 10**11])
def test_measure_has_the_bounds_of_grids(bench, value):
    for option in ("--bits", "--image-size"):
        result = bench("measure", "cukd_v1", option, str(value))
        assert result.code == 2
        assert "is not in the range" in result.err
    parts = schema.json_schema()["$defs"]
    grid = parts["Axes"]["properties"]["bits"]["items"], parts["Defaults"]["properties"]["image_size"]
    ours = {option.name: option.type for option in measure.params}
    for limits, name in zip(grid, ("bits", "image_size"), strict=True):
        assert (ours[name].min, ours[name].max) == (limits["minimum"], limits["maximum"])


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit()"])
def test_an_included_file_does_not_choose_the_exit_code(bench, tmp_path, code):
    path = tmp_path / "ends.py"
    path.write_text(code)
    result = bench("ls", "losses", "--include", str(path))
    assert (result.code, result.out) == (2, "")
    assert f"--include {path}: SystemExit: " in result.err


def test_a_plugin_does_not_choose_the_exit_code(bench, monkeypatch):
    monkeypatch.setattr(diagnosis, "examine", lambda root: sys.exit(3))
    result = bench("doctor")
    assert result.code == 2
    assert "a plug-in ended the program (SystemExit: 3); let it raise an exception" in result.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--grid", "absent.yaml"], "absent.yaml: cannot read the grid"),
        (["run", "--only", "x"], "cannot read the grid"),
        (
            ["report", "absent"],
            "absent: no such folder; make it with: python -m bench run --grid GRID --out absent",
        ),
        (["report"], "no results folder here; first: python -m bench run"),
        (["measure", "cukd_v9"], "unknown student 'cukd_v9'; did you mean 'cukd_v"),
        (["data", "prepare", "digit"], "unknown dataset 'digit'; did you mean 'digits'?"),
        (["ls", "losses", "--include", "absent.py"], "--include absent.py: no such file"),
        (["run", "--jobs", "0"], "'0' is not auto or a whole number of at least 1; try --jobs 2"),
        (["run", "--jobs", "x"], "'x' is not auto or a whole number of at least 1; try --jobs 2"),
        (["plan", "--jobs", "-1"], "'-1' is not auto or a whole number of at least 1; try --jobs 2"),
        (["plan", "--threads", "0"], "'0' is not a whole number of at least 1; try --threads 2"),
        (["run", "--threads", "auto"], "'auto' is not a whole number of at least 1; try --threads 2"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exit_code_2(bench, arguments, expected):
    result = bench(*arguments)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_wrong_grid_is_one_line_per_fault_and_leaves_nothing(tiny, folder):
    result = tiny("run", edit=("epochs: 2, batch_size: 32, lr", "epoch: 2, batch_size: 32, lrr"))
    assert result.code == 2
    assert result.err.splitlines() == [
        "error: grid.yaml:5:13: unknown key 'epoch'; did you mean 'epochs'?",
        "grid.yaml:5:39: unknown key 'lrr'; did you mean 'lr'?",
        "grid.yaml:6:14: unknown key 'epoch'; did you mean 'epochs'?",
        "grid.yaml:6:40: unknown key 'lrr'; did you mean 'lr'?",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["grid.yaml"]


def test_plan_lists_cells_stages_and_costs_and_starts_nothing(tiny, folder):
    before = tiny("plan")
    assert before.code == 0
    assert "Grid tiny: 4 cells" in before.out
    assert "52 stages of kinds that have not run" in before.out
    assert sorted(path.name for path in folder.iterdir()) == ["grid.yaml"]
    assert tiny("run").code == 0
    summary = json.loads(tiny("plan", "--json").out)
    assert [row["total"] - row["cached"] for row in summary["stages"]] == [0] * 6
    # More epochs cost more of what is known; nothing is unknown any more.
    longer = json.loads(tiny("plan", "--json", "--set", "defaults.finetune.epochs=200").out)
    finetune = next(row for row in longer["stages"] if row["stage"] == "finetune")
    assert finetune["unknown"] == 0
    assert finetune["seconds"] > 0


@pytest.mark.parametrize(
    ("cores", "arguments", "jobs"),
    [(2, (), 2), (3, (), 3), (64, (), 4), (3, ("--jobs", "1"), 1), (4, ("--threads", "2"), 2)],
)
def test_by_default_a_plan_has_a_job_for_every_core_that_can_be_of_use(
    tiny, monkeypatch, cores, arguments, jobs
):
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    result = tiny("plan", "--json", *arguments)
    assert json.loads(result.out)["jobs"] == jobs
    assert result.err == ""


def test_more_threads_than_cores_are_warned_of(tiny):
    said = "warning: --jobs 1 with --threads 8 on 2 cores: they will wait for each other\n"
    assert tiny("plan", "--threads", "8").err == said
    assert tiny("plan", "--jobs", "4").err.startswith("warning: --jobs 4 with --threads 1 on 2 cores")


def test_report_follows_run(tiny, bench):
    assert tiny("run").code == 0
    result = bench("report")
    assert result.code == 0, result.err
    finding, title, advice, *lines = result.out.splitlines()
    assert finding.startswith("On synthetic, in one training each, ")
    assert title.startswith("synthetic · ")
    assert advice.startswith("  mAP@all against MACs: Smallest student within 0.02 of the best student (")
    paths = [Path(line) for line in lines if not line.startswith("  ")]
    assert {path.name for path in paths} >= {"table.csv", "table.md", "table.tex"}
    assert any(path.suffix == ".png" for path in paths)
    assert all(path.stat().st_size > 0 for path in paths)


def test_report_leaves_out_records_of_an_earlier_grid_and_says_so(tiny, bench):
    only = ("--only", "method=none")
    assert tiny("run", *only, edit=("finetune: {epochs: 2", "finetune: {epochs: 1")).code == 0
    assert tiny("run", *only).code == 0
    result = bench("report")
    assert result.err == (
        "left out: 2 records of an earlier version of a cell (its parameters, data or plug-ins were others)\n"
    )
    (table,) = [Path(line) for line in result.out.splitlines() if line.endswith(".csv")]
    assert len(table.read_text().splitlines()) == 1 + 2


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_ls_describes_every_name(bench, kind):
    described = json.loads(bench("ls", kind, "--json").out)
    assert set(described) >= set(REGISTRIES[kind].names())
    assert all(described.values())
    assert all(name in bench("ls", kind).out for name in described)


LOSS = "from bench.registry import LOSSES\n@LOSSES.register\nclass Mine:\n    version = 1\n"
#: Files that define plug-ins, by name.
THEIRS = {
    "mine": '''
"""Losses of several papers."""
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import Parameters

@LOSSES.register_as("described")
class Described(Loss):
    """Pairs of images.

    More of it."""
    version = 1
    Params = Parameters

@LOSSES.register_as("inherited")
class Inherited(Described):
    version = 2

@LOSSES.register_as("bare")
class Bare(Loss):
    version = 1
    Params = Parameters
''',
    "titled": f'"""One loss."""\n{LOSS}',
    "licensed": f'"""Copyright 2020."""\n{LOSS}',
}


def test_ls_describes_plugins_of_others_by_what_is_theirs(bench, folder):
    for name, text in THEIRS.items():
        (folder / f"{name}.py").write_text(text)
    files = [part for name in THEIRS for part in ("--include", f"{name}.py")]
    shown = json.loads(bench("ls", "losses", "--json", *files).out)
    for name in ("described", "inherited", "bare", "titled", "licensed"):
        del REGISTRIES["losses"]._registered[name]
    assert shown["described"] == "Pairs of images."
    assert shown["inherited"] == "class Inherited of mine, which has no docstring"
    assert shown["bare"] == "class Bare of mine, which has no docstring"
    assert shown["titled"] == "One loss."
    assert shown["licensed"] == "class Mine of licensed, which has no docstring"
    assert shown["csq"].startswith("Central similarity quantization: ")
    networks = json.loads(bench("ls", "students", "--json").out)
    assert networks["timm:<name>"] == "Any network of timm under its name there, for example timm:resnet18."


def test_ls_says_what_methods_need(bench):
    needs = json.loads(bench("ls", "methods", "--json").out)
    assert needs["cukd"].endswith("[1 teacher (cached features), no labels]")
    assert needs["cdd"].endswith("[1 teacher (live, trained first), labels]")
    assert needs["whiten_mtd"].endswith("[1 to 16 teachers (cached features), no labels]")
    assert needs["retrieval"].endswith("[no teacher, labels]")
    assert needs["none"].endswith("[no teacher, no labels]")


def test_plan_tells_cells_of_the_same_names_apart_and_counts_images(tiny):
    edit = ("loss: [csq, dch]", "loss: [{name: dch, params: {gamma: 5}}, {name: dch, params: {gamma: 9}}]")
    planned = json.loads(tiny("plan", "--json", edit=edit).out)
    assert {cell["variant"] for cell in planned["cells"]} == {"gamma=5.0", "gamma=9.0"}
    images = {row["stage"]: row["images"] for row in planned["stages"]}
    # 80 images with labels in 2 epochs, 4 cells; 20 queries and 140 others in each of them.
    assert images["finetune"] == 4 * 2 * 80
    assert images["encode"] == 4 * 160
    assert "gamma=9.0" in tiny("plan", edit=edit).out
    # Methods and losses have parameters of the same names.
    cukd = "{name: cukd, params: {epochs: %d, views: 2, teacher_image_size: 16}}"
    edit = ("[none, {name: cukd, params: {views: 2, teacher_image_size: 16}}]", f"[{cukd % 3}, {cukd % 5}]")
    planned = json.loads(tiny("plan", "--json", edit=edit).out)
    assert {cell["variant"] for cell in planned["cells"]} == {"epochs=3", "epochs=5"}


def test_measure_prints_the_cost_card(bench):
    done = bench("measure", "cukd_v1", "--image-size", 64, "--budget", 0.5, "--json")
    metrics = json.loads(done.out)["metrics"]
    # The trunk does not depend on the image size, the head does: 128 features of 64 pixels.
    assert metrics["params"]["value"] == 3_305_920 + 129 * 16
    assert metrics["macs"]["detail"]["counters_agree"] is True
    assert metrics["flops"]["value"] == 2 * metrics["macs"]["value"]
    for batch in (1, 64):
        latency = metrics[f"latency_ms@{batch}"]
        assert len(latency["samples"]) == latency["detail"]["taken"] >= 1
        assert latency["detail"]["stopped"] in {"steady", "budget"}
        assert latency["detail"]["budget_seconds"] == 0.5
        # One call may overrun the budget.
        assert sum(latency["samples"]) <= 500 + latency["samples"][-1]
    assert metrics["peak_memory_mb@64"]["value"] > metrics["peak_memory_mb@1"]["value"]
    assert [line.rpartition("  ")[0] for line in done.err.splitlines()] == [
        "[1/6] parameters",
        "[2/6] multiply-adds",
        "[3/6] weights",
        "[4/6] latency, batch 1",
        "[5/6] latency, batch 64",
        "[6/6] peak memory",
    ]


def test_the_cost_card_for_people(bench):
    options = ("--image-size", 32, "--bits", 64, "--budget", 0.2, "--variant", "channels_last")
    done = bench("measure", "cukd_v1", *options, "--quiet")
    assert "cukd_v1 at 32 x 32 pixels, 64 bits" in done.out
    assert "latency_ms@64:channels_last" in done.out
    assert " samples (" in done.out
    assert not done.err


UNKNOWN_OPERATOR = """\
import torch
from torch import nn

from bench.registry import STUDENTS
from bench.types import Preprocessing
from models.network import NetworkParams


class Spectrum(nn.Module):
    def forward(self, images):
        return torch.fft.rfft2(images).abs().mean((2, 3))


@STUDENTS.register_as("spectral")
class Spectral:
    version, preprocessing, Params = 1, Preprocessing(image_size=16), NetworkParams

    def __init__(self, params):
        self.params = params

    def weights_id(self):
        return "none"

    def feature_dim(self, image_size):
        return 3

    def build(self):
        return Spectrum()
"""


def test_the_cost_card_says_what_it_cannot_count(bench, folder):
    (folder / "spectral.py").write_text(UNKNOWN_OPERATOR)
    out = bench("measure", "spectral", "--include", "spectral.py", "--image-size", 16, "--budget", 0.1).out
    (line,) = (line for line in out.splitlines() if line.startswith("macs "))
    assert line.endswith("not fully counted, at least so many: no count of _fft_r2c")


def test_measure_offers_every_variant():
    (option,) = (one for one in measure.params if one.name == "variants")
    assert tuple(option.type.choices) == get_args(latency.Variant)


def test_prepare_shows_splits(bench):
    out = bench("data", "prepare", "digits").out
    assert "200 query, 900 train, 100 val, 1,597 database" in out


def test_prepare_takes_parameters_of_the_data_set(bench, folder):
    for label in ("cat", "dog"):
        (folder / "data/pets" / label).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (20, 20), (number, 0, 0)).save(folder / "data/pets" / label / f"{number}.png")
    asked = ("data", "prepare", "image_folder", "--set", "folder=pets", "--set", "query_per_class=2")
    quotas = ("--set", "train_per_class=4", "--set", "val_per_class=1")
    result = bench(*asked, *quotas)
    assert result.code == 0, result.err
    assert "16 images in 2 classes in" in result.out
    assert "4 query, 6 train, 2 val, 12 database" in result.out
    result = bench(*asked)
    assert result.code == 2
    assert (
        "class 'cat' has 8 images, fewer than query_per_class + train_per_class = 502, and so has 1 more"
        in result.err
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "name one data set, or pass --grid FILE"),
        (["digits", "--grid", "grid.yaml"], "name one data set, or pass --grid FILE"),
        (["digits", "--set", "query_per_class"], "--set query_per_class: write it as --set key=value"),
        (
            ["digits", "--set", "quer_per_class=3", "--set", "split_seed=x"],
            "--set quer_per_class=3:1:1: unknown key 'quer_per_class' of dataset 'digits'; did you mean "
            "'query_per_class'?\n--set split_seed=x:1:1: split_seed of dataset 'digits' should be a valid ",
        ),
    ],
)
def test_what_prepare_cannot_do_is_told(bench, arguments, expected):
    result = bench("data", "prepare", *arguments)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


def test_prepare_takes_every_data_set_of_a_grid_and_plugins(tiny, bench, folder):
    tiny("plan")
    several = "axes.dataset=[digits, {name: synthetic, params: {per_class: 30}}, fashion_mnist, coco]"
    asked = (
        "--include",
        PLUGINS / "tiny.py",
        "--set",
        several,
        "--set",
        "exclude=[{dataset: fashion_mnist}]",
    )
    result = bench("data", "prepare", "--grid", "grid.yaml", *asked)
    assert result.code == 2
    assert "digits-balanced-q20" in result.out
    assert "20 query, 64 train, 16 val, 100 database" in result.out
    assert result.err.startswith("error: coco: ")
    assert len(result.err.splitlines()) == 1
    mine = folder / "mine.py"
    mine.write_text(
        "from bench.datasets.synthetic import Synthetic\nfrom bench.registry import DATASETS\n\n"
        "@DATASETS.register\nclass Mine(Synthetic):\n    pass\n"
    )
    assert "20 query" in bench("data", "prepare", "mine", "--include", mine).out
    assert json.loads(bench("doctor", "--json", "--include", mine).out)["datasets"]["mine"] == "160 images"


def test_doctor_says_what_is_at_hand(bench, folder):
    findings = json.loads(bench("doctor", "--json").out)
    assert findings["datasets"]["digits"] == "1,797 images"
    assert findings["datasets"]["fashion_mnist"].startswith("the four idx files are not in")
    assert "data prepare" in findings["datasets"]["fashion_mnist"]
    assert re.fullmatch(r"weights sha256:[0-9a-f]{12}\.\.\.", findings["teachers"]["efficientnet_lite0"])
    assert re.fullmatch(
        r"torchvision:resnet50:.*:IMAGENET1K_V1, which the library fetches when needed",
        findings["teachers"]["resnet50"],
    )
    assert findings["folders"]["cache (BENCH_CACHE)"] == str(folder / "cache")
    assert findings["devices"]["cpu"].endswith("2 threads, so many jobs at once by default")
    assert re.fullmatch(r"[0-9.]+ GB available; .*", findings["devices"]["memory"])
    assert "teachers" in bench("doctor").out


def test_an_unforeseen_error_shows_its_traceback_with_v_only(bench, monkeypatch):
    def explode(root):
        raise RuntimeError("a defect")

    monkeypatch.setattr(diagnosis, "examine", explode)
    plain = bench("doctor")
    assert plain.code == 1
    assert "RuntimeError: a defect" in plain.err
    assert "Traceback" not in plain.err
    assert "run again with -v for the traceback" in plain.err
    detailed = bench("doctor", "-v").err
    assert "Traceback" in detailed
    assert "run again with -v" not in detailed


def test_a_reader_that_has_gone_is_no_fault():
    command = f"{sys.executable} -m bench ls losses; echo $? >&2"
    # The reader ends before anything is written to it.
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr.strip() == "0"


def test_no_color_is_honoured(bench, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in bench("report", "absent").err


def test_a_log_that_nobody_can_read_any_more_ends_no_run(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    _StderrHandler().emit(logging.makeLogRecord({"msg": "said"}))
