"""The command line as a person or a program meets it."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli import diagnosis

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
    refused = "should have at most 4,000 characters" if "--set" in arguments else "File name too long"
    assert refused in result.err
    assert "defect" not in result.err
    assert result.err.count("\n") == 1


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
        (["run", "--jobs", "0"], "'0' is not auto or a whole number of at least 1"),
        (["run", "--jobs", "x"], "'x' is not auto or a whole number of at least 1"),
        (["plan", "--jobs", "-1"], "'-1' is not auto or a whole number of at least 1"),
        (["plan", "--threads", "0"], "'0' is not a whole number of at least 1"),
        (["run", "--threads", "auto"], "'auto' is not a whole number of at least 1"),
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


def test_a_full_disk_is_no_defect(bench, monkeypatch):
    def full(root):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(diagnosis, "examine", full)
    result = bench("doctor")
    assert (result.code, result.err) == (2, "error: No space left on device; make room, or write elsewhere\n")


def test_no_color_is_honoured(bench, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in bench("report", "absent").err


def test_a_package_that_is_not_there_is_one_line_that_says_what_to_install(bench, monkeypatch):
    monkeypatch.setattr(diagnosis, "examine", lambda root: __import__("absent_package.inner"))
    result = bench("doctor")
    assert result.code == 2
    assert result.err == "error: this needs the package 'absent_package'; run: pip install hash-pareto\n"
    monkeypatch.setattr(diagnosis, "examine", lambda root: __import__("bench.absent"))
    assert "this is a defect of hash-pareto" in bench("doctor").err


def test_a_grid_that_lies_elsewhere_or_has_nearly_the_name_is_named(bench, folder):
    (folder / "bench/grids").mkdir(parents=True)
    for name in ("bench/grids/quick.yaml", "mine.yaml"):
        (folder / name).write_text("schema: 1\n")
    for asked, meant in (("grids/quick.yaml", "bench/grids/quick.yaml"), ("mien.yaml", "mine.yaml")):
        result = bench("plan", "--grid", asked)
        assert (result.code, f"(No such file or directory); did you mean '{meant}'?" in result.err) == (
            2,
            True,
        )
