"""Results folders as they may be: read-only, with names that are no text, left untidy, or another grid's."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.results.records import Failure
from bench.storage import atomic, claims, left_behind
from bench.storage.store import Store
from tests import recorded
from tests.conftest import TINY_GRID

FAILURE = Failure(type="RuntimeError", stage="finetune", message="not finite")

ONE = (TINY_GRID[TINY_GRID.index("  method: ") : TINY_GRID.index("  seed: ")],
       "  method: [none]\n  loss: [csq]\n  bits: [16]\n")  # fmt: skip
QUICK = ("measure: {latency: {batch_sizes: [1], samples: 5, warmup_seconds: 0.05, budget_seconds: 0.2}}",
         "measure: {latency: false, search: false, peak_memory: false, macs: false}")  # fmt: skip


@pytest.fixture
def one(tiny, folder):
    """Run a verb on a grid of one cell."""

    def call(verb: str, *arguments: object, name: str = "tiny", loss: str = "csq"):
        text = TINY_GRID.replace(*ONE).replace(*QUICK).replace("[csq]", f"[{loss}]")
        return tiny(verb, *arguments, edit=(TINY_GRID, text.replace("name: tiny", f"name: {name}")))

    return call


def files(folder: Path) -> Iterator[tuple[str, int]]:
    return ((str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_finished_grid_that_can_only_be_read(one, folder, monkeypatch):
    assert one("run", "--out", "out").code == 0
    before = dict(files(folder))

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    for owner, name in ((os, "utime"), (atomic.secrets, "token_hex"), (Path, "mkdir"), (os, "mkdir")):
        monkeypatch.setattr(owner, name, refuse)
    result = one("run", "--out", "out")
    assert result.code == 0, result.err
    assert "1 of 1 cells ok in out; nothing to do, every cell has a record" in result.out
    assert "warning" not in result.err
    monkeypatch.undo()
    os.chdir(folder)
    grid = str(folder / "grid.yaml")
    assert {k: v for k, v in files(folder) if k != grid} == {k: v for k, v in before.items() if k != grid}


def test_what_a_kill_has_left_is_removed(one, folder):
    assert one("run", "--out", "out").code == 0
    store = Store(folder / "cache")
    (finished,) = (folder / "cache" / "finetune").iterdir()
    token = secrets.token_hex(8)
    gone = [
        folder / "out" / "records" / f".x.json.{token}.tmp",
        folder / "out" / "per_query" / f".x.json.{token}.new",
        finished.with_name(f".{finished.name}.{token}") / "file",
        finished.with_name(f".other-0123456789ab.{token}") / "file",
        folder / "cache" / "partial" / f"{finished.name}.{token}" / "state",
        folder / "cache" / "partial" / f".{finished.name}.{token}" / "state",
        folder / "out" / f".grid.json.{token}.tmp",
    ]
    held = finished.with_name(f".held-0123456789ab.{token}") / "file"
    kept = [
        folder / "out" / f".young.json.{token}.tmp",
        folder / "out" / "records" / ".mine.tmp",
        folder / "cache" / "partial" / f"unfinished-0123456789ab.{token}" / "state",
        held,
    ]
    for path in (*gone, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    os.utime(gone[-1], (1, 1))
    with store.claim(held.parent.with_name("held-0123456789ab")) as claim:
        assert claim is not None
        assert one("run", "--out", "out").code == 0
    assert not [str(path) for path in gone if path.exists()]
    assert all(path.exists() for path in kept)
    assert one("run", "--out", "out").code == 0
    assert not held.exists()


def test_files_of_who_is_at_work_stay(one, folder):
    assert one("run", "--out", "out").code == 0
    theirs = folder / "out" / "records" / f".x.json.{'0' * 16}.tmp"
    theirs.write_text("x")
    claim = claims.Claims(folder / "out" / "at-work").take("them", role="run", cells="")
    assert claim is not None
    assert one("run", "--out", "out").code == 0
    assert one("run", "--out", "out", "--overwrite", "always").code == 0
    assert theirs.exists()
    claim.release()
    assert one("run", "--out", "out").code == 0
    assert not theirs.exists()


def test_nothing_to_tidy(tmp_path):
    assert left_behind.tidy_files([tmp_path / "absent"]) == 0
    assert left_behind.tidy_store(Store(tmp_path / "absent")) == 0


def test_a_name_that_is_no_text(one, bench, folder):
    out = os.fsdecode(b"r\xe9sultats \x1b[31m")
    assert one("run", "--out", out).code == 0
    result = one("run", "--out", out)
    assert result.code == 0
    assert r"cells ok in r\udce9sultats \x1b[31m; nothing to do" in result.out
    for arguments in (["report", out], ["report", out, out, "--out", f"{out}2"], ["compare", out, out]):
        result = bench(*arguments)
        assert result.code in {0, 4}, result.err
        assert (result.out + result.err).replace("\n", "").replace("\t", "").isprintable()
    assert os.fsencode(f"{out}2") in os.listdir(os.fsencode(folder))


def test_two_grids_in_one_folder(one, bench):
    assert one("run", "--out", "out").code == 0
    result = one("run", "--out", "out", name="other", loss="dch")
    assert result.code == 2
    assert result.err == (
        "error: out: the results of another grid, 'tiny', and not of 'other'; name another --out, or pass "
        "--add, which shows the cells of both, or --replace-grid, which leaves its records there and out of "
        "all reports\n"
    )
    assert one("run", "--out", "out", "--add", "--replace-grid", name="other").code == 2
    result = one("run", "--out", "out", "--add", name="other", loss="dch")
    assert result.code == 0, result.err
    index = json.loads(Path("out/grid.json").read_text())
    assert (index["name"], index["added"], len(index["cells"])) == ("tiny + other", ["tiny", "other"], 2)
    assert bench("report", "out").code == 0
    page = Path("out/report/index.html").read_text()
    assert "<b>2</b> of 2 cells finished" in page
    assert "left out" not in page
    assert "tiny + other" in page
    result = one("run", "--out", "out")
    assert "the results of several grids, 'tiny' and 'other', and not of 'tiny' alone" in result.err
    result = one("run", "--out", "out", "--add")
    assert "nothing to do" in result.out
    assert json.loads(Path("out/grid.json").read_text()) == index
    assert one("run", "--out", "out", "--replace-grid").code == 0
    assert json.loads(Path("out/grid.json").read_text())["name"] == "tiny"


def test_one_page_of_several_folders(bench, folder, write_results):
    """Every row and cell says which folder it is of."""
    for name, bits in (("a", (16, 32)), ("b", (16, 64))):
        some = [recorded.make_record(bits=n, seed=seed) for n in bits for seed in (0, 1)]
        some += [recorded.make_record(bits=bits[1], seed=9, status="failed", error=FAILURE)]
        shutil.move(write_results([one for one in some if name == "a" or one.cell.seed != 0]), folder / name)
    result = bench("report", "a", "b", "--out", "both")
    assert result.code == 0, result.err
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "both"]
    rows = list(csv.DictReader(Path("both/table.csv").read_text().splitlines()))
    assert {(row["folder"], row["bits"], row["seed"]) for row in rows} == {
        *(("a", bits, seed) for bits in ("16", "32") for seed in ("0", "1")),
        *(("a", "32", "9"), ("b", "64", "9"), ("b", "64", "1")),
    }
    page = Path("both/index.html").read_text()
    assert re.findall(r'class="folder">(.*?)</td>', page) == ["a", "a", "b"]
    assert re.findall(r'failed</span><td>(.*?)<td class="wide">', page) == ["a", "b"]
    table = Path("both/table.md").read_text()
    assert "| folder" in table
    assert sum("<span>b</span>" in path.read_text() for path in Path("both/cells").iterdir()) == 2
    left = [folder / "a/report" / place / f".x.{'0' * 16}.tmp" for place in ("", "cells", "assets")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of a report that was killed")
        os.utime(path, (1, 1))
    alone = bench("report", "a")
    assert alone.code == 0
    assert not any(path.exists() for path in left)
    for name in ("index.html", "table.csv", "table.md"):
        assert "folder" not in Path("a/report", name).read_text().replace("a results folder", "")
