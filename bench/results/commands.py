"""Command lines that reports and messages offer, ready to be pasted into a shell in the same folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.results.folder import Results
from bench.results.records import Record

#: What a bundle is called in what is offered.
BUNDLE = "my-student"


def typed(path: Path) -> str:
    """``path`` as somebody would type it who stands in the working folder."""
    below = path.absolute().is_relative_to(Path.cwd())
    return (path.absolute().relative_to(Path.cwd()) if below else path).as_posix()


def export(results: Results, record: Record) -> str:
    """Take the network of one cell away; empty where the record is of none, or of codes that none gives."""
    known = record.status == "ok" and "encode" in record.stages and not record.reads_back
    return _bench("export", typed(results.path(record)), BUNDLE) if known else ""


def export_best(folder: Path, *options: str) -> str:
    """Take the recommended student of a results folder away."""
    return _bench("export", "--best", typed(folder), *options, BUNDLE)


def encode(bundle: Path) -> str:
    """Encode images with a bundle; PHOTOS stands for theirs."""
    return _bench("encode", typed(bundle), "PHOTOS", "--out", "codes.npz")


def report(folder: Path) -> str:
    """Make the report of a results folder."""
    return _bench("report", typed(folder))


def run_again(folder: Path, *options: str) -> str:
    """Run cells of a results folder again; GRID stands for the file of its grid, which no folder names."""
    return _bench("run", "--grid", "GRID", "--out", typed(folder), *options)


def take_timings(grid: Path, out: Path, *options: str) -> str:
    """Take the timings of a grid whose other numbers are there."""
    return _bench("worker", "--grid", typed(grid), "--out", typed(out), *options, "--timings")


def evaluate_like(out: Path, name: str, like: Path) -> str:
    """Judge codes again, beside the cells of a results folder; CODES stands for their file."""
    return _bench("evaluate", "CODES", "--out", typed(out), "--name", name, "--like", typed(like))


def _bench(*arguments: str) -> str:
    return shlex.join(["python", "-m", "bench", *arguments])
